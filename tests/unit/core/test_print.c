/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Printing: lines of any length load again, quoting, durations, and what ruleset_equal sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "must_load.h"
#include "sallyport/core/print.h"

static size_t longest_line(const char *text) {
	size_t longest = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		longest = length > longest ? length : longest;
		text += length + (text[length] == '\n');
	}
	return longest;
}

static struct ruleset *reload(const struct ruleset *ruleset) {
	char *text = ruleset_print(ruleset);
	struct ruleset *again = must_load(text);

	free(text);
	return again;
}

/* A line of the file has a bound, a list has none. */
static void long_lists_are_continued(void **state) {
	enum { ITEMS = 20000 };
	char *text = malloc(ITEMS * 64), *printed;
	struct ruleset *ruleset, *again;
	size_t length = 0;

	(void)state;
	assert_non_null(text);
	length += (size_t)sprintf(text, "set big = 10.0.0.1");
	for (int i = 1; i < ITEMS; i++)
		length += (size_t)sprintf(text + length, ", \\\n10.0.%d.%d", i >> 7, (i & 127) * 2 + 1);
	length += (size_t)sprintf(text + length, "\nservice many = tcp 1");
	for (int i = 1; i < ITEMS; i++)
		length += (size_t)sprintf(text + length, ", \\\n%d", i * 2 + 1);
	length += (size_t)sprintf(text + length, "\nallow in tcp not 1");
	for (int i = 1; i < ITEMS; i++)
		length += (size_t)sprintf(text + length, ", \\\n%d", i * 2 + 1);
	strcpy(text + length, "\n");
	ruleset = must_load(text);
	assert_int_equal(ruleset->sets[0]->count, ITEMS);
	printed = ruleset_print(ruleset);
	assert_true(longest_line(printed) < 200);
	again = reload(ruleset);
	assert_true(ruleset_equal(ruleset, again));
	ruleset_free(ruleset);
	ruleset_free(again);
	free(printed);
	free(text);
}

static void one_rule_prints_on_one_line(void **state) {
	struct ruleset *ruleset =
	    must_load("essentials off\nallow in tcp not 1,3,5,7,9,11,13,15,17,19,21,23,25,27,"
		      "29,31,33,35,37,39,41,43,45,47,49,51,53,55,57,59,61,63,65,67,69,71,73,75\n");
	char *text = rule_print(&ruleset->rules[0]);

	(void)state;
	assert_null(strchr(text, '\n'));
	assert_true(strlen(text) > 100);
	free(text);
	ruleset_free(ruleset);
}

static void essentials_are_left_out_of_the_whole(void **state) {
	struct ruleset *ruleset = must_load("allow in ssh\n");
	char *text = ruleset_print(ruleset), *rule = rule_print(&ruleset->rules[0]);

	(void)state;
	assert_string_equal(text, "default in drop\ndefault out allow\nallow in ssh\n");
	assert_string_equal(rule, "allow in any on lo");
	free(rule);
	free(text);
	ruleset_free(ruleset);
}

static void paths_are_quoted(void **state) {
	const struct memory_file files[] = {
	    {"a", "set odd from file \"b \\\"c\\\\ #d\"\n"}, {"b \"c\\ #d", "192.0.2.1\n"}, {NULL, NULL}};
	struct world world = memory_world(files);
	struct diagnostics diagnostics;
	struct ruleset *ruleset = ruleset_load("a", &world, &diagnostics);
	char *text;

	(void)state;
	assert_non_null(ruleset);
	assert_string_equal(ruleset->sets[0]->file, "b \"c\\ #d");
	text = ruleset_print(ruleset);
	assert_non_null(strstr(text, "\nset odd from file \"b \\\"c\\\\ #d\"\n"));
	free(text);
	diagnostics_free(&diagnostics);
	ruleset_free(ruleset);
}

