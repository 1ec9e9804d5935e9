/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * check and explain --rules: no daemon, no privilege, and answers that scripts can read.
 */
#include "fake_daemon.h"

static char path[64];

/* cmocka sets up before each test. */
static int make_file(void **state) {
	(void)state;
	strcpy(path, "/tmp/sallyport-cli-XXXXXX");
	int fd = mkstemp(path);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int remove_file(void **state) {
	(void)state;
	return unlink(path);
}

static void write_rules(const char *text) {
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void contains(const char *text, const char *part) {
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

#define OFFICE                                                                                               \
	"default in drop\n"                                                                                  \
	"set office = 192.0.2.0/24, 198.51.100.7\n"                                                          \
	"reject in tcp 113\n"                                                                                \
	"allow in tcp 22 from @office\n"                                                                     \
	"expect allow in tcp from 192.0.2.7 to 22\n"

static void a_good_file_is_counted(void **state) {
	char expected[128];
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome = RUN("check", path);
	snprintf(expected, sizeof(expected), "%s: ok, 2 rules, 1 set (2 members), 1 expectation holds\n",
		 path);
	assert_string_equal(outcome.out, expected);
	assert_int_equal(outcome.status, 0);
	outcome_free(&outcome);
}

static void a_bad_file_is_shown_as_gcc_does_and_exit_is_1(void **state) {
	char expected[128];
	(void)state;
	write_rules("allow in tcp 22\nallow in tcp 70000\n");
	struct outcome outcome = RUN("check", path);
	snprintf(expected, sizeof(expected), "%s:2:14: error: ", path);
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "");
	contains(outcome.err, expected);
	contains(outcome.err, "allow in tcp 70000\n");
	contains(outcome.err, "^");
	contains(outcome.err, ": bad, 1 error\n");
	outcome_free(&outcome);
}

static void a_failed_expectation_is_a_bad_file(void **state) {
	(void)state;
	write_rules(OFFICE "expect allow in tcp from 203.0.113.9 to 22\n");
	struct outcome outcome = RUN("check", path);
	assert_int_equal(outcome.status, 1);
	contains(outcome.err, ":6:");
	outcome_free(&outcome);
}

static void warnings_do_not_fail(void **state) {
	(void)state;
	write_rules("allow in tcp 22\ndrop in tcp 22\n");
	struct outcome outcome = RUN("check", path);
	assert_int_equal(outcome.status, 0);
	contains(outcome.err, "warning: ");
	contains(outcome.out, ": ok, 2 rules\n");
	outcome_free(&outcome);
}

static void check_json_is_an_object_a_diagnostic(void **state) {
	(void)state;
	write_rules("allow in tcp 22\nallow in tcp 70000\n");
	struct outcome outcome = RUN("--json", "check", path);
	assert_int_equal(outcome.status, 1);
	json_t *object = json_loads(outcome.out, 0, NULL);
	assert_non_null(object);
	assert_string_equal(member_text(object, "severity"), "error");
	assert_string_equal(member_text(object, "file"), path);
	assert_int_equal(member_number(object, "line"), 2);
	assert_int_equal(member_number(object, "column"), 14);
	assert_string_equal(member_text(object, "source"), "allow in tcp 70000");
	assert_true(*member_text(object, "message"));
	json_decref(object);
	outcome_free(&outcome);

	write_rules(OFFICE);
	outcome = RUN("--json", "check", path);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	outcome_free(&outcome);
}

static void a_missing_file_is_exit_1(void **state) {
	(void)state;
	struct outcome outcome = RUN("check", "/nowhere/x.rules");
	assert_int_equal(outcome.status, 1);
	contains(outcome.err, "/nowhere/x.rules");
	contains(outcome.err, "No such file");
	outcome_free(&outcome);
}

static void explain_names_rule_line_and_text(void **state) {
	char expected[256];
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome =
	    RUN("explain", "--rules", path, "in", "tcp", "from", "192.0.2.7:40000", "to", "22");
	snprintf(expected, sizeof(expected),
		 "allow: %s:4: allow in tcp 22 from @office\n"
		 "  line 3 would reject it but for the port: reject in tcp 113\n",
		 path);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, expected);
	outcome_free(&outcome);
}

static void explain_shows_near_misses(void **state) {
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome =
	    RUN("explain", "--rules", path, "in", "tcp", "from", "203.0.113.9", "to", "22");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out,
			    "drop: no rule matches: default in drop\n"
			    "  line 3 would reject it but for the port: reject in tcp 113\n"
			    "  line 4 would allow it but for the source: allow in tcp 22 from @office\n");
	outcome_free(&outcome);
}

