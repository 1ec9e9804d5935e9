/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Evaluation agrees with the manual page: with a slow judge on random rulesets and questions,
 * and on cases that an index could get wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../load_text.h"
#include "../random_rules.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"

enum { SEED = 20240, RULESETS = 1600, QUESTIONS = 1000000 / RULESETS };

static struct ruleset *loaded(const char *text) {
	struct ruleset *ruleset = load_text(text, NULL, NULL);

	assert_non_null(ruleset);
	return ruleset;
}

/* ---- against the judge ---- */

static unsigned line_of(const struct answer *answer) {
	return answer->rule ? answer->rule->place.line : 0;
}

static void explain(const struct model *model, const struct question *question, const struct answer *answer,
		    const struct judgement *judgement) {
	char *probe = question_print(question);

	fprintf(stderr, "%s\nwith blocked.txt:\n%s\nquestion: %s (ICMP type %u)\n", model->text,
		model->set_text, probe ? probe : "?", question->icmp_type);
	fprintf(stderr, "eval:  %s by line %u\njudge: %s by line %u (0: the default)\n",
		action_name(answer->action), line_of(answer), action_name(judgement->action),
		judgement->line);
	free(probe);
}

/* True where a rule answered. */
static bool check_agrees(const struct model *model, const struct ruleset *ruleset,
			 const struct question *question) {
	struct judgement judgement = model_judge(model, question);
	struct answer answer = eval(ruleset, question);

	if (answer.action != judgement.action || line_of(&answer) != judgement.line) {
		explain(model, question, &answer, &judgement);
		fail_msg("eval and the judge disagree (seed %d)", SEED);
	}
	return judgement.line != 0;
}

/* An answer's rule fails no condition, and no rule before it holds; so both ways to ask agree. */
static void check_conditions(const struct ruleset *ruleset, const struct question *question) {
	struct answer answer = eval(ruleset, question);
	const struct rule *first = NULL;

	for (size_t i = 0; i < ruleset->count && !first; i++)
		if (rule_failed_conditions(&ruleset->rules[i], question) == 0)
			first = &ruleset->rules[i];
	assert_ptr_equal(answer.rule, first);
}

static void test_agrees_with_judge(void **state) {
	struct dice dice = {SEED};
	size_t by_rule = 0;

	(void)state;
	print_message("seed %d, %d rulesets, %d questions each\n", SEED, RULESETS, QUESTIONS);
	for (int i = 0; i < RULESETS; i++) {
		struct model_options options = {.rules = i % 10 == 0 ? 250 : 30};
		struct model *model = model_new(&dice, &options);
		struct ruleset *ruleset = load_text(model->text, model->set_text, NULL);
		assert_non_null(ruleset);
		for (int q = 0; q < QUESTIONS; q++) {
			struct question question = model_question(model);
			by_rule += check_agrees(model, ruleset, &question);
			if (q < 20)
				check_conditions(ruleset, &question);
		}
		ruleset_free(ruleset);
		model_free(model);
	}
	/* Questions that no rule answers would prove little. */
	assert_true(by_rule > (size_t)RULESETS * QUESTIONS / 2);
}

/* ---- named cases ---- */

static struct question ask(const char *probe) {
	static const struct world world; /* a probe by numbers asks it nothing */
	struct question question;
	struct error err;

	if (!probe_parse(probe, NULL, &world, &question, &err))
		fail_msg("%s: %s", probe, err.text);
	return question;
}

/* "allow 3": the answer and its line; "drop default". */
static void check(const struct ruleset *ruleset, const char *probe, const char *expected) {
	struct question question = ask(probe);
	struct answer answer = eval(ruleset, &question);
	char got[64];

	if (answer.rule)
		snprintf(got, sizeof(got), "%s %u", action_name(answer.action), answer.rule->place.line);
	else
		snprintf(got, sizeof(got), "%s default", action_name(answer.action));
	free((char *)question.interface);
	if (strcmp(got, expected) != 0)
		fail_msg("%s: expected %s, got %s", probe, expected, got);
}

static void test_first_match_wins(void **state) {
	struct ruleset *ruleset = loaded("essentials off\n"
					 "drop in tcp 22 from 192.0.2.7\n"
					 "allow in tcp 22\n"
					 "reject in tcp 22\n");

	(void)state;
	check(ruleset, "in tcp from 192.0.2.7 to 22", "drop 2");
	check(ruleset, "in tcp from 192.0.2.8 to 22", "allow 3");
	check(ruleset, "in udp from 192.0.2.8 to 22", "drop default");
	check(ruleset, "out tcp to 192.0.2.8:22", "allow default");
	ruleset_free(ruleset);
}