static void durations_print_in_their_shortest_form(void **state) {
	static const struct {
		uint32_t seconds;
		const char *text;
	} cases[] = {{1, "1s"},     {59, "59s"},         {60, "1m"},         {61, "1m1s"},   {7440, "2h4m"},
		     {86400, "1d"}, {90061, "1d1h1m1s"}, {31536000, "365d"}, {3601, "1h1s"}, {0, "0s"}};
	char text[32];
	uint32_t seconds;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_string_equal(duration_print(cases[i].seconds, text), cases[i].text);
		if (cases[i].seconds) {
			assert_true(duration_parse(text, &seconds));
			assert_int_equal(seconds, cases[i].seconds);
		}
	}
}

/* Each of these texts differs from each other in one thing that must not get lost. */
static void equal_sees_every_difference(void **state) {
	static const char *const texts[] = {
	    "",
	    "default in reject\n",
	    "default out drop\n",
	    "essentials off\n",
	    "pickup on\n",
	    "inspect all\n",
	    "on-failure closed\n",
	    "busy never\n",
	    "busy above 7/s\n",
	    "mark 0xf0\n",
	    "connections 64\n",
	    "timeout udp 7s\n",
	    "set a = 192.0.2.1\n",
	    "set b = 192.0.2.1\n",
	    "set a = 192.0.2.1,192.0.2.3\n",
	    "set a = 192.0.2.2\n",
	    "service a = tcp 1\n",
	    "service b = tcp 1\n",
	    "service a = tcp 2\n",
	    "service a = udp 1\n",
	    "allow in tcp 22\n",
	    "drop in tcp 22\n",
	    "allow out tcp 22\n",
	    "allow in log tcp 22\n",
	    "allow in tcp 22 strict\n",
	    "allow in udp 22\n",
	    "allow in tcp,udp 22\n",
	    "allow in tcp 23\n",
	    "allow in tcp\n",
	    "allow in any\n",
	    "allow in ssh\n",
	    "allow in tcp 22 from 192.0.2.1\n",
	    "allow in tcp 22 from not 192.0.2.1\n",
	    "allow in tcp 22 to 192.0.2.1\n",
	    "allow in tcp 22 from any port 1\n",
	    "allow in tcp 22 to any port 22\n",
	    "allow in tcp 22 on eth0\n",
	    "allow in tcp 22 on not eth0\n",
	    "allow in tcp 22 on eth1\n",
	    "allow in icmp 3\n",
	    "allow in tcp 22\nallow in tcp 23\n",
	    "allow in tcp 23\nallow in tcp 22\n",
	    "expect drop in tcp to 1\n",
	    "expect drop in tcp to 2\n",
	    "set a = 192.0.2.1\nset b = 192.0.2.2\nallow in any from @a\n",
	    "set a = 192.0.2.1\nset b = 192.0.2.2\nallow in any from @b\n",
	};
	enum { COUNT = sizeof texts / sizeof *texts };
	struct ruleset *rulesets[COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		rulesets[i] = must_load(texts[i]);
	for (size_t i = 0; i < COUNT; i++)
		for (size_t j = 0; j < COUNT; j++)
			if (ruleset_equal(rulesets[i], rulesets[j]) != (i == j))
				fail_msg("%s\nand\n%s", texts[i], texts[j]);
	for (size_t i = 0; i < COUNT; i++) {
		struct ruleset *again = reload(rulesets[i]);

		assert_true(ruleset_equal(rulesets[i], again));
		ruleset_free(again);
		ruleset_free(rulesets[i]);
	}
}

static void equal_does_not_see_places(void **state) {
	struct ruleset *left = must_load("allow in ssh\n"), *right = must_load("# x\n\n  allow in ssh # y\n");

	(void)state;
	right->generation = 7;
	assert_true(ruleset_equal(left, right));
	ruleset_free(left);
	ruleset_free(right);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(long_lists_are_continued),
	    cmocka_unit_test(one_rule_prints_on_one_line),
	    cmocka_unit_test(essentials_are_left_out_of_the_whole),
	    cmocka_unit_test(paths_are_quoted),
	    cmocka_unit_test(durations_print_in_their_shortest_form),
	    cmocka_unit_test(equal_sees_every_difference),
	    cmocka_unit_test(equal_does_not_see_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
