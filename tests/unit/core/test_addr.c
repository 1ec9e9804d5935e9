/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses, prefixes and ranges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/core/addr.h"

static struct addr addr(const char *text) {
	struct addr parsed;

	if (!addr_parse(text, &parsed))
		fail_msg("%s does not parse", text);
	return parsed;
}

static struct addr_range range(const char *text) {
	struct addr_range parsed;
	const char *why = "";

	if (!addr_range_parse(text, &parsed, &why))
		fail_msg("%s does not parse: %s", text, why);
	return parsed;
}

static void addresses_print_in_canonical_form(void **state) {
	static const struct {
		const char *text, *canonical;
	} cases[] = {
	    {"192.0.2.7", "192.0.2.7"},
	    {"0.0.0.0", "0.0.0.0"},
	    {"255.255.255.255", "255.255.255.255"},
	    {"::", "::"},
	    {"::1", "::1"},
	    {"1::", "1::"},
	    {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
	    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one group is not shortened */
	    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* the longest run */
	    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of equals */
	    {"0:0:1:2:3:4:0:0", "::1:2:3:4:0:0"},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {"::1.2.3.4", "::102:304"},
	    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
	};
	char text[ADDR_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr parsed = addr(cases[i].text), again;

		assert_string_equal(addr_print(&parsed, text), cases[i].canonical);
		again = addr(text);
		assert_true(addr_equal(&parsed, &again));
	}
}

static void what_is_no_address_is_refused(void **state) {
	static const char *const cases[] = {
	    "",
	    " ",
	    "1",
	    "1.2.3",
	    "1.2.3.4.5",
	    "1.2.3.256",
	    "1.2.3.04",
	    "1.2.3.4 ",
	    " 1.2.3.4",
	    "1.2.3.4x",
	    "1..3.4",
	    "1.2.3.",
	    ".1.2.3",
	    "-1.2.3.4",
	    "1.2.3.4444",
	    "0x1.2.3.4",
	    ":",
	    ":::",
	    "1::2::3",
	    "12345::",
	    "g::",
	    "1:2:3:4:5:6:7",
	    "1:2:3:4:5:6:7:8:9",
	    "fe80::1%eth0",
	    "[::1]",
	    "::ffff:1.2.3.4",
	    "::ffff:102:304",
	    "localhost",
	};
	struct addr untouched;

	(void)state;
	memset(&untouched, 0x5a, sizeof untouched);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr parsed = untouched;

		if (addr_parse(cases[i], &parsed))
			fail_msg("%s parses", cases[i]);
		assert_memory_equal(&parsed, &untouched, sizeof parsed);
	}
}

static void families_are_told_apart(void **state) {
	struct addr four = addr("192.0.2.7"), six = addr("2001:db8::1"), low = addr("::1");

	(void)state;
	assert_int_equal(addr_family(&four), FAMILY_IPV4);
	assert_int_equal(addr_family(&six), FAMILY_IPV6);
	assert_int_equal(addr_family(&low), FAMILY_IPV6);
}

