/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory that runs out at any one point, and from any one point on, while rules are loaded: they
 * are refused with an error, or loaded as if nothing had been; nothing is lost or freed twice
 * (AddressSanitizer watches).
 *
 * The allocating functions are behind --wrap: see tests.mk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../memory_world.h"
#include "sallyport/core/print.h"

/* ---- memory that runs out ---- */

static struct {
	bool on, lasting;
	size_t count; /* of allocations since */
	size_t fails; /* the one that does, from 1 */
} shortage;

static bool is_short(void) {
	if (!shortage.on)
		return false;
	shortage.count++;
	return shortage.count == shortage.fails || (shortage.lasting && shortage.count > shortage.fails);
}

#define WRAPPED(type, name, parameters, arguments)                                                           \
	type __real_##name parameters;                                                                       \
	type __wrap_##name parameters;                                                                       \
	type __wrap_##name parameters {                                                                      \
		return is_short() ? NULL : __real_##name arguments;                                          \
	}

WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, (void *old, size_t size), (old, size))
WRAPPED(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
WRAPPED(char *, strdup, (const char *text), (text))
WRAPPED(char *, strndup, (const char *text, size_t length), (text, length))

/* ---- rules that use everything ---- */

static const char everything[] = "default in drop\n"
				 "on-failure closed\n"
				 "timeout established 2h\n"
				 "set office = 192.0.2.0/24, 2001:db8:1::/48\n"
				 "set blocked from file \"blocked.txt\"\n"
				 "include \"more.rules\"\n"
				 "service game = tcp 7000, udp 7000-7010\n"
				 "drop in any from @blocked\n"
				 "allow in ssh from @office\n"
				 "allow in http,https,game\n"
				 "allow in tcp 8000-8999,9090 on eth1\n"
				 "allow in tcp,udp 53 from not 10.0.0.0/8\n"
				 "drop in log telnet\n"
				 "reject in tcp 113\n"
				 "allow in icmp echo-request\n"
				 "allow in icmpv6 echo-request from 2000::/3\n"
				 "allow in gre from 198.51.100.1 to 198.51.100.2\n"
				 "reject out tcp 25 to not 198.51.100.25\n"
				 "expect allow in tcp from 192.0.2.8 to 22\n"
				 "expect drop in tcp from 203.0.113.9 to 22\n";

static const struct memory_file good_files[] = {
    {"test.rules", everything},
    {"blocked.txt", "203.0.113.0/24 # them\n2001:db8:bad::/48\n"},
    {"more.rules", "allow in udp 5000-5999 from 198.51.100.0/24\nset late = 203.0.113.1\n"},
    {NULL, NULL},
};

static const struct memory_file bad_files[] = {
    {"test.rules", "allow in tcp\nset x =\nallow in nosuch\nallow in tcp 22 from @late\n"
		   "set late = 192.0.2.1\nservice a = tcp 99999\nexpect allow in tcp to 1\n"},
    {NULL, NULL},
};

static struct ruleset *load_short(const struct memory_file *files, size_t fails, bool lasting,
				  struct diagnostics *diagnostics) {
	struct world world = memory_world(files);
	struct ruleset *ruleset;

	shortage.on = true;
	shortage.count = 0;
	shortage.fails = fails;
	shortage.lasting = lasting;
	ruleset = ruleset_load("test.rules", &world, diagnostics);
	shortage.on = false;
	return ruleset;
}

/* Whoever reads them learns all that is wrong, or that there was no memory to note it. */
static void check_says_why(const struct diagnostics *diagnostics, bool nothing_else_is_wrong) {
	bool whole = diagnostics->count == diagnostics->errors + diagnostics->warnings;
	char *text = diagnostics_text(diagnostics);

	assert_true(diagnostics->errors > 0);
	assert_non_null(text);
	assert_true(strstr(text, "ut of memory") || (whole && !nothing_else_is_wrong));
	free(text);
}

/* Fails the first allocation, then the second, ... until loading needs no more. */
static void check_every_point(const struct memory_file *files, bool lasting, bool loads) {
	struct diagnostics diagnostics = {0};
	struct ruleset *whole = load_short(files, SIZE_MAX, false, &diagnostics);
	size_t needed = shortage.count;

	assert_true(loads == (whole != NULL));
	diagnostics_free(&diagnostics);
	assert_true(needed > 20);
	for (size_t fails = 1; fails <= needed; fails++) {
		struct ruleset *ruleset = load_short(files, fails, lasting, &diagnostics);

		if (ruleset)
			assert_true(loads && ruleset_equal(whole, ruleset));
		else
			check_says_why(&diagnostics, loads);
		ruleset_free(ruleset);
		diagnostics_free(&diagnostics);
	}
	ruleset_free(whole);
}

static void test_good_rules_with_one_allocation_that_fails(void **state) {
	(void)state;
	check_every_point(good_files, false, true);
}

static void test_good_rules_with_memory_used_up(void **state) {
	(void)state;
	check_every_point(good_files, true, true);
}

static void test_bad_rules_with_one_allocation_that_fails(void **state) {
	(void)state;
	check_every_point(bad_files, false, false);
}

static void test_bad_rules_with_memory_used_up(void **state) {
	(void)state;
	check_every_point(bad_files, true, false);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_rules_with_one_allocation_that_fails),
	    cmocka_unit_test(test_good_rules_with_memory_used_up),
	    cmocka_unit_test(test_bad_rules_with_one_allocation_that_fails),
	    cmocka_unit_test(test_bad_rules_with_memory_used_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
