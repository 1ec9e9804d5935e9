/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules in force: counters over a reload, places of connections, and the swap
 * under the feet of threads that judge by them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules_of.h"

enum { READERS = 3, SWAPS = 500 };

/* The first rule on this line of the file. */
static size_t rule_on(const struct policy_version *version, unsigned line) {
	for (size_t i = 0; i < version->ruleset->count; i++) {
		const struct rule *rule = &version->ruleset->rules[i];

		if (!rule->essential && rule->place.line == line)
			return i;
	}
	fail_msg("no rule on line %u", line);
	return 0;
}

static struct rule_counters *counters_on(const struct policy_version *version, unsigned line) {
	return &version->counters[rule_on(version, line)];
}

static void hit(struct rule_counters *counters, uint64_t packets, uint64_t connections, uint32_t when) {
	atomic_store(&counters->packets, packets);
	atomic_store(&counters->connections, connections);
	atomic_store(&counters->last_hit, when);
}

static void assert_hits(struct rule_counters *counters, uint64_t packets, uint64_t connections,
			uint32_t when) {
	assert_int_equal(atomic_load(&counters->packets), packets);
	assert_int_equal(atomic_load(&counters->connections), connections);
	assert_int_equal(atomic_load(&counters->last_hit), when);
}

static void test_counters_follow_the_text(void **state) {
	struct policy_version *old = version_of("allow in tcp 22\nallow in tcp 80\ndrop in tcp 23\n", 1);
	struct policy_version *next =
	    version_of("# moved\ndrop in tcp 23\nallow in tcp 81\nallow in tcp 22\n", 2);

	(void)state;
	hit(counters_on(old, 1), 10, 2, 100);
	hit(counters_on(old, 2), 20, 3, 200);
	hit(counters_on(old, 3), 30, 4, 300);
	assert_true(policy_carry_counters(next, old, NULL));
	assert_hits(counters_on(next, 2), 30, 4, 300);
	assert_hits(counters_on(next, 3), 0, 0, 0); /* new */
	assert_hits(counters_on(next, 4), 10, 2, 100);
	policy_drop(old);
	policy_drop(next);
}

static void test_spelling_does_not_matter(void **state) {
	struct policy_version *old = version_of("allow in tcp 80,443\n", 1);
	struct policy_version *next = version_of("allow   in  tcp 443,80 # web\n", 2);

	(void)state;
	hit(counters_on(old, 1), 5, 1, 9);
	assert_true(policy_carry_counters(next, old, NULL));
	assert_hits(counters_on(next, 1), 5, 1, 9);
	policy_drop(old);
	policy_drop(next);
}

static void test_equal_rules_in_order(void **state) {
	struct policy_version *old = version_of("allow in tcp 22\nallow in tcp 22\n", 1);
	struct policy_version *next = version_of("allow in tcp 22\nallow in tcp 22\nallow in tcp 22\n", 2);

	(void)state;
	hit(counters_on(old, 1), 1, 1, 1);
	hit(counters_on(old, 2), 2, 2, 2);
	assert_true(policy_carry_counters(next, old, NULL));
	assert_hits(counters_on(next, 1), 1, 1, 1);
	assert_hits(counters_on(next, 2), 2, 2, 2);
	assert_hits(counters_on(next, 3), 0, 0, 0);
	policy_drop(old);
	policy_drop(next);
}

static void test_defaults_go_on(void **state) {
	struct policy_version *old = version_of("allow in tcp 22\n", 1);
	struct policy_version *next = version_of("default in reject\n", 2);

	(void)state;
	hit(&old->counters[old->ruleset->count], 7, 3, 70);
	hit(&old->counters[old->ruleset->count + 1], 8, 4, 80);
	assert_true(policy_carry_counters(next, old, NULL));
	assert_hits(&next->counters[next->ruleset->count], 7, 3, 70);
	assert_hits(&next->counters[next->ruleset->count + 1], 8, 4, 80);
	policy_drop(old);
	policy_drop(next);
}

/* The kernel starts its own counters anew with every ruleset. */
static void test_kernel_packets_are_kept(void **state) {
	struct policy_version *old = version_of("drop in tcp 23\nallow in tcp 22\n", 1);
	struct policy_version *next = version_of("allow in tcp 22\ndrop in tcp 23\n", 2);
	uint64_t *kernel = calloc(old->ruleset->count, sizeof(*kernel));

	(void)state;
	kernel[rule_on(old, 1)] = 1000;
	hit(counters_on(old, 1), 5, 5, 50);
	assert_true(policy_carry_counters(next, old, kernel));
	assert_hits(counters_on(next, 2), 1005, 5, 50);
	assert_hits(counters_on(next, 1), 0, 0, 0);
	free(kernel);
	policy_drop(old);
	policy_drop(next);
}

static void test_place_of_a_connection(void **state) {
	struct policy_version *version = version_of("allow in tcp 22\nallow in tcp 80\n", 4);
	struct connection connection = {.rule = (uint32_t)rule_on(version, 2), .generation = 4};

	(void)state;
	assert_non_null(policy_place(version, &connection));
	assert_int_equal(policy_place(version, &connection)->line, 2);
	connection.generation = 3; /* its number means another rule */
	assert_null(policy_place(version, &connection));
	connection = (struct connection){.rule = NO_RULE, .generation = 4};
	assert_null(policy_place(version, &connection));
	connection = (struct connection){.rule = 100000, .generation = 4};
	assert_null(policy_place(version, &connection));
	policy_drop(version);
}

struct reading {
	struct policy_slot *slot;
	_Atomic bool *stop;
	bool torn;
};

/* As a worker does: a reference of its own, renewed when the generation has moved. */
static void *read_policy(void *argument) {
	struct reading *reading = argument;
	struct policy_version *held = policy_slot_hold(reading->slot);

	while (!atomic_load(reading->stop)) {
		if (atomic_load(&reading->slot->generation) != held->ruleset->generation) {
			policy_drop(held);
			held = policy_slot_hold(reading->slot);
		}
		if (held->policy.ruleset != held->ruleset || held->ruleset->rules[0].place.file == NULL)
			reading->torn = true;
		atomic_fetch_add_explicit(&held->counters[0].packets, 1, memory_order_relaxed);
	}
	policy_drop(held);
	return NULL;
}

/* Under AddressSanitizer: nobody reads a version that was freed; under ThreadSanitizer: no race. */
static void test_swap_under_readers(void **state) {
	_Atomic bool stop = false;
	struct policy_slot slot;
	struct reading readings[READERS];
	pthread_t threads[READERS];

	(void)state;
	policy_slot_init(&slot, version_of("allow in tcp 22\n", 1));
	for (size_t i = 0; i < READERS; i++) {
		readings[i] = (struct reading){.slot = &slot, .stop = &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, read_policy, &readings[i]), 0);
	}
	for (uint32_t generation = 2; generation < SWAPS; generation++)
		policy_slot_swap(&slot, version_of(generation % 2 ? "allow in tcp 22\n"
								  : "drop in tcp 1\nallow in udp 2\n",
						   generation));
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(readings[i].torn);
	}
	policy_slot_clear(&slot);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counters_follow_the_text), cmocka_unit_test(test_spelling_does_not_matter),
	    cmocka_unit_test(test_equal_rules_in_order),     cmocka_unit_test(test_defaults_go_on),
	    cmocka_unit_test(test_kernel_packets_are_kept),  cmocka_unit_test(test_place_of_a_connection),
	    cmocka_unit_test(test_swap_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
