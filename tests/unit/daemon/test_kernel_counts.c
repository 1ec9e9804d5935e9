/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's counters by name: which belong to rules, which to the guard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/daemon/kernel_counts.h"

static struct kernel_counter items[] = {
    {"rule_0", 5, 50},         {"rule_12", 7, 70},        {"rule_12x", 100, 0},     {"rule_", 100, 0},
    {"rule_-1", 100, 0},       {"default_in", 3, 30},     {"guard_in_pass", 10, 0}, {"guard_in_drop", 20, 0},
    {"guard_out_pass", 40, 0}, {"guard_out_drop", 80, 0}, {"bogus_flags", 1000, 0},
};

static const struct kernel_counts counts = {items, sizeof(items) / sizeof(items[0])};

static void test_rules_by_index(void **state) {
	uint64_t *packets = kernel_counts_by_rule(&counts, 13);

	(void)state;
	assert_non_null(packets);
	for (size_t i = 0; i < 13; i++)
		assert_int_equal(packets[i], i == 0 ? 5 : i == 12 ? 7 : 0);
	free(packets);
}

/* A counter of an older, longer ruleset must not write beyond the array. */
static void test_index_beyond_the_ruleset(void **state) {
	uint64_t *packets = kernel_counts_by_rule(&counts, 12);

	(void)state;
	assert_non_null(packets);
	assert_int_equal(packets[0], 5);
	assert_int_equal(packets[11], 0);
	free(packets);
}

static void test_by_name(void **state) {
	(void)state;
	assert_int_equal(kernel_counts_packets(&counts, "default_in"), 3);
	assert_int_equal(kernel_counts_packets(&counts, "default_out"), 0);
	assert_int_equal(kernel_counts_guard(&counts), 150);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules_by_index),
	    cmocka_unit_test(test_index_beyond_the_ruleset),
	    cmocka_unit_test(test_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
