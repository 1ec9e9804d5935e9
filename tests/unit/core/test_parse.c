/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules language: what a rule becomes, files and includes, bounds. What each
 * statement prints as, and each error, stands in tests/rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "must_load.h"
#include "sallyport/core/print.h"

static const struct rule *user_rule(const struct ruleset *ruleset, size_t number) {
	for (size_t i = 0; i < ruleset->count; i++)
		if (!ruleset->rules[i].essential && number-- == 0)
			return &ruleset->rules[i];
	fail_msg("there is no such rule");
	return NULL;
}

static size_t count_user_rules(const struct ruleset *ruleset) {
	size_t count = 0;

	for (size_t i = 0; i < ruleset->count; i++)
		count += !ruleset->rules[i].essential;
	return count;
}

static void assert_matches(const struct what *what, const struct match *expected, size_t count) {
	assert_int_equal(what->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(what->matches[i].protocol, expected[i].protocol);
		assert_int_equal(what->matches[i].ports.lo, expected[i].ports.lo);
		assert_int_equal(what->matches[i].ports.hi, expected[i].ports.hi);
	}
}

static void an_empty_file_has_the_defaults(void **state) {
	struct ruleset *ruleset = must_load("");

	(void)state;
	assert_int_equal(ruleset->defaults[DIRECTION_IN], ACTION_DROP);
	assert_int_equal(ruleset->defaults[DIRECTION_OUT], ACTION_ALLOW);
	assert_true(ruleset->settings.essentials);
	assert_false(ruleset->settings.pickup);
	assert_false(ruleset->settings.inspect_all);
	assert_false(ruleset->settings.failure_closed);
	assert_int_equal(ruleset->settings.busy_rate, 1000);
	assert_int_equal(ruleset->settings.mark_mask, 0xf0000000);
	assert_int_equal(ruleset->settings.connections, 1000000);
	assert_memory_equal(&ruleset->settings.timeouts, &default_timeouts, sizeof default_timeouts);
	assert_int_equal(count_user_rules(ruleset), 0);
	assert_non_null(ruleset->index);
	ruleset_free(ruleset);
}

static void settings_are_taken_over(void **state) {
	struct ruleset *ruleset = must_load("default in reject\ndefault out drop\nessentials off\npickup on\n"
					    "inspect all\non-failure closed\nbusy above 20000/s\n"
					    "mark 0x00f00\nconnections 64\ntimeout udp-stream 1d2h\n");

	(void)state;
	assert_int_equal(ruleset->defaults[DIRECTION_IN], ACTION_REJECT);
	assert_int_equal(ruleset->defaults[DIRECTION_OUT], ACTION_DROP);
	assert_true(ruleset->settings.pickup);
	assert_true(ruleset->settings.inspect_all);
	assert_true(ruleset->settings.failure_closed);
	assert_int_equal(ruleset->settings.busy_rate, 20000);
	assert_int_equal(ruleset->settings.mark_mask, 0xf00);
	assert_int_equal(ruleset->settings.connections, 64);
	assert_int_equal(ruleset->settings.timeouts.seconds[TIMEOUT_UDP_STREAM], 26 * 3600);
	assert_int_equal(ruleset->count, 0);
	ruleset_free(ruleset);
}

static void the_defaults_can_be_written_out(void **state) {
	struct ruleset *ruleset = must_load("inspect new\non-failure guard\nbusy above 1000/s\n"),
		       *empty = must_load("");

	(void)state;
	assert_true(ruleset_equal(ruleset, empty));
	ruleset_free(ruleset);
	ruleset_free(empty);
}

static void mark_masks_are_four_adjoining_bits_at_least(void **state) {
	static const char *const good[] = {"mark 0xf\n", "mark 0x1f0\n", "mark 0xffffffff\n"};
	static const char *const bad[] = {"mark 0x0\n", "mark 0x7\n", "mark 0xf0f0\n", "mark 0x80000000\n"};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		ruleset_free(must_load(good[i]));
	for (size_t i = 0; i < 4; i++)
		free(must_fail(bad[i]));
}