/* A range of all IPv6 addresses spans the stretch where IPv4 addresses stand as numbers. */
static void test_families_stay_apart(void **state) {
	struct ruleset *ruleset = loaded("essentials off\n"
					 "allow in tcp 22 from ::/0\n"
					 "reject in tcp 22 from 0.0.0.0/0\n"
					 "allow in tcp 23 from not ::/0\n"
					 "reject in tcp 23\n");

	(void)state;
	check(ruleset, "in tcp from 2001:db8::1 to 22", "allow 2");
	check(ruleset, "in tcp from 192.0.2.7 to 22", "reject 3");
	check(ruleset, "in tcp from 2001:db8::1 to 23", "reject 5");
	check(ruleset, "in tcp from 192.0.2.7 to 23", "allow 4");
	ruleset_free(ruleset);
}

static void test_ends_of_the_number_lines(void **state) {
	struct ruleset *ruleset = loaded("essentials off\n"
					 "allow in tcp 0\nallow in tcp 65535\n"
					 "allow in tcp 5 from 0.0.0.0\nallow in tcp 5 from 255.255.255.255\n"
					 "allow in tcp 5 from ::\n"
					 "allow in tcp 5 from ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
					 "allow in tcp 5 from 10.0.0.1\nallow in tcp 5 from 10.0.0.3\n"
					 "allow in tcp 5 from 2001:db8::1\n");

	(void)state;
	check(ruleset, "in tcp from 1.1.1.1 to 0", "allow 2");
	check(ruleset, "in tcp from 1.1.1.1 to 1", "drop default");
	check(ruleset, "in tcp from 1.1.1.1 to 65534", "drop default");
	check(ruleset, "in tcp from 1.1.1.1 to 65535", "allow 3");
	check(ruleset, "in tcp from 0.0.0.0 to 5", "allow 4");
	check(ruleset, "in tcp from 0.0.0.1 to 5", "drop default");
	check(ruleset, "in tcp from 255.255.255.254 to 5", "drop default");
	check(ruleset, "in tcp from 255.255.255.255 to 5", "allow 5");
	check(ruleset, "in tcp from :: to [2001:db8::2]:5", "allow 6");
	check(ruleset, "in tcp from ::1 to [2001:db8::2]:5", "drop default");
	check(ruleset, "in tcp from ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff to 5", "allow 7");
	check(ruleset, "in tcp from ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe to 5", "drop default");
	check(ruleset, "in tcp from 10.0.0.1 to 5", "allow 8");
	check(ruleset, "in tcp from 10.0.0.2 to 5", "drop default");
	check(ruleset, "in tcp from 10.0.0.3 to 5", "allow 9");
	check(ruleset, "in tcp from 2001:db8::1 to 5", "allow 10");
	ruleset_free(ruleset);
}

static void test_unknown_interface_matches_only_rules_without(void **state) {
	struct ruleset *ruleset = loaded("essentials off\n"
					 "drop in tcp 22 on eth*\n"
					 "reject in tcp 22 on not eth0\n"
					 "allow in tcp 22\n");

	(void)state;
	check(ruleset, "in tcp to 22", "allow 4");
	check(ruleset, "in tcp to 22 on eth0", "drop 2");
	check(ruleset, "in tcp to 22 on wg0", "reject 3");
	ruleset_free(ruleset);
}

static char *text_of_rules(size_t count, const char *format) {
	size_t room = count * 64 + 64, length;
	char *text = malloc(room);

	assert_non_null(text);
	length = snprintf(text, room, "essentials off\n");
	for (size_t i = 0; i < count; i++) {
		char addr[32];
		snprintf(addr, sizeof(addr), "10.%zu.%zu.%zu", i >> 16, (i >> 8) & 255, i & 255);
		length += snprintf(text + length, room - length, "%s", format);
		length += snprintf(text + length, room - length, "%s\n", addr);
	}
	return text;
}

/* Lists longer than any that is read in a row: each rule is still found, and the line is right. */
static void test_many_addresses_on_one_port(void **state) {
	enum { COUNT = 20000 };
	char *text = text_of_rules(COUNT, "allow in tcp 22,80,443 from ");
	struct ruleset *ruleset = loaded(text);
	struct question question = ask("in tcp from 10.0.0.0 to 443");

	(void)state;
	for (size_t i = 0; i < COUNT; i += 7) {
		question.from.bytes[13] = i >> 16;
		question.from.bytes[14] = i >> 8;
		question.from.bytes[15] = i;
		struct answer answer = eval(ruleset, &question);
		assert_non_null(answer.rule);
		assert_int_equal(answer.rule->place.line, i + 2);
	}
	check(ruleset, "in tcp from 11.0.0.0 to 443", "drop default");
	check(ruleset, "in tcp from 10.0.0.9 to 444", "drop default");
	ruleset_free(ruleset);
	free(text);
}