static void endpoints_bracket_ipv6(void **state) {
	struct addr four = addr("192.0.2.7"), six = addr("2001:db8::7");
	char text[ENDPOINT_TEXT];

	(void)state;
	assert_string_equal(endpoint_print(&four, 22, text), "192.0.2.7:22");
	assert_string_equal(endpoint_print(&six, 65535, text), "[2001:db8::7]:65535");
	six = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(endpoint_print(&six, 65535, text),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void ranges_print_in_their_shortest_form(void **state) {
	static const struct {
		const char *text, *canonical;
	} cases[] = {
	    {"192.0.2.7", "192.0.2.7"},
	    {"192.0.2.7/32", "192.0.2.7"},
	    {"192.0.2.0/24", "192.0.2.0/24"},
	    {"192.0.2.0-192.0.2.255", "192.0.2.0/24"},
	    {"192.0.2.0-192.0.2.254", "192.0.2.0-192.0.2.254"},
	    {"0.0.0.0/0", "0.0.0.0/0"},
	    {"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
	    {"::/0", "::/0"},
	    {"::/80", "::/80"},
	    {"2001:db8::/33", "2001:db8::/33"},
	    {"2001:db8::1/128", "2001:db8::1"},
	    {"2001:db8::-2001:db8::2", "2001:db8::-2001:db8::2"},
	};
	char text[ADDR_RANGE_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr_range parsed = range(cases[i].text), again;

		assert_string_equal(addr_range_print(&parsed, text), cases[i].canonical);
		again = range(text);
		assert_memory_equal(&parsed, &again, sizeof parsed);
	}
}

static void bad_ranges_are_refused_with_the_reason(void **state) {
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"192.0.2.7/24", "bits are set behind the prefix length"},
	    {"2001:db8::1/64", "bits are set behind the prefix length"},
	    {"192.0.2.0/33", "the prefix length is not 0 to 32"},
	    {"192.0.2.0/", "the prefix length is not 0 to 32"},
	    {"192.0.2.0/024", "the prefix length is not 0 to 32"},
	    {"192.0.2.0/-1", "the prefix length is not 0 to 32"},
	    {"192.0.2.0/255.255.255.0", "the prefix length is not 0 to 32"},
	    {"2001:db8::/129", "the prefix length is not 0 to 128"},
	    {"x/8", "not an address before the /"},
	    {"192.0.2.9-192.0.2.1", "the range runs from high to low"},
	    {"192.0.2.9-2001:db8::", "the range mixes IPv4 and IPv6"},
	    {"192.0.2.9-", "not an address on both sides of the -"},
	    {"-192.0.2.9", "not an address on both sides of the -"},
	    {"192.0.2.1-192.0.2.2-192.0.2.3", "not an address on both sides of the -"},
	    {"192.0.2.1-192.0.2.0/24", "not an address on both sides of the -"},
	    {"::ffff:192.0.2.1", "an IPv4-mapped address: write the IPv4 address"},
	    {"", "not an address"},
	    {"1111111111111111111111111111111111111111111111111111111111111111111111", "not an address"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr_range parsed;
		const char *why = NULL;

		assert_false(addr_range_parse(cases[i].text, &parsed, &why));
		assert_string_equal(why, cases[i].why);
	}
}

static void ipv6_ranges_hold_no_ipv4_address(void **state) {
	struct addr_range all = range("::/0"), first = range("::/80"), ipv4 = range("0.0.0.0/0");
	struct addr four = addr("192.0.2.7"), six = addr("2001:db8::1"), low = addr("::fffe:1:1");

	(void)state;
	assert_false(addr_range_contains(&all, &four));
	assert_true(addr_range_contains(&all, &six));
	assert_false(addr_range_contains(&first, &four));
	assert_int_equal(addr_family(&first.hi), FAMILY_IPV6);
	assert_true(addr_range_contains(&first, &low));
	assert_true(addr_range_contains(&ipv4, &four));
	assert_false(addr_range_contains(&ipv4, &six));
	assert_false(addr_range_contains(&ipv4, &low));
}

static void lists_are_sorted_and_merged(void **state) {
	struct addr_range ranges[] = {
	    range("::/0"),      range("10.0.0.0/9"),      range("2001:db8::/32"), range("10.128.0.0/9"),
	    range("192.0.2.7"), range("192.0.2.5"),       range("192.0.2.6"),     range("192.0.2.9"),
	    range("192.0.2.9"), range("255.255.255.255"), range("10.3.0.0/16"),
	};
	static const char *const expected[] = {"10.0.0.0/8", "192.0.2.5-192.0.2.7", "192.0.2.9",
					       "255.255.255.255", "::/0"};
	size_t count = addr_ranges_normalize(ranges, sizeof ranges / sizeof *ranges);
	char text[ADDR_RANGE_TEXT];

	(void)state;
	assert_int_equal(count, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(addr_range_print(&ranges[i], text), expected[i]);
	assert_int_equal(addr_ranges_normalize(ranges, count), count);
	assert_int_equal(addr_ranges_normalize(NULL, 0), 0);
}

/* The end of the IPv4 addresses adjoins an IPv6 address on the number line. */
static void families_are_not_merged(void **state) {
	struct addr_range ranges[] = {range("::fffe:ffff:ffff"), range("0.0.0.0/0"), range("::1:0:0:0")};

	(void)state;
	assert_int_equal(addr_ranges_normalize(ranges, 3), 3);
}

static bool contains_slowly(const struct addr_range *ranges, size_t count, const struct addr *one) {
	for (size_t i = 0; i < count; i++)
		if (addr_range_contains(&ranges[i], one))
			return true;
	return false;
}

static struct addr random_addr(unsigned *seed) {
	static const char *const bases[] = {"10.0.0.0",         "::",       "2001:db8::", "255.255.255.0",
					    "::fffe:ffff:ff00", "::1:0:0:0"};
	struct addr one = addr(bases[rand_r(seed) % 6]);

	one.bytes[15] = (uint8_t)(rand_r(seed) % 64 * 4 + 3);
	return one;
}

static void search_agrees_with_trying_each(void **state) {
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct addr_range ranges[8];
		size_t count = (size_t)(rand_r(&seed) % 8);

		for (size_t i = 0; i < count; i++) {
			struct addr lo = random_addr(&seed);

			ranges[i] = (struct addr_range){lo, lo};
			if (ranges[i].hi.bytes[15] < 200)
				ranges[i].hi.bytes[15] += (uint8_t)(rand_r(&seed) % 40);
		}
		if (count && round % 5 == 0)
			ranges[0] = range("::/0");
		count = addr_ranges_normalize(ranges, count);
		for (int i = 0; i < 20; i++) {
			struct addr one = random_addr(&seed);

			assert_int_equal(addr_ranges_contain(ranges, count, &one),
					 contains_slowly(ranges, count, &one));
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_print_in_canonical_form),
	    cmocka_unit_test(what_is_no_address_is_refused),
	    cmocka_unit_test(families_are_told_apart),
	    cmocka_unit_test(endpoints_bracket_ipv6),
	    cmocka_unit_test(ranges_print_in_their_shortest_form),
	    cmocka_unit_test(bad_ranges_are_refused_with_the_reason),
	    cmocka_unit_test(ipv6_ranges_hold_no_ipv4_address),
	    cmocka_unit_test(lists_are_sorted_and_merged),
	    cmocka_unit_test(families_are_not_merged),
	    cmocka_unit_test(search_agrees_with_trying_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