static void essentials_stand_around_the_rules(void **state) {
	struct ruleset *ruleset = must_load("drop in icmpv6 echo-request\n");
	size_t user = (size_t)(user_rule(ruleset, 0) - ruleset->rules);
	unsigned line = 1;

	(void)state;
	assert_true(user > 0 && user + 1 < ruleset->count);
	for (size_t i = 0; i < ruleset->count; i++) {
		if (i == user)
			continue;
		assert_true(ruleset->rules[i].essential);
		assert_string_equal(ruleset->rules[i].place.file, "essentials");
		assert_int_equal(ruleset->rules[i].place.line, line++);
	}
	/* Neighbour discovery cannot be overruled, ping can. */
	assert_true(what_matches(&ruleset->rules[2].what, PROTOCOL_ICMPV6, 135));
	assert_true(what_matches(&ruleset->rules[user + 1].what, PROTOCOL_ICMPV6, 128));
	ruleset_free(ruleset);
}

static void essentials_off_works_from_any_line(void **state) {
	struct ruleset *ruleset = must_load("allow in ssh\nessentials off\nallow in http\n");

	(void)state;
	assert_int_equal(ruleset->count, 2);
	assert_false(ruleset->rules[0].essential || ruleset->rules[1].essential);
	ruleset_free(ruleset);
}

static void services_mean_every_protocol_they_have(void **state) {
	static const struct match expected[] = {{PROTOCOL_TCP, {53, 53}},
						{PROTOCOL_TCP, {443, 443}},
						{PROTOCOL_UDP, {53, 53}},
						{PROTOCOL_UDP, {443, 443}}};
	struct ruleset *ruleset = must_load("allow in domain,https\n");

	(void)state;
	assert_matches(&user_rule(ruleset, 0)->what, expected, 4);
	ruleset_free(ruleset);
}

static void names_that_the_database_lacks_are_built_in(void **state) {
	static const struct match dns[] = {{PROTOCOL_TCP, {53, 53}}, {PROTOCOL_UDP, {53, 53}}};
	static const struct match wireguard[] = {{PROTOCOL_UDP, {51820, 51820}}};
	static const struct match vnc[] = {{PROTOCOL_TCP, {5999, 5999}}}; /* the database has it */
	struct ruleset *ruleset = must_load("allow in dns\nallow in wireguard\nallow in vnc\n");

	(void)state;
	assert_matches(&user_rule(ruleset, 0)->what, dns, 2);
	assert_matches(&user_rule(ruleset, 1)->what, wireguard, 1);
	assert_matches(&user_rule(ruleset, 2)->what, vnc, 1);
	ruleset_free(ruleset);
}

static void services_of_the_file_win_over_the_database(void **state) {
	static const struct match expected[] = {{PROTOCOL_TCP, {2222, 2222}}, {PROTOCOL_UDP, {7000, 7010}}};
	struct ruleset *ruleset =
	    must_load("service ssh = tcp 2222, udp 7000-7005,7006-7010\nallow in ssh\n");

	(void)state;
	assert_matches(&user_rule(ruleset, 0)->what, expected, 2);
	ruleset_free(ruleset);
}

static void a_service_may_stand_on_the_systems_port_of_its_own_name(void **state) {
	static const struct match expected[] = {{PROTOCOL_TCP, {22, 22}}, {PROTOCOL_TCP, {2222, 2222}}};
	struct ruleset *ruleset = must_load("service ssh = tcp ssh,2222\nallow in ssh\n");

	(void)state;
	assert_matches(&user_rule(ruleset, 0)->what, expected, 2);
	ruleset_free(ruleset);
	free(must_fail("service ssh = tcp ssh,99999\nallow in ssh\n"));
}

static void not_any_interface_is_an_error(void **state) {
	char *shown = must_fail("allow in tcp 22 on not *\n");

	(void)state;
	assert_non_null(strstr(shown, "`not *` leaves no interface"));
	free(shown);
	free(must_fail("allow in tcp 22 on not eth0,*\n"));
	ruleset_free(must_load("allow in tcp 22 on *\nallow in tcp 23 on not e*\n"));
}

