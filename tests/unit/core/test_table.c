/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/table: bounds, eviction, expiry, walking, and many threads at once (run under TSan too).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../packets.h"
#include "sallyport/core/table.h"

static const struct hash_secret secret = {{0x0123456789abcdef, 0xfedcba9876543210}};

static struct key key_number(uint32_t number) {
	struct key key = {.local = address("192.0.2.1"),
			  .remote = address("198.51.100.0"),
			  .local_port = 22,
			  .protocol = PROTOCOL_TCP};
	memcpy(key.remote.bytes + 12, &number, sizeof number);
	return key;
}

static bool insert(struct table *table, uint32_t number, uint32_t now, uint32_t timeout, enum worth worth) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, now);
	if (connection) {
		connection->rule = number;
		connection_touch(stripe, connection, now, timeout, worth, true);
	}
	table_unlock(stripe);
	return connection != NULL;
}

static bool contains(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	bool found = connection != NULL;
	if (found)
		assert_int_equal(connection->rule, number);
	table_unlock(stripe);
	return found;
}

static void touch(struct table *table, uint32_t number, uint32_t now, uint32_t timeout, enum worth worth,
		  bool renew) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_touch(stripe, connection, now, timeout, worth, renew);
	table_unlock(stripe);
}

static void drop(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_remove(stripe, connection);
	table_unlock(stripe);
}

static uint32_t count(const struct table *table) {
	return table_usage(table).count;
}

static void what_is_inserted_is_found(void **state) {
	(void)state;
	struct table *table = table_new(50000, &secret);
	for (uint32_t i = 0; i < 40000; i++)
		assert_true(insert(table, i, 5, 100, WORTH_OPEN));
	for (uint32_t i = 0; i < 40000; i++)
		assert_true(contains(table, i));
	assert_false(contains(table, 40000));
	for (uint32_t i = 0; i < 40000; i += 2)
		drop(table, i);
	for (uint32_t i = 0; i < 40000; i++)
		assert_int_equal(contains(table, i), i % 2);
	assert_int_equal(count(table), 20000);
	assert_int_equal(table_counters(table).inserted, 40000);
	assert_int_equal(table_counters(table).removed, 20000);
	table_free(table);
}

static void a_new_entry_is_blank(void **state) {
	(void)state;
	struct table *table = table_new(1, &secret);
	insert(table, 1, 5, 100, WORTH_OPEN);
	drop(table, 1);
	struct key key = key_number(2);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, 77);
	assert_int_equal(connection->rule, 0);
	assert_int_equal(connection->opened, 77);
	assert_int_equal(connection->last_seen, 77);
	assert_int_equal(connection->expires, 0);
	assert_int_equal(connection->tcp.sides[0].end, 0);
	table_unlock(stripe);
	table_free(table);
}

static void the_bound_is_exact(void **state) {
	(void)state;
	static const uint32_t bounds[] = {1, 2, 7, 100, 1023};
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		struct table *table = table_new(bounds[i], &secret);
		assert_int_equal(table_usage(table).max, bounds[i]);
		for (uint32_t number = 0; number < bounds[i]; number++)
			assert_true(insert(table, number, 1, 10, WORTH_OPEN));
		assert_false(insert(table, 5000, 1, 10, WORTH_OPEN));
		assert_int_equal(count(table), bounds[i]);
		assert_int_equal(table_counters(table).refused, 1);
		drop(table, 0);
		assert_true(insert(table, 5000, 1, 10, WORTH_OPEN));
		table_free(table);
	}
	assert_null(table_new(0, &secret));
	assert_null(table_new(UINT32_MAX, &secret));
}

static void a_large_table_never_passes_its_bound(void **state) {
	(void)state;
	struct table *table = table_new(20000, &secret);
	struct table_usage usage = table_usage(table);
	assert_true(usage.max >= 20000 && usage.max < 20064);
	for (uint32_t number = 0; number < 60000; number++)
		insert(table, number, 1, 10, number % 3 ? WORTH_HALF_OPEN : WORTH_CLOSING);
	assert_int_equal(count(table), usage.max);
	struct table_counters counters = table_counters(table);
	assert_int_equal(counters.inserted, 60000);
	assert_int_equal(counters.evicted_half_open + counters.evicted_closing, 60000 - usage.max);
	assert_int_equal(counters.refused, 0);
	table_free(table);
}