/* Lists of the same length on two ports are still two lists. */
static void test_two_ports_with_different_sources(void **state) {
	char text[4096];
	size_t length = snprintf(text, sizeof(text), "essentials off\n");

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		length += snprintf(text + length, sizeof(text) - length, "allow in tcp %u from 10.0.0.%u\n",
				   i & 1 ? 22 : 80, i);
	struct ruleset *ruleset = loaded(text);
	check(ruleset, "in tcp from 10.0.0.4 to 80", "allow 6");
	check(ruleset, "in tcp from 10.0.0.4 to 22", "drop default");
	check(ruleset, "in tcp from 10.0.0.5 to 22", "allow 7");
	check(ruleset, "in tcp from 10.0.0.5 to 80", "drop default");
	ruleset_free(ruleset);
}

/* For `out` the remote side is `to`. */
static void test_many_addresses_out(void **state) {
	char *text = text_of_rules(3000, "reject out tcp 25 to ");
	struct ruleset *ruleset = loaded(text);

	(void)state;
	check(ruleset, "out tcp to 10.0.1.2:25", "reject 260");
	check(ruleset, "out tcp from 10.0.1.2 to 192.0.2.1:25", "allow default");
	ruleset_free(ruleset);
	free(text);
}

/* More port ranges than the index spreads: they are found one by one, with the same answer. */
static void test_more_ports_than_the_index_spreads(void **state) {
	enum { RULES = 40, PORTS = 6000 };
	size_t room = (size_t)RULES * (PORTS * 6 + 100), length = 0;
	char *text = malloc(room);
	struct ruleset *ruleset;

	(void)state;
	assert_non_null(text);
	length += snprintf(text, room, "essentials off\n");
	for (size_t rule = 0; rule < RULES; rule++) {
		length += snprintf(text + length, room - length, "allow in tcp ");
		for (size_t port = 0; port < PORTS; port++)
			length +=
			    snprintf(text + length, room - length, "%s%zu", port ? "," : "", 1 + 10 * port);
		length += snprintf(text + length, room - length, " from 10.0.0.%zu\n", rule);
	}
	ruleset = loaded(text);
	check(ruleset, "in tcp from 10.0.0.0 to 1", "allow 2");
	check(ruleset, "in tcp from 10.0.0.39 to 59991", "allow 41");
	check(ruleset, "in tcp from 10.0.0.39 to 59992", "drop default");
	check(ruleset, "in udp from 10.0.0.39 to 59991", "drop default");
	ruleset_free(ruleset);
	free(text);
}

static void test_expectations(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	assert_null(load_text("essentials off\n"
			      "allow in tcp 22 from 192.0.2.0/24\n"
			      "drop in any\n"
			      "expect allow in tcp from 192.0.2.7 to 22\n"
			      "expect allow in tcp from 203.0.113.9 to 22\n"
			      "expect drop out tcp to 192.0.2.7:80\n",
			      NULL, &diagnostics));
	assert_int_equal(diagnostics.errors, 2);
	assert_int_equal(diagnostics.items[0].line, 5);
	assert_string_equal(diagnostics.items[0].message,
			    "expected allow, but drop by line 3 (`drop in any`); "
			    "line 2 would allow it but for the source");
	assert_string_equal(diagnostics.items[0].source, "expect allow in tcp from 203.0.113.9 to 22");
	assert_int_equal(diagnostics.items[1].line, 6);
	assert_string_equal(diagnostics.items[1].message, "expected drop, but allow by default out allow");
	diagnostics_free(&diagnostics);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_agrees_with_judge),
	    cmocka_unit_test(test_first_match_wins),
	    cmocka_unit_test(test_families_stay_apart),
	    cmocka_unit_test(test_ends_of_the_number_lines),
	    cmocka_unit_test(test_unknown_interface_matches_only_rules_without),
	    cmocka_unit_test(test_many_addresses_on_one_port),
	    cmocka_unit_test(test_two_ports_with_different_sources),
	    cmocka_unit_test(test_many_addresses_out),
	    cmocka_unit_test(test_more_ports_than_the_index_spreads),
	    cmocka_unit_test(test_expectations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
