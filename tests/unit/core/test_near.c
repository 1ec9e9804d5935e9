/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Near misses: the rules that a person asking "why?" would want to see, and no others.
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
#include "sallyport/core/eval.h"

enum { MAX = 8 };

/* "2 the source, 5 the port": line and condition of each near miss. */
static void near_text(const struct ruleset *ruleset, const char *probe, size_t max, char *text, size_t room) {
	static const struct world world;
	struct near_miss misses[MAX];
	struct question question;
	struct error err;
	size_t length = 0;

	if (!probe_parse(probe, NULL, &world, &question, &err))
		fail_msg("%s: %s", probe, err.text);
	struct answer answer = eval(ruleset, &question);
	size_t count = near_misses(ruleset, &question, &answer, misses, max);
	free((char *)question.interface);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		length += snprintf(text + length, room - length, "%s%u %s", i ? ", " : "",
				   misses[i].rule->place.line, condition_text(misses[i].condition));
}

static void check(const char *rules, const char *probe, const char *expected) {
	struct ruleset *ruleset = load_text(rules, NULL, NULL);
	char text[256];

	assert_non_null(ruleset);
	near_text(ruleset, probe, MAX, text, sizeof(text));
	if (strcmp(text, expected) != 0)
		fail_msg("%s\nquestion: %s\nexpected: %s\ngot: %s", rules, probe, expected, text);
	ruleset_free(ruleset);
}

static void test_each_condition(void **state) {
	(void)state;
	check("allow in tcp 22 from 192.0.2.0/24\n", "in tcp from 203.0.113.9 to 22", "1 the source");
	check("allow in tcp 22\n", "in tcp from 203.0.113.9 to 23", "1 the port");
	check("allow in udp 53\n", "in tcp from 203.0.113.9 to 53", "1 the protocol");
	check("allow in tcp 22 to 192.0.2.1\n", "in tcp from 203.0.113.9 to 192.0.2.2:22",
	      "1 the destination");
	check("allow in tcp 22 from port 1024-65535\n", "in tcp from 203.0.113.9:22 to 22",
	      "1 the source port");
	check("allow in tcp to port 22\n", "in tcp from 203.0.113.9:22 to 23", "1 the port");
	check("allow in tcp 22 on eth0\n", "in tcp to 22 on eth1", "1 the interface");
	check("allow in tcp 22 on eth0\n", "in tcp to 22", "1 the interface");
	check("essentials off\nallow in icmp echo-request\n", "in icmp 13 from 192.0.2.1", "2 the ICMP type");
}

static void test_more_than_one_condition_is_no_near_miss(void **state) {
	(void)state;
	check("allow in tcp 22 from 192.0.2.0/24\n", "in tcp from 203.0.113.9 to 23", "");
	check("allow in udp 53\n", "in tcp from 203.0.113.9 to 54", "");
	check("allow in gre\n", "in tcp from 203.0.113.9 to 54", "");
}

static void test_the_same_ping_in_the_other_family(void **state) {
	(void)state;
	check("essentials off\nallow in icmp echo-request\n", "in icmpv6 echo-request from 2001:db8::1",
	      "2 the protocol");
	check("essentials off\nallow in icmp echo-request\n", "in icmpv6 echo-reply from 2001:db8::1", "");
}

static void test_only_other_answers(void **state) {
	(void)state;
	check("drop in tcp 22 from 192.0.2.0/24\n", "in tcp from 203.0.113.9 to 22", "");
	check("reject in tcp 22 from 192.0.2.0/24\n", "in tcp from 203.0.113.9 to 22", "1 the source");
	check("allow out tcp 22 from 192.0.2.0/24\n", "in tcp from 203.0.113.9 to 22", "");
}

/* What stands behind the deciding rule would change nothing if it held. */
static void test_only_rules_before_the_deciding_one(void **state) {
	(void)state;
	check("allow in tcp 22 from 192.0.2.0/24\n"
	      "drop in tcp from 203.0.113.0/24\n"
	      "allow in tcp 22 from 198.51.100.0/24\n",
	      "in tcp from 203.0.113.9 to 22", "1 the source");
}

static void test_essentials_are_left_out(void **state) {
	struct ruleset *ruleset = load_text("", NULL, NULL);
	static const char *const probes[] = {"in tcp to 22", "in udp from 192.0.2.1:67 to 68",
					     "in icmpv6 echo-request from 2001:db8::1", "in udp to 546"};

	(void)state;
	assert_non_null(ruleset);
	assert_true(ruleset->count > 0);
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		char text[256];
		near_text(ruleset, probes[i], MAX, text, sizeof(text));
		assert_string_equal(text, "");
	}
	ruleset_free(ruleset);
}

static void test_no_more_than_asked_for(void **state) {
	struct ruleset *ruleset = load_text("allow in tcp 22 from 192.0.2.1\nallow in tcp 22 from 192.0.2.2\n"
					    "allow in tcp 22 from 192.0.2.3\n",
					    NULL, NULL);
	char text[256];

	(void)state;
	assert_non_null(ruleset);
	near_text(ruleset, "in tcp to 22", 2, text, sizeof(text));
	assert_string_equal(text, "1 the source, 2 the source");
	ruleset_free(ruleset);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_condition),
	    cmocka_unit_test(test_more_than_one_condition_is_no_near_miss),
	    cmocka_unit_test(test_the_same_ping_in_the_other_family),
	    cmocka_unit_test(test_only_other_answers),
	    cmocka_unit_test(test_only_rules_before_the_deciding_one),
	    cmocka_unit_test(test_essentials_are_left_out),
	    cmocka_unit_test(test_no_more_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