static void the_cheapest_and_oldest_goes_first(void **state) {
	(void)state;
	struct table *table = table_new(6, &secret);
	insert(table, 1, 1, 100, WORTH_CLOSING);
	insert(table, 2, 2, 100, WORTH_HALF_OPEN);
	insert(table, 3, 3, 100, WORTH_HALF_OPEN);
	insert(table, 4, 4, 100, WORTH_OPEN);
	insert(table, 5, 5, 100, WORTH_CLOSING);
	insert(table, 6, 6, 100, WORTH_HALF_OPEN);
	assert_int_equal(table_usage(table).half_open, 3);
	touch(table, 2, 7, 100, WORTH_HALF_OPEN, false); /* a repeat makes it no younger */
	touch(table, 1, 7, 100, WORTH_CLOSING, true);    /* a packet that counts does */
	static const uint32_t order[] = {2, 3, 6, 5, 1};
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(contains(table, order[i]));
		assert_true(insert(table, 100 + i, 8, 100, WORTH_OPEN));
		assert_false(contains(table, order[i]));
	}
	assert_int_equal(table_usage(table).half_open, 0);
	assert_false(insert(table, 200, 8, 100, WORTH_HALF_OPEN));
	assert_true(contains(table, 4));
	struct table_counters counters = table_counters(table);
	assert_int_equal(counters.evicted_half_open, 3);
	assert_int_equal(counters.evicted_closing, 2);
	assert_int_equal(counters.refused, 1);
	table_free(table);
}

static void worth_follows_the_state(void **state) {
	(void)state;
	struct table *table = table_new(2, &secret);
	insert(table, 1, 1, 100, WORTH_HALF_OPEN);
	insert(table, 2, 1, 100, WORTH_HALF_OPEN);
	touch(table, 1, 1, 100, WORTH_OPEN, true); /* within the same second */
	assert_int_equal(table_usage(table).half_open, 1);
	insert(table, 3, 1, 100, WORTH_OPEN);
	assert_true(contains(table, 1));
	assert_false(contains(table, 2));
	table_free(table);
}

/* Runs the table second by second, and says in which of them the entry went. */
static uint32_t second_of_end(struct table *table, uint32_t number, uint32_t from, uint32_t to) {
	for (uint32_t now = from; now <= to; now++) {
		assert_true(table_expire(table, now, UINT32_MAX));
		if (!contains(table, number))
			return now;
	}
	return 0;
}

static void entries_expire_in_their_second(void **state) {
	(void)state;
	static const uint32_t timeouts[] = {1, 2, 10, 511, 512, 513, 1024, 7440, 31536000};
	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		struct table *table = table_new(10, &secret);
		uint32_t now = 1000000 + (uint32_t)i * 77;
		assert_true(table_expire(table, now, UINT32_MAX));
		insert(table, 1, now, timeouts[i], WORTH_OPEN);
		if (timeouts[i] > 10000) { /* a year: in large steps until shortly before */
			for (uint32_t passed = 0; passed < timeouts[i] - 100; passed += 100000)
				assert_true(table_expire(table, now + passed, UINT32_MAX));
			assert_true(contains(table, 1));
			assert_true(table_expire(table, now + timeouts[i] - 1, UINT32_MAX));
			assert_true(contains(table, 1));
			assert_true(table_expire(table, now + timeouts[i], UINT32_MAX));
			assert_false(contains(table, 1));
		} else {
			assert_int_equal(second_of_end(table, 1, now, now + 10000), now + timeouts[i]);
		}
		assert_int_equal(table_counters(table).expired, 1);
		assert_int_equal(count(table), 0);
		table_free(table);
	}
}

static void touching_moves_the_end_both_ways(void **state) {
	(void)state;
	struct table *table = table_new(10, &secret);
	insert(table, 1, 100, 10, WORTH_OPEN);
	touch(table, 1, 105, 600, WORTH_OPEN, true);
	assert_int_equal(second_of_end(table, 1, 105, 2000), 705);
	insert(table, 2, 800, 7440, WORTH_OPEN);
	assert_true(table_expire(table, 900, UINT32_MAX));
	touch(table, 2, 900, 10, WORTH_CLOSING, true);
	assert_int_equal(second_of_end(table, 2, 900, 10000), 910);
	insert(table, 3, 1000, 60, WORTH_HALF_OPEN);
	touch(table, 3, 1050, 60, WORTH_HALF_OPEN, false);
	assert_int_equal(second_of_end(table, 3, 1000, 10000), 1060);
	assert_true(table_expire(table, 20000, UINT32_MAX));
	insert(table, 4, 19990, 5, WORTH_OPEN); /* a thread whose clock is behind */
	assert_int_equal(second_of_end(table, 4, 20001, 30000), 20001);
	table_free(table);
}