static void not_is_complemented(void **state) {
	static const struct match ports[] = {
	    {PROTOCOL_TCP, {0, 21}}, {PROTOCOL_TCP, {23, 1023}}, {PROTOCOL_TCP, {49152, 65535}}};
	static const struct match types[] = {{PROTOCOL_ICMP, {0, 7}}, {PROTOCOL_ICMP, {9, 254}}};
	struct ruleset *ruleset =
	    must_load("allow in tcp not ssh,registered\nallow in icmp not echo-request,255\n");

	(void)state;
	assert_matches(&user_rule(ruleset, 0)->what, ports, 3);
	assert_matches(&user_rule(ruleset, 1)->what, types, 2);
	ruleset_free(ruleset);
}

/* `syslog` is UDP's alone, `split` has another port on each. */
static void a_name_with_other_ports_on_udp_makes_two_rules(void **state) {
	static const struct match tcp[] = {{PROTOCOL_TCP, {80, 80}}, {PROTOCOL_TCP, {1000, 1000}}};
	static const struct match udp[] = {
	    {PROTOCOL_UDP, {80, 80}}, {PROTOCOL_UDP, {514, 514}}, {PROTOCOL_UDP, {2000, 2000}}};
	struct ruleset *ruleset =
	    must_load("allow in log tcp,udp split,80,syslog from 192.0.2.0/24 on eth0\n");

	(void)state;
	assert_int_equal(count_user_rules(ruleset), 2);
	assert_matches(&user_rule(ruleset, 0)->what, tcp, 2);
	assert_matches(&user_rule(ruleset, 1)->what, udp, 3);
	for (size_t i = 0; i < 2; i++) {
		char *text = rule_print(user_rule(ruleset, i));

		assert_non_null(strstr(text, "allow in log "));
		assert_non_null(strstr(text, " from 192.0.2.0/24 on eth0"));
		assert_int_equal(user_rule(ruleset, i)->place.line, 1);
		free(text);
	}
	ruleset_free(ruleset);
}

static void strict_is_about_its_rule_alone(void **state) {
	struct ruleset *ruleset =
	    must_load("allow in tcp 21 strict on eth0\nallow in tcp 21\nallow in tcp,udp split strict\n");

	(void)state;
	assert_int_equal(count_user_rules(ruleset), 4); /* `split` makes two */
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(user_rule(ruleset, i)->strict, i != 1);
	assert_false(ruleset->settings.inspect_all);
	ruleset_free(ruleset);
}

static void a_protocol_without_the_port_gets_no_rule(void **state) {
	static const struct match udp[] = {{PROTOCOL_UDP, {514, 514}}};
	struct ruleset *ruleset = must_load("allow in tcp,udp syslog\n");

	(void)state;
	assert_int_equal(count_user_rules(ruleset), 1);
	assert_matches(&user_rule(ruleset, 0)->what, udp, 1);
	ruleset_free(ruleset);
}

static void source_ports_are_split_like_the_others(void **state) {
	static const struct match udp[] = {{PROTOCOL_UDP, {53, 53}}};
	struct ruleset *ruleset = must_load("allow in domain from any port syslog\n");

	(void)state;
	assert_int_equal(count_user_rules(ruleset), 1);
	assert_matches(&user_rule(ruleset, 0)->what, udp, 1);
	assert_int_equal(user_rule(ruleset, 0)->from_ports.ranges[0].lo, 514);
	ruleset_free(ruleset);
}

static void a_rule_knows_its_file_and_line(void **state) {
	const struct memory_file files[] = {
	    {"dir/main.rules", "# one\nallow in ssh\ninclude \"sub/*.rules\"\nallow in \\\n  http\n"},
	    {"dir/sub/b.rules", "allow in tcp 2\n"},
	    {"dir/sub/a.rules", "\nallow in tcp 1"},
	    {"dir/sub/deep/c.rules", "allow in tcp 3\n"},
	    {NULL, NULL},
	};
	static const struct place expected[] = {
	    {"dir/main.rules", 2}, {"dir/sub/a.rules", 2}, {"dir/sub/b.rules", 1}, {"dir/main.rules", 4}};
	struct world world = memory_world(files);
	struct diagnostics diagnostics;
	struct ruleset *ruleset = ruleset_load("dir/main.rules", &world, &diagnostics);

	(void)state;
	assert_non_null(ruleset);
	assert_int_equal(count_user_rules(ruleset), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(user_rule(ruleset, i)->place.file, expected[i].file);
		assert_int_equal(user_rule(ruleset, i)->place.line, expected[i].line);
	}
	assert_int_equal(ruleset->file_count, 3);
	diagnostics_free(&diagnostics);
	ruleset_free(ruleset);
}

