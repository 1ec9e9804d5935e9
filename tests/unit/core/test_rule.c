/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of a rule, each matched alone; port lists; names.
 */
#include <stdio.h>
#include <string.h>

#include "must_load.h"

static struct ruleset *with_rule(const char *rule) {
	char text[512];

	snprintf(text, sizeof text,
		 "essentials off\nset s = 192.0.2.0/24, 2001:db8::/32\nset t = 198.51.100.1\n%s\n", rule);
	return must_load(text);
}

static bool from_matches(const char *rule, const char *address) {
	struct ruleset *ruleset = with_rule(rule);
	struct addr addr;
	bool matches;

	assert_true(addr_parse(address, &addr));
	matches = addr_list_matches(&ruleset->rules[0].from, &addr);
	ruleset_free(ruleset);
	return matches;
}

static void address_lists_match_any_of_their_items(void **state) {
	(void)state;
	assert_true(from_matches("allow in any", "192.0.2.1"));
	assert_true(from_matches("allow in any from 192.0.2.1", "192.0.2.1"));
	assert_false(from_matches("allow in any from 192.0.2.1", "192.0.2.2"));
	assert_true(from_matches("allow in any from @t,@s", "192.0.2.1"));
	assert_true(from_matches("allow in any from 10.0.0.0/8,@t,@s", "2001:db8::1"));
	assert_true(from_matches("allow in any from 10.0.0.0/8,@t,@s", "10.1.1.1"));
	assert_false(from_matches("allow in any from 10.0.0.0/8,@t,@s", "203.0.113.1"));
}

static void not_means_none_of_them(void **state) {
	(void)state;
	assert_false(from_matches("allow in any from not 10.0.0.0/8,@t,@s", "2001:db8::1"));
	assert_false(from_matches("allow in any from not 10.0.0.0/8,@t,@s", "198.51.100.1"));
	assert_false(from_matches("allow in any from not 10.0.0.0/8,@t,@s", "10.1.1.1"));
	assert_true(from_matches("allow in any from not 10.0.0.0/8,@t,@s", "203.0.113.1"));
}

static bool on_matches(const char *rule, const char *name) {
	struct ruleset *ruleset = with_rule(rule);
	bool matches = interface_list_matches(&ruleset->rules[0].on, name);

	ruleset_free(ruleset);
	return matches;
}

static void interfaces_match_by_name_or_beginning(void **state) {
	(void)state;
	assert_true(on_matches("allow in any", NULL));
	assert_true(on_matches("allow in any on wg*,eth0", "eth0"));
	assert_true(on_matches("allow in any on wg*,eth0", "wg"));
	assert_true(on_matches("allow in any on wg*,eth0", "wg12"));
	assert_false(on_matches("allow in any on wg*,eth0", "eth01"));
	assert_false(on_matches("allow in any on wg*,eth0", "w"));
	assert_false(on_matches("allow in any on not wg*,eth0", "eth0"));
	assert_true(on_matches("allow in any on not wg*,eth0", "eth1"));
	assert_true(on_matches("allow in any on *", "anything"));
}

/* Neither `on eth0` nor `on not eth0` can be known to hold. */
static void an_unknown_interface_matches_only_rules_without_on(void **state) {
	(void)state;
	assert_false(on_matches("allow in any on eth0", NULL));
	assert_false(on_matches("allow in any on not eth0", NULL));
	assert_false(on_matches("allow in any on *", NULL));
}

static bool what_holds(const char *rule, uint8_t protocol, uint16_t port) {
	struct ruleset *ruleset = with_rule(rule);
	bool matches = what_matches(&ruleset->rules[0].what, protocol, port);

	ruleset_free(ruleset);
	return matches;
}

static void what_matches_protocol_and_port_together(void **state) {
	(void)state;
	assert_true(what_holds("allow in any", 253, 0));
	assert_true(what_holds("allow in tcp 22-24", PROTOCOL_TCP, 22));
	assert_true(what_holds("allow in tcp 22-24", PROTOCOL_TCP, 24));
	assert_false(what_holds("allow in tcp 22-24", PROTOCOL_TCP, 25));
	assert_false(what_holds("allow in tcp 22-24", PROTOCOL_TCP, 21));
	assert_false(what_holds("allow in tcp 22-24", PROTOCOL_UDP, 22));
	assert_true(what_holds("allow in split", PROTOCOL_TCP, 1000));
	assert_false(what_holds("allow in split", PROTOCOL_UDP, 1000));
	assert_true(what_holds("allow in gre,icmp", 47, 0));
	assert_true(what_holds("allow in gre,icmp", PROTOCOL_ICMP, 255));
	assert_false(what_holds("allow in icmp echo-request", PROTOCOL_ICMPV6, 8));
}

static void port_lists_are_sorted_and_merged(void **state) {
	struct port_range ranges[] = {{65535, 65535}, {10, 20},    {21, 30}, {0, 0},
				      {12, 15},       {40, 65534}, {32, 35}};
	struct port_list list = {ranges, 7}, any = {NULL, 0};

	(void)state;
	port_list_normalize(&list);
	assert_int_equal(list.count, 4);
	for (unsigned port = 0; port <= 65535; port++)
		assert_int_equal(port_list_contains(&list, (uint16_t)port),
				 port == 0 || (port >= 10 && port <= 30) || (port >= 32 && port <= 35) ||
				     port >= 40);
	assert_true(port_list_contains(&any, 22));
}

static void names_and_numbers_go_both_ways(void **state) {
	uint8_t number;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		const char *name = protocol_name((uint8_t)i),
			   *type4 = icmp_type_name(PROTOCOL_ICMP, (uint8_t)i),
			   *type6 = icmp_type_name(PROTOCOL_ICMPV6, (uint8_t)i);

		assert_true(!name || (protocol_parse(name, &number) && number == i));
		assert_true(!type4 || (icmp_type_parse(PROTOCOL_ICMP, type4, &number) && number == i));
		assert_true(!type6 || (icmp_type_parse(PROTOCOL_ICMPV6, type6, &number) && number == i));
	}
	assert_true(protocol_parse("253", &number) && number == 253);
	assert_string_equal(protocol_name(47), "gre");
	assert_string_equal(icmp_type_name(PROTOCOL_ICMPV6, 135), "nd-neighbor-solicit");
	number = 77;
	assert_false(protocol_parse("256", &number) || protocol_parse("", &number) ||
		     protocol_parse("-1", &number) || protocol_parse("TCP", &number) ||
		     protocol_parse("4294967302", &number));
	assert_int_equal(number, 77);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(address_lists_match_any_of_their_items),
	    cmocka_unit_test(not_means_none_of_them),
	    cmocka_unit_test(interfaces_match_by_name_or_beginning),
	    cmocka_unit_test(an_unknown_interface_matches_only_rules_without_on),
	    cmocka_unit_test(what_matches_protocol_and_port_together),
	    cmocka_unit_test(port_lists_are_sorted_and_merged),
	    cmocka_unit_test(names_and_numbers_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