static void explain_json_has_the_shape_of_the_protocol(void **state) {
	char expected[1024];
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome =
	    RUN("explain", "--rules", path, "--json", "in", "tcp", "from", "192.0.2.7:40000", "to", "22");
	snprintf(
	    expected, sizeof(expected),
	    "{\"probe\":\"in tcp from 192.0.2.7:40000 to "
	    "22\",\"verdict\":\"allow\",\"rule\":{\"file\":\"%s\","
	    "\"line\":4},\"text\":\"allow in tcp 22 from @office\",\"near\":[{\"rule\":{\"file\":\"%s\","
	    "\"line\":3},\"text\":\"reject in tcp 113\",\"verdict\":\"reject\",\"but\":\"the port\"}]}\n",
	    path, path);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, expected);
	outcome_free(&outcome);
}

static void where_the_default_decides_rule_is_null(void **state) {
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome =
	    RUN("explain", "--rules", path, "--json", "out", "udp", "to", "[2001:db8::1]:53");
	assert_int_equal(outcome.status, 0);
	contains(outcome.out,
		 "\"verdict\":\"allow\",\"rule\":null,\"text\":\"default out allow\",\"near\":[]}\n");
	outcome_free(&outcome);
}

static void explain_knows_the_services_of_the_file(void **state) {
	char expected[128];
	(void)state;
	write_rules("service game = tcp 7000\nallow in game strict\n");
	struct outcome outcome = RUN("explain", "--rules", path, "in", "tcp", "to", "game");
	snprintf(expected, sizeof(expected), "allow: %s:2: allow in game strict\n", path);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, expected);
	outcome_free(&outcome);
}

static void explain_with_a_bad_file_is_exit_1(void **state) {
	(void)state;
	write_rules("alow in tcp 22\n");
	struct outcome outcome = RUN("explain", "--rules", path, "in", "tcp", "to", "22");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "");
	contains(outcome.err, ":1:1: error: ");
	outcome_free(&outcome);
}

static void a_bad_probe_is_wrong_usage(void **state) {
	(void)state;
	write_rules(OFFICE);
	struct outcome outcome = RUN("explain", "--rules", path, "in", "tcp", "to", "nowhere");
	assert_int_equal(outcome.status, 2);
	assert_string_equal(outcome.out, "");
	contains(outcome.err, "sallyport: probe: ");
	outcome_free(&outcome);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)

int main(void) {
	const struct CMUnitTest tests[] = {
	    WITH_FILE(a_good_file_is_counted),
	    WITH_FILE(a_bad_file_is_shown_as_gcc_does_and_exit_is_1),
	    WITH_FILE(a_failed_expectation_is_a_bad_file),
	    WITH_FILE(warnings_do_not_fail),
	    WITH_FILE(check_json_is_an_object_a_diagnostic),
	    WITH_FILE(a_missing_file_is_exit_1),
	    WITH_FILE(explain_names_rule_line_and_text),
	    WITH_FILE(explain_shows_near_misses),
	    WITH_FILE(explain_json_has_the_shape_of_the_protocol),
	    WITH_FILE(where_the_default_decides_rule_is_null),
	    WITH_FILE(explain_knows_the_services_of_the_file),
	    WITH_FILE(explain_with_a_bad_file_is_exit_1),
	    WITH_FILE(a_bad_probe_is_wrong_usage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
