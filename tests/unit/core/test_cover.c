/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "this rule can never match" is said where it is plain, and never where it is false.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../load_text.h"
#include "../random_rules.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"

/* The first such warning, or NULL. */
static const struct diagnostic *find_warning(const struct diagnostics *diagnostics) {
	for (size_t i = 0; i < diagnostics->count; i++)
		if (diagnostics->items[i].severity == SEVERITY_WARNING &&
		    strstr(diagnostics->items[i].message, "can never match"))
			return &diagnostics->items[i];
	return NULL;
}

/* `expected` is what stands behind the colon; NULL: no warning. */
static void check(const char *text, const char *expected) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = load_text(text, "192.0.2.1\n", &diagnostics);
	const struct diagnostic *warning = find_warning(&diagnostics);
	const char *said = warning ? strchr(warning->message, ':') : NULL;

	if (!ruleset)
		fail_msg("%s\ndoes not load: %s", text,
			 diagnostics.count ? diagnostics.items[0].message : "?");
	if (!expected != !said || (said && strcmp(said + 2, expected) != 0))
		fail_msg("%s\nexpected: %s\ngot: %s", text, expected ? expected : "no warning",
			 warning ? warning->message : "no warning");
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
}

static void test_one_rule_covers(void **state) {
	(void)state;
	check("allow in tcp 22\ndrop in tcp 22 from 192.0.2.1\n", "line 1 (`allow in tcp 22`) covers it");
	check("drop in any\nallow in tcp 22\n", "line 1 (`drop in any`) covers it");
	check("allow in tcp\nallow in tcp 22\n", "line 1 (`allow in tcp`) covers it");
	check("allow in tcp 1-100\nallow in tcp 22,30-40\n", "line 1 (`allow in tcp 1-100`) covers it");
	check("allow in tcp 22 from 192.0.2.0/24\nallow in tcp 22 from 192.0.2.0/25,192.0.2.200\n",
	      "line 1 (`allow in tcp 22 from 192.0.2.0/24`) covers it");
	check("allow in tcp 22 on eth*\nallow in tcp 22 on eth0\n",
	      "line 1 (`allow in tcp 22 on eth*`) covers it");
	check("drop in any\ndrop in any from 192.0.2.1\n", "line 1 (`drop in any`) covers it");
	check("allow in gre\ndrop in gre from 192.0.2.1\n", "line 1 (`allow in gre`) covers it");
	check("allow out tcp to 192.0.2.0/24\nallow out tcp 25 to 192.0.2.1\n",
	      "line 1 (`allow out tcp to 192.0.2.0/24`) covers it");
	check("allow in tcp to port 22\nallow in tcp 22\n",
	      "line 1 (`allow in tcp to any port 22`) covers it");
}

static void test_sets_and_not(void **state) {
	(void)state;
	check("set a = 192.0.2.0/24\nset b = 192.0.2.7\nallow in tcp 22 from @a\nallow in tcp 22 from @b\n",
	      "line 3 (`allow in tcp 22 from @a`) covers it");
	check("allow in tcp 22 from not 192.0.2.1\nallow in tcp 22 from 192.0.2.2\n",
	      "line 1 (`allow in tcp 22 from not 192.0.2.1`) covers it");
	check("allow in tcp 22 from not 192.0.2.1\nallow in tcp 22 from not 192.0.2.0/24\n",
	      "line 1 (`allow in tcp 22 from not 192.0.2.1`) covers it");
	check("allow in tcp 22 from not 192.0.2.1\nallow in tcp 22 from 192.0.2.0/24\n", NULL);
	check("allow in tcp 22 from not 192.0.2.0/24\nallow in tcp 22 from not 192.0.2.1\n", NULL);
	check("allow in tcp 22 on not eth0\nallow in tcp 22 on eth*\n", NULL);
	check("allow in tcp 22 on not e*\nallow in tcp 22 on not eth0\n", NULL);
	check("allow in tcp 22 on not eth0\nallow in tcp 22 on not e*\n",
	      "line 1 (`allow in tcp 22 on not eth0`) covers it");
	check("allow in tcp 22 on not eth0\nallow in tcp 22 on wg0\n",
	      "line 1 (`allow in tcp 22 on not eth0`) covers it");
}

static void test_ports_together(void **state) {
	(void)state;
	check("allow in tcp 1-50\nallow in tcp 51-100\ndrop in tcp 1-100\n",
	      "line 1 and line 2 cover it together");
	check("allow in tcp 1-50\nallow in tcp 52-100\ndrop in tcp 1-100\n", NULL);
	check("allow in tcp 53\nallow in udp 53\ndrop in tcp,udp 53\n",
	      "line 1 and line 2 cover it together");
	check("allow in tcp 53\ndrop in tcp,udp 53\n", NULL);
	check("allow in tcp 1\nallow in tcp 2\nallow in tcp 3\nallow in tcp 4\nallow in tcp 5\ndrop in tcp "
	      "1-5\n",
	      "line 1, line 2, line 3, line 4 and others cover it together");
}

static void test_ports_behind_to(void **state) {
	(void)state;
	check("allow in tcp to port 22\nallow in tcp 22-30\n", NULL);
	check("allow in tcp 20-25 to port 22-30\nallow in tcp 22-30\n", NULL);
	check("allow in tcp to port 1-50\nallow in tcp to port 51-100\ndrop in tcp 1-100\n",
	      "line 1 and line 2 cover it together");
	check("allow in tcp 22\nallow in tcp 20-30 to port 22\n", "line 1 (`allow in tcp 22`) covers it");
	check("allow in tcp 22\nallow in tcp 20-30 to port 22-23\n", NULL);
}