static void sets_are_read_beside_the_file_that_names_them(void **state) {
	const struct memory_file files[] = {
	    {"dir/main.rules", "include \"sub/a.rules\"\ndrop in any from @bad\n"},
	    {"dir/sub/a.rules", "set bad from file \"bad.txt\""},
	    {"dir/sub/bad.txt",
	     "# bad ones\n 192.0.2.9 \r\n2001:db8::/32 # all of it\n\n192.0.2.1-192.0.2.8"},
	    {NULL, NULL},
	};
	struct world world = memory_world(files);
	struct diagnostics diagnostics;
	struct ruleset *ruleset = ruleset_load("dir/main.rules", &world, &diagnostics);
	const struct set *set;

	(void)state;
	assert_non_null(ruleset);
	set = ruleset_set(ruleset, "bad");
	assert_non_null(set);
	assert_string_equal(set->file, "dir/sub/bad.txt");
	assert_int_equal(set->count, 2);
	assert_ptr_equal(user_rule(ruleset, 0)->from.sets[0], set);
	assert_null(ruleset_set(ruleset, "good"));
	diagnostics_free(&diagnostics);
	ruleset_free(ruleset);
}

static void assert_world_fails(const struct memory_file *files, const char *message) {
	struct world world = memory_world(files);
	struct diagnostics diagnostics;
	char *text;

	assert_null(ruleset_load(files[0].path, &world, &diagnostics));
	text = diagnostics_text(&diagnostics);
	if (!strstr(text, message))
		fail_msg("\"%s\" is not in:\n%s", message, text);
	free(text);
	diagnostics_free(&diagnostics);
}

static void include_loops_are_found(void **state) {
	const struct memory_file loop[] = {
	    {"a", "include \"b\"\n"}, {"b", "\ninclude \"a\"\n"}, {NULL, NULL}};
	const struct memory_file self[] = {{"a", "include \"*\"\n"}, {NULL, NULL}};

	(void)state;
	assert_world_fails(loop, "b:2:9: error: the includes form a loop: a <- b <- a\n  include \"a\"");
	assert_world_fails(self, "a:1:9: error: the includes form a loop: a <- a");
}

static void what_is_included_must_exist(void **state) {
	const struct memory_file plain[] = {{"d/a", "include \"b\"\n"}, {NULL, NULL}};
	const struct memory_file pattern[] = {{"a", "include \"b*\"\n"}, {NULL, NULL}};
	const struct memory_file set[] = {{"d/a", "set b from file \"b.txt\"\n"}, {NULL, NULL}};
	const struct memory_file none[] = {{"x", ""}, {NULL, NULL}};
	struct world world = memory_world(pattern), empty = memory_world(none);
	struct diagnostics diagnostics;

	(void)state;
	assert_world_fails(plain, "d/a:1:9: error: cannot read d/b: No such file");
	assert_world_fails(set, "d/a:1:17: error: cannot read d/b.txt: No such file");
	ruleset_free(ruleset_load("a", &world, &diagnostics)); /* a pattern without a match is fine */
	assert_int_equal(diagnostics.errors, 0);
	diagnostics_free(&diagnostics);
	assert_null(ruleset_load("y", &empty, &diagnostics));
	assert_int_equal(diagnostics.items[0].line, 0);
	assert_string_equal(diagnostics.items[0].message, "cannot read y: No such file or directory");
	diagnostics_free(&diagnostics);
}

