/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/table: connections that come back in no order run out in theirs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../packets.h"
#include "sallyport/core/table.h"

enum { MOST = 5000, LATEST = 400 };

static const struct hash_secret secret = {{0x0123456789abcdef, 0xfedcba9876543210}};
static const struct expiry expiry = {.timeouts = &default_timeouts};

static struct key key_number(uint32_t number) {
	struct key key = {
	    .local = address("192.0.2.1"), .remote = address("198.51.100.0"), .protocol = PROTOCOL_UDP};
	memcpy(key.remote.bytes + 12, &number, sizeof number);
	return key;
}

static void insert(struct table *table, uint32_t number, uint8_t state, uint32_t renewed) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	assert_non_null(connection_insert(stripe, &key, state, renewed));
	table_unlock(stripe);
}

static bool contains(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	bool found = connection_find(stripe, &key) != NULL;
	table_unlock(stripe);
	return found;
}

static uint32_t timeout_of(uint8_t state) {
	return default_timeouts.seconds[state_timeout(state)];
}

static void each_runs_out_in_its_second(void **state) {
	(void)state;
	static const uint8_t states[] = {UDP_NEW, UDP_REPLIED, ICMP_NEW, TCP_LAST_ACK};
	static uint32_t renewed[MOST];
	struct table *table = table_new(2 * MOST, &secret);
	srandom(31);
	for (uint32_t i = 0; i < MOST; i++) {
		renewed[i] = (uint32_t)random() % LATEST;
		insert(table, i, states[i % 4], renewed[i]);
	}
	table_order(table);
	for (uint32_t now = LATEST; now < LATEST + 200; now += 7) {
		assert_true(table_expire(table, &expiry, now, UINT32_MAX));
		for (uint32_t i = 0; i < MOST; i++) {
			bool stands = renewed[i] + timeout_of(states[i % 4]) > now;
			if (contains(table, i) != stands)
				fail_msg("entry %u at %u", i, now);
		}
	}
	table_free(table);
}

static void the_oldest_is_the_first_to_make_room(void **state) {
	(void)state;
	static const uint32_t renewed[] = {50, 20, 70, 20, 60};
	struct table *table = table_new(5, &secret);
	for (uint32_t i = 0; i < 5; i++)
		insert(table, i, UDP_NEW, renewed[i]);
	table_order(table);
	insert(table, 5, UDP_NEW, 100); /* in place of number 1, which was in before number 3 */
	assert_false(contains(table, 1));
	assert_true(contains(table, 3));
	insert(table, 6, UDP_NEW, 100);
	assert_false(contains(table, 3));
	insert(table, 7, UDP_NEW, 100);
	assert_false(contains(table, 0));
	assert_true(contains(table, 2));
	assert_true(contains(table, 4));
	table_free(table);
}

/* Both ends of every list are right: entries leave from the middle, join at the end, and all go. */
static void ordered_lists_go_on_as_lists_do(void **state) {
	(void)state;
	struct table *table = table_new(100, &secret);
	for (uint32_t i = 0; i < 50; i++)
		insert(table, i, UDP_NEW, (i * 37) % 50);
	table_order(table);
	for (uint32_t i = 0; i < 50; i += 3) {
		struct key key = key_number(i);
		struct stripe *stripe = table_lock(table, &key);
		if (i % 2)
			connection_remove(stripe, connection_find(stripe, &key));
		else
			connection_renew(stripe, connection_find(stripe, &key), 60);
		table_unlock(stripe);
	}
	for (uint32_t i = 50; i < 60; i++)
		insert(table, i, UDP_NEW, 60);
	table_order(table); /* of what is in order, again */
	assert_true(table_expire(table, &expiry, 59 + timeout_of(UDP_NEW), UINT32_MAX));
	assert_int_equal(table_usage(table).count, 9 + 10);
	assert_true(table_expire(table, &expiry, 60 + timeout_of(UDP_NEW), UINT32_MAX));
	assert_int_equal(table_usage(table).count, 0);
	assert_int_equal(table_usage(table).half_open, 0);
	table_order(table); /* of nothing */
	table_free(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_runs_out_in_its_second),
	    cmocka_unit_test(the_oldest_is_the_first_to_make_room),
	    cmocka_unit_test(ordered_lists_go_on_as_lists_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