static void test_not_covered(void **state) {
	(void)state;
	check("allow in tcp 22\nallow in udp 22\n", NULL);
	check("allow in tcp 22\nallow out tcp 22\n", NULL);
	check("allow in tcp 22 from 192.0.2.1\nallow in tcp 22\n", NULL);
	check("allow in tcp 22 on eth0\nallow in tcp 22\n", NULL);
	check("allow in tcp 22 on eth0\nallow in tcp 22 on eth*\n", NULL);
	check("allow in tcp 22 from port 1024-65535\nallow in tcp 22\n", NULL);
	check("allow in tcp\nallow in udp\nallow in icmp\nallow in any\n", NULL);
	check("allow in tcp from 0.0.0.0/0\nallow in tcp 22\n", NULL);
	check("allow in tcp 22 from 0.0.0.0/0\nallow in tcp 22 from ::/0\n", NULL);
	check("allow in tcp 22 from ::/0\nallow in tcp 22 from 192.0.2.1\n", NULL);
}

/* An empty set has a warning of its own, and may be filled tomorrow. */
static void test_empty_set_is_not_covered(void **state) {
	(void)state;
	check("set none =\nallow in tcp 22\nallow in tcp 22 from @none\n", NULL);
	check("set none =\nallow in tcp 22 from @none\nallow in tcp 22 from 192.0.2.1\n", NULL);
}

static void test_essentials_cover_and_say_so(void **state) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset =
	    load_text("drop in icmpv6 nd-neighbor-solicit on eth0\n", NULL, &diagnostics);
	const struct diagnostic *warning = find_warning(&diagnostics);

	(void)state;
	assert_non_null(ruleset);
	assert_non_null(warning);
	assert_non_null(strstr(warning->message, "an essential rule (`"));
	assert_non_null(strstr(warning->message, "covers it; `essentials off` removes that"));
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
}

static void test_warning_stands_at_the_rule(void **state) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = load_text("drop in any\n\nallow in  ssh\n", NULL, &diagnostics);
	const struct diagnostic *warning = find_warning(&diagnostics);

	(void)state;
	assert_non_null(warning);
	assert_int_equal(warning->line, 3);
	assert_string_equal(warning->file, "test.rules");
	assert_string_equal(warning->source, "allow in  ssh");
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
}

/* ---- never false ---- */

enum { SEED = 731, RULESETS = 300, TRIES = 300 };

static const struct model_rule *rule_at(const struct model *model, unsigned line) {
	for (size_t i = 0; i < model->count; i++)
		if (model->rules[i].line == line)
			return &model->rules[i];
	return NULL;
}

static void try_to_reach(struct model *model, unsigned line, const char *message) {
	const struct model_rule *rule = rule_at(model, line);

	if (!rule)
		fail_msg("%s\nno rule stands at line %u: %s", model->text, line, message);
	for (int i = 0; i < TRIES; i++) {
		struct question question = model_question_at(model, rule);
		if (model_judge(model, &question).line == line) {
			char *probe = question_print(&question);
			fail_msg("%s\nline %u: %s\nbut this reaches it: %s", model->text, line, message,
				 probe ? probe : "?");
		}
	}
}

static void test_never_warns_of_a_rule_that_matches(void **state) {
	struct model_options options = {.rules = 60};
	struct dice dice = {SEED};
	unsigned warnings = 0;

	(void)state;
	print_message("seed %d\n", SEED);
	for (int i = 0; i < RULESETS; i++) {
		struct model *model = model_new(&dice, &options);
		struct diagnostics diagnostics = {0};
		struct ruleset *ruleset = load_text(model->text, model->set_text, &diagnostics);
		assert_non_null(ruleset);
		for (size_t d = 0; d < diagnostics.count; d++) {
			const struct diagnostic *diagnostic = &diagnostics.items[d];
			if (!strstr(diagnostic->message, "can never match"))
				continue;
			try_to_reach(model, diagnostic->line, diagnostic->message);
			warnings++;
		}
		ruleset_free(ruleset);
		diagnostics_free(&diagnostics);
		model_free(model);
	}
	print_message("%u warnings tried\n", warnings);
	assert_true(warnings > 1000);
}

/* Rules that the index cannot tell apart must not make loading take for ever. */
static void test_work_is_bounded(void **state) {
	enum { COUNT = 20000 };
	size_t room = COUNT * 64, length = 0;
	char *text = malloc(room);
	struct timespec start, end;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT; i++)
		length +=
		    snprintf(text + length, room - length, "allow in tcp 22 on if%zu from port %zu\n", i, i);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	struct ruleset *ruleset = load_text(text, NULL, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_non_null(ruleset);
	assert_true(end.tv_sec - start.tv_sec < 20); /* all pairs under ASan: minutes */
	ruleset_free(ruleset);
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_rule_covers),
	    cmocka_unit_test(test_sets_and_not),
	    cmocka_unit_test(test_ports_together),
	    cmocka_unit_test(test_ports_behind_to),
	    cmocka_unit_test(test_not_covered),
	    cmocka_unit_test(test_empty_set_is_not_covered),
	    cmocka_unit_test(test_essentials_cover_and_say_so),
	    cmocka_unit_test(test_warning_stands_at_the_rule),
	    cmocka_unit_test(test_never_warns_of_a_rule_that_matches),
	    cmocka_unit_test(test_work_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