static void includes_have_a_greatest_depth(void **state) {
	struct memory_file files[19] = {{NULL, NULL}};
	char paths[18][16], texts[18][32];
	struct diagnostics diagnostics;
	struct world world = memory_world(files);

	(void)state;
	for (int i = 0; i < 18; i++) {
		snprintf(paths[i], sizeof paths[i], "f%d", i);
		snprintf(texts[i], sizeof texts[i], "include \"f%d\"\n", i + 1);
		files[i] = (struct memory_file){paths[i], texts[i]};
	}
	assert_world_fails(files, "f16:1:9: error: f17: includes stand more than 16 deep");
	strcpy(texts[16], "allow in ssh\n");
	ruleset_free(ruleset_load("f0", &world, &diagnostics));
	assert_int_equal(diagnostics.errors, 0);
	diagnostics_free(&diagnostics);
}

static void errors_of_all_files_come_at_once(void **state) {
	const struct memory_file files[] = {
	    {"a", "allow in tcp 99999\ninclude \"b\"\ninclude \"c\"\nallow inn tcp\nset s from file \"s\"\n"},
	    {"b", "nonsense\n"},
	    {"c", "allow in tcp 1-0\n"},
	    {"s", "192.0.2.1\n192.0.2.1/8\nx\n"},
	    {NULL, NULL},
	};
	static const struct place expected[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"a", 4}, {"s", 2}, {"s", 3}};
	struct world world = memory_world(files);
	struct diagnostics diagnostics;

	(void)state;
	assert_null(ruleset_load("a", &world, &diagnostics));
	assert_int_equal(diagnostics.errors, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(diagnostics.items[i].file, expected[i].file);
		assert_int_equal(diagnostics.items[i].line, expected[i].line);
	}
	diagnostics_free(&diagnostics);
}

static void only_the_first_errors_are_kept(void **state) {
	char text[30 * 4 + 1] = "";
	struct diagnostics diagnostics;

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(text, "bad\n");
	assert_null(load_rules(text, &diagnostics));
	assert_int_equal(diagnostics.errors, MAX_ERRORS);
	assert_int_equal(diagnostics.count, MAX_ERRORS);
	assert_true(diagnostics.more);
	diagnostics_free(&diagnostics);
	text[MAX_ERRORS * 4] = '\0';
	assert_null(load_rules(text, &diagnostics));
	assert_int_equal(diagnostics.errors, MAX_ERRORS);
	assert_false(diagnostics.more);
	diagnostics_free(&diagnostics);
}

/* `expect` lines are checked when all is read, and show their line too. */
static void late_diagnostics_show_their_line(void **state) {
	char *text = must_fail("allow in ssh\n  expect   drop in tcp to 22   # why?\n");

	(void)state;
	assert_non_null(strstr(text, "test.rules:2:3: error: "));
	assert_non_null(
	    strstr(text, "\n    expect   drop in tcp to 22   # why?\n    ^~~~~~~~~~~~~~~~~~~~~~~~~~\n"));
	free(text);
}

static void long_lines_are_refused_and_the_rest_is_read(void **state) {
	size_t length = 1 << 20;
	char *text = malloc(length + 32), *shown;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', length);
	strcpy(text + length, "\nallow in tcp 99999\n");
	shown = must_fail(text);
	assert_non_null(strstr(shown, "test.rules:1:1: error: the line is longer than 65536 bytes\n"));
	assert_non_null(strstr(shown, "test.rules:2:14: error: "));
	assert_true(strlen(shown) < 1000);
	free(shown);
	free(text);
}

static void binary_bytes_end_the_file(void **state) {
	char *shown = must_fail("allow in ssh\n\x7f"
				"ELF\x01\x02\nnonsense\n");

	(void)state;
	assert_non_null(strstr(
	    shown, "test.rules:2:1: error: a control character: this is not a plain text file\n  ?ELF??\n"));
	assert_null(strstr(shown, "nonsense"));
	free(shown);
}

static char *read_nul(void *context, const char *path, size_t *length, struct error *err) {
	static const char rules[] = "set a from file \"s\"\nallow in \0 ssh\n", members[] = "192.0.2.1\n\0\n";
	bool set = strcmp(path, "s") == 0;

	(void)context;
	(void)err;
	*length = set ? sizeof members - 1 : sizeof rules - 1;
	return memcpy(malloc(*length + 1), set ? members : rules, *length + 1);
}