static void a_pause_delays_expiry_and_loses_none(void **state) {
	(void)state;
	struct table *table = table_new(5000, &secret);
	assert_true(table_expire(table, 10, UINT32_MAX));
	for (uint32_t i = 0; i < 3000; i++)
		insert(table, i, 10, 1 + i, WORTH_OPEN);
	assert_true(table_expire(table, 2010, UINT32_MAX)); /* the daemon was stopped for half an hour */
	assert_int_equal(count(table), 1000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(contains(table, i), i >= 2000);
	assert_true(table_expire(table, 100000, UINT32_MAX));
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void expiry_keeps_to_its_budget(void **state) {
	(void)state;
	struct table *table = table_new(20000, &secret);
	for (uint32_t i = 0; i < 10000; i++)
		insert(table, i, 10, 5, WORTH_OPEN);
	uint32_t calls = 0, before = count(table);
	while (!table_expire(table, 15, 700)) {
		assert_true(before - count(table) <= 700);
		before = count(table);
		calls++;
	}
	assert_true(calls >= 10000 / 700);
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void walk_and_count(size_t at_once) {
	struct table *table = table_new(60000, &secret);
	uint8_t *seen = calloc(30000, 1);
	for (uint32_t i = 0; i < 30000; i++)
		insert(table, i, 1, 100, WORTH_OPEN);
	struct connection *copies = calloc(at_once, sizeof *copies);
	uint64_t cursor = 0;
	uint32_t others = 100000;
	for (size_t got; (got = table_copy(table, &cursor, copies, at_once));) {
		for (size_t i = 0; i < got; i++)
			if (copies[i].rule < 30000)
				seen[copies[i].rule]++;
		for (int i = 0; i < 40; i++) { /* meanwhile others come and go */
			insert(table, others, 1, 100, WORTH_HALF_OPEN);
			if (others % 3)
				drop(table, others);
			others++;
		}
	}
	for (uint32_t i = 0; i < 30000; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(table_copy(table, &cursor, copies, at_once), 0);
	free(copies);
	free(seen);
	table_free(table);
}

static void a_walk_sees_what_stands_exactly_once(void **state) {
	(void)state;
	walk_and_count(7);
	walk_and_count(97);
	walk_and_count(5000);
}

static void an_empty_table_is_walked_at_once(void **state) {
	(void)state;
	struct table *table = table_new(1 << 20, &secret);
	struct connection copies[4];
	uint64_t cursor = 0;
	assert_int_equal(table_copy(table, &cursor, copies, 4), 0);
	table_free(table);
}

static bool keeps_odd_ones(struct connection *connection, void *context) {
	++*(uint32_t *)context;
	return connection->rule % 2;
}

static void a_sweep_visits_all_and_removes_what_it_is_told(void **state) {
	(void)state;
	struct table *table = table_new(60000, &secret);
	for (uint32_t i = 0; i < 30000; i++)
		insert(table, i, 1, 100, WORTH_OPEN);
	uint32_t visited = 0;
	assert_int_equal(table_sweep(table, keeps_odd_ones, &visited), 15000);
	assert_int_equal(visited, 30000);
	for (uint32_t i = 0; i < 30000; i++)
		assert_int_equal(contains(table, i), i % 2);
	assert_int_equal(table_counters(table).removed, 15000);
	table_free(table);
}

/* Against a plain array that knows what must be there. */
static void the_table_agrees_with_a_simple_model(void **state) {
	(void)state;
	enum { NUMBERS = 3000 };
	struct table *table = table_new(NUMBERS, &secret);
	uint32_t expires[NUMBERS] = {0}, now = 1000, random = 12345;
	for (int step = 0; step < 80000; step++) {
		random = random * 1103515245 + 12345;
		uint32_t number = (random >> 8) % NUMBERS, timeout = 1 + (random >> 20) % 1500;
		if (!contains(table, number)) {
			assert_true(expires[number] <= now);
			assert_true(insert(table, number, now, timeout, (enum worth)(timeout % WORTHS)));
			expires[number] = now + timeout;
		} else if (timeout % 5 == 0) {
			drop(table, number);
			expires[number] = 0;
		} else {
			touch(table, number, now, timeout, (enum worth)(timeout % WORTHS), true);
			expires[number] = now + timeout;
		}
		if (step % 50 == 0)
			assert_true(table_expire(table, ++now, UINT32_MAX));
	}
	uint32_t standing = 0;
	for (uint32_t number = 0; number < NUMBERS; number++) {
		assert_int_equal(contains(table, number), expires[number] > now);
		standing += expires[number] > now;
	}
	assert_int_equal(count(table), standing);
	table_free(table);
}

enum { THREADS = 4, ROUNDS = 6000 };

struct hammer {
	struct table *table;
	uint32_t seed;
	_Atomic bool *stop;
};

static void *hammer(void *argument) {
	struct hammer *work = argument;
	uint32_t random = work->seed;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		random = random * 1103515245 + 12345;
		struct key key = key_number((random >> 8) % 6000);
		uint32_t now = 1000 + i / 400;
		struct stripe *stripe = table_lock(work->table, &key);
		struct connection *connection = connection_find(stripe, &key);
		if (connection && random % 7 == 0)
			connection_remove(stripe, connection);
		else if (connection || (connection = connection_insert(stripe, &key, now)))
			connection_touch(stripe, connection, now, 1 + random % 20,
					 (enum worth)(random % WORTHS), true);
		table_unlock(stripe);
	}
	return NULL;
}

static bool keeps_most(struct connection *connection, void *context) {
	(void)context;
	return connection->expires % 50;
}

static void *watch(void *argument) {
	struct hammer *work = argument;
	for (uint32_t now = 1000; !atomic_load(work->stop); now++) {
		struct connection copies[64];
		uint64_t cursor = 0;
		while (table_copy(work->table, &cursor, copies, 64))
			continue;
		struct table_usage usage = table_usage(work->table);
		assert_true(usage.count <= usage.max);
		table_counters(work->table);
		table_sweep(work->table, keeps_most, NULL);
		table_expire(work->table, 1000 + now % 15, 5000);
	}
	return NULL;
}

static void many_threads_leave_the_table_whole(void **state) {
	(void)state;
	_Atomic bool stop = false;
	struct table *table = table_new(4096, &secret); /* smaller than the keys: it also evicts */
	struct hammer work[THREADS + 1];
	pthread_t threads[THREADS + 1];
	for (uint32_t i = 0; i <= THREADS; i++) {
		work[i] = (struct hammer){table, i * 7919 + 1, &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, i < THREADS ? hammer : watch, &work[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, true);
	pthread_join(threads[THREADS], NULL);

	struct table_counters counters = table_counters(table);
	uint64_t gone =
	    counters.expired + counters.removed + counters.evicted_half_open + counters.evicted_closing;
	assert_int_equal(counters.inserted - gone, count(table));
	uint32_t standing = 0;
	for (uint32_t number = 0; number < 6000; number++) {
		struct key key = key_number(number);
		struct stripe *stripe = table_lock(table, &key);
		standing += connection_find(stripe, &key) != NULL;
		table_unlock(stripe);
	}
	assert_int_equal(standing, count(table));
	assert_true(table_expire(table, 100000, UINT32_MAX));
	assert_int_equal(count(table), 0);
	assert_int_equal(table_usage(table).half_open, 0);
	table_free(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_inserted_is_found),
	    cmocka_unit_test(a_new_entry_is_blank),
	    cmocka_unit_test(the_bound_is_exact),
	    cmocka_unit_test(a_large_table_never_passes_its_bound),
	    cmocka_unit_test(the_cheapest_and_oldest_goes_first),
	    cmocka_unit_test(worth_follows_the_state),
	    cmocka_unit_test(entries_expire_in_their_second),
	    cmocka_unit_test(touching_moves_the_end_both_ways),
	    cmocka_unit_test(a_pause_delays_expiry_and_loses_none),
	    cmocka_unit_test(expiry_keeps_to_its_budget),
	    cmocka_unit_test(a_walk_sees_what_stands_exactly_once),
	    cmocka_unit_test(an_empty_table_is_walked_at_once),
	    cmocka_unit_test(a_sweep_visits_all_and_removes_what_it_is_told),
	    cmocka_unit_test(the_table_agrees_with_a_simple_model),
	    cmocka_unit_test(many_threads_leave_the_table_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