/* The real world refuses such files itself; another might not. */
static void nul_bytes_are_refused(void **state) {
	const struct memory_file none[] = {{NULL, NULL}};
	struct world world = memory_world(none);
	struct diagnostics diagnostics;

	(void)state;
	world.read = read_nul;
	assert_null(ruleset_load("a", &world, &diagnostics));
	assert_true(diagnostics.errors >= 1);
	assert_non_null(strstr(diagnostics.items[0].message, "a NUL byte"));
	diagnostics_free(&diagnostics);
}

static void a_hundred_thousand_rules_load(void **state) {
	enum { RULES = 100000 };
	char *text = malloc(RULES * 64);
	size_t length = 0;
	struct ruleset *ruleset;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < RULES; i++)
		length += (size_t)sprintf(text + length, "allow in tcp %u from 10.%u.%u.%u\n", i % 65536,
					  i >> 16, i >> 8 & 255, i & 255);
	ruleset = must_load(text);
	assert_int_equal(count_user_rules(ruleset), RULES);
	assert_int_equal(user_rule(ruleset, RULES - 1)->place.line, RULES);
	ruleset_free(ruleset);
	free(text);
}

static void a_million_set_members_load(void **state) {
	enum { MEMBERS = 1000000 };
	char *text = malloc(MEMBERS * 32);
	const struct memory_file files[] = {
	    {"a", "set big from file \"big\"\n"}, {"big", text}, {NULL, NULL}};
	struct world world = memory_world(files);
	struct diagnostics diagnostics;
	struct ruleset *ruleset;
	size_t length = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < MEMBERS; i++) { /* every other address, so that none merge; not in order */
		uint32_t address = (uint32_t)(i * (uint64_t)7919 % MEMBERS * 2);

		length += (size_t)sprintf(text + length, "10.%u.%u.%u\n", address >> 16, address >> 8 & 255,
					  address & 255);
	}
	ruleset = ruleset_load("a", &world, &diagnostics);
	assert_non_null(ruleset);
	assert_int_equal(ruleset_set(ruleset, "big")->count, MEMBERS);
	diagnostics_free(&diagnostics);
	ruleset_free(ruleset);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_file_has_the_defaults),
	    cmocka_unit_test(settings_are_taken_over),
	    cmocka_unit_test(the_defaults_can_be_written_out),
	    cmocka_unit_test(mark_masks_are_four_adjoining_bits_at_least),
	    cmocka_unit_test(essentials_stand_around_the_rules),
	    cmocka_unit_test(essentials_off_works_from_any_line),
	    cmocka_unit_test(services_mean_every_protocol_they_have),
	    cmocka_unit_test(names_that_the_database_lacks_are_built_in),
	    cmocka_unit_test(services_of_the_file_win_over_the_database),
	    cmocka_unit_test(a_service_may_stand_on_the_systems_port_of_its_own_name),
	    cmocka_unit_test(not_any_interface_is_an_error),
	    cmocka_unit_test(not_is_complemented),
	    cmocka_unit_test(a_name_with_other_ports_on_udp_makes_two_rules),
	    cmocka_unit_test(strict_is_about_its_rule_alone),
	    cmocka_unit_test(a_protocol_without_the_port_gets_no_rule),
	    cmocka_unit_test(source_ports_are_split_like_the_others),
	    cmocka_unit_test(a_rule_knows_its_file_and_line),
	    cmocka_unit_test(sets_are_read_beside_the_file_that_names_them),
	    cmocka_unit_test(include_loops_are_found),
	    cmocka_unit_test(what_is_included_must_exist),
	    cmocka_unit_test(includes_have_a_greatest_depth),
	    cmocka_unit_test(errors_of_all_files_come_at_once),
	    cmocka_unit_test(only_the_first_errors_are_kept),
	    cmocka_unit_test(late_diagnostics_show_their_line),
	    cmocka_unit_test(long_lines_are_refused_and_the_rest_is_read),
	    cmocka_unit_test(binary_bytes_end_the_file),
	    cmocka_unit_test(nul_bytes_are_refused),
	    cmocka_unit_test(a_hundred_thousand_rules_load),
	    cmocka_unit_test(a_million_set_members_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
