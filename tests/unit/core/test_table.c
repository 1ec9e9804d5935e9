/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/table: bounds, eviction, walking, and many threads at once (run under TSan too).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "numbered.h"

static void what_is_inserted_is_found(void **state) {
	(void)state;
	struct table *table = table_new(50000, &secret);
	for (uint32_t i = 0; i < 40000; i++)
		assert_true(insert(table, i, 5, TCP_ESTABLISHED));
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

/* Enough that each stripe splits most of its buckets. */
static void everything_is_found_while_the_buckets_grow(void **state) {
	(void)state;
	enum { MANY = 300000 };
	struct table *table = table_new(400000, &secret);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_true(insert(table, i, 5, TCP_ESTABLISHED));
		uint32_t earlier = (uint32_t)((uint64_t)i * 2654435761 % (i + 1));
		assert_true(contains(table, earlier));
	}
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(contains(table, i));
	for (uint32_t i = MANY; i < 2 * MANY; i++)
		assert_false(contains(table, i));
	for (uint32_t i = 0; i < MANY; i++)
		drop(table, i);
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void a_new_entry_is_blank(void **state) {
	(void)state;
	struct table *table = table_new(1, &secret);
	insert(table, 1, 5, TCP_ESTABLISHED);
	drop(table, 1);
	struct key key = key_number(2);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, UDP_NEW, 77);
	assert_int_equal(connection->rule, 0);
	assert_int_equal(connection->opened, 77);
	assert_int_equal(connection->renewed, 77);
	assert_int_equal(connection->state, UDP_NEW);
	assert_int_equal(connection->flags, 0);
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
			assert_true(insert(table, number, 1, TCP_ESTABLISHED));
		assert_false(insert(table, 5000, 1, TCP_ESTABLISHED));
		assert_int_equal(count(table), bounds[i]);
		assert_int_equal(table_counters(table).refused, 1);
		drop(table, 0);
		assert_true(insert(table, 5000, 1, TCP_ESTABLISHED));
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
		insert(table, number, 1, number % 3 ? TCP_SYN_SENT : TCP_FIN_WAIT);
	assert_int_equal(count(table), usage.max);
	struct table_counters counters = table_counters(table);
	assert_int_equal(counters.inserted, 60000);
	assert_int_equal(counters.evicted_half_open + counters.evicted_closing, 60000 - usage.max);
	assert_int_equal(counters.refused, 0);
	table_free(table);
}

/* Fills the table's only free places one by one; in which order do the others go? */
static void assert_goes_in_order(struct table *table, const uint32_t *order, size_t length, uint32_t now) {
	for (uint32_t i = 0; i < length; i++) {
		assert_true(contains(table, order[i]));
		assert_true(insert(table, 1000 + i, now, TCP_ESTABLISHED));
		if (contains(table, order[i]))
			fail_msg("%u should have gone as number %u", order[i], i);
	}
}

static void the_cheapest_goes_first_and_of_these_the_one_renewed_longest_ago(void **state) {
	(void)state;
	struct table *table = table_new(9, &secret);
	insert(table, 1, 1, TCP_FIN_WAIT);
	insert(table, 2, 2, UDP_NEW);
	insert(table, 3, 3, TCP_SYN_SENT);
	insert(table, 4, 4, TCP_ESTABLISHED);
	insert(table, 5, 5, UDP_REPLIED);
	insert(table, 6, 6, ICMP_NEW);
	insert(table, 7, 7, TCP_SYN_SENT);
	insert(table, 8, 8, TCP_TIME_WAIT);
	insert(table, 9, 9, UDP_NEW);
	assert_int_equal(table_usage(table).half_open, 5);
	renew(table, 1, 10);
	renew(table, 2, 11);
	static const uint32_t order[] = {3, 6, 7, 9, 2, 5, 8, 1};
	assert_goes_in_order(table, order, 8, 12);
	assert_int_equal(table_usage(table).half_open, 0);
	assert_false(insert(table, 200, 12, TCP_SYN_SENT));
	assert_true(contains(table, 4));
	struct table_counters counters = table_counters(table);
	assert_int_equal(counters.evicted_half_open, 5);
	assert_int_equal(counters.evicted_closing, 3);
	assert_int_equal(counters.refused, 1);
	table_free(table);
}

static void worth_follows_the_state(void **state) {
	(void)state;
	struct table *table = table_new(2, &secret);
	insert(table, 1, 1, TCP_SYN_SENT);
	insert(table, 2, 1, TCP_SYN_SENT);
	move(table, 1, 1, TCP_SYN_RECV); /* within the same second */
	assert_int_equal(table_usage(table).half_open, 2);
	move(table, 1, 1, TCP_ESTABLISHED);
	assert_int_equal(table_usage(table).half_open, 1);
	insert(table, 3, 1, TCP_ESTABLISHED);
	assert_true(contains(table, 1));
	assert_false(contains(table, 2));
	assert_int_equal(table_usage(table).half_open, 0);
	table_free(table);
}

/* First, last and middle of a queue, into another and back. */
static void entries_change_queues_without_disturbing_the_others(void **state) {
	(void)state;
	struct table *table = table_new(6, &secret);
	for (uint32_t i = 1; i <= 6; i++)
		insert(table, i, i, TCP_FIN_WAIT);
	move(table, 1, 7, TCP_ESTABLISHED);
	move(table, 6, 7, TCP_CLOSE_WAIT);
	move(table, 3, 7, TCP_ESTABLISHED);
	move(table, 3, 8, TCP_FIN_WAIT);
	move(table, 1, 9, TCP_FIN_WAIT);
	renew(table, 4, 10);
	static const uint32_t order[] = {2, 5, 6, 3, 1, 4};
	assert_goes_in_order(table, order, 6, 11);
	table_free(table);
}

static void walk_and_count(size_t at_once) {
	struct table *table = table_new(60000, &secret);
	uint8_t *seen = calloc(30000, 1);
	for (uint32_t i = 0; i < 30000; i++)
		insert(table, i, 1, TCP_ESTABLISHED);
	struct keyed_connection *copies = calloc(at_once, sizeof *copies);
	uint64_t cursor = 0;
	uint32_t others = 100000;
	for (size_t got; (got = table_copy(table, &cursor, copies, at_once));) {
		for (size_t i = 0; i < got; i++)
			if (copies[i].connection.rule < 30000)
				seen[copies[i].connection.rule]++;
		for (int i = 0; i < 40; i++) { /* meanwhile others come and go */
			insert(table, others, 1, TCP_SYN_SENT);
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
	struct keyed_connection copies[4];
	uint64_t cursor = 0;
	assert_int_equal(table_copy(table, &cursor, copies, 4), 0);
	table_free(table);
}

static int keeps_odd_ones(const struct key *key, struct connection *connection, void *context) {
	struct key wanted = key_number(connection->rule);
	assert_true(key_equal(key, &wanted));
	++*(uint32_t *)context;
	return connection->rule % 2 ? (int)connection->state : (int)LET_GO;
}

static void a_sweep_visits_all_and_removes_what_it_is_told(void **state) {
	(void)state;
	struct table *table = table_new(60000, &secret);
	for (uint32_t i = 0; i < 30000; i++)
		insert(table, i, 1, TCP_ESTABLISHED);
	uint32_t visited = 0;
	assert_int_equal(table_sweep(table, 1, keeps_odd_ones, &visited), 15000);
	assert_int_equal(visited, 30000);
	for (uint32_t i = 0; i < 30000; i++)
		assert_int_equal(contains(table, i), i % 2);
	assert_int_equal(table_counters(table).removed, 15000);
	table_free(table);
}

/* Against a plain array that knows what must be there. */
static void the_table_agrees_with_a_simple_model(void **unused) {
	(void)unused;
	enum { NUMBERS = 3000 };
	struct table *table = table_new(NUMBERS, &secret);
	uint32_t expires[NUMBERS] = {0}, now = 1000, random = 12345;
	uint8_t states[NUMBERS] = {0};
	for (int step = 0; step < 80000; step++) {
		random = random * 1103515245 + 12345;
		uint32_t number = (random >> 8) % NUMBERS;
		uint8_t next = (uint8_t)((random >> 20) % STATES);
		if (!contains(table, number)) {
			assert_true(expires[number] <= now);
			assert_true(insert(table, number, now, next));
			states[number] = next;
		} else if (next % 5 == 0) {
			drop(table, number);
			expires[number] = 0;
			continue;
		} else if (next % 5 < 3) {
			renew(table, number, now);
		} else {
			move(table, number, now, next);
			states[number] = next;
		}
		expires[number] = now + timeout_of(states[number]);
		if (step % 50 == 0)
			expire(table, ++now);
	}
	uint32_t standing = 0, half_open = 0;
	for (uint32_t number = 0; number < NUMBERS; number++) {
		assert_int_equal(contains(table, number), expires[number] > now);
		standing += expires[number] > now;
		half_open += expires[number] > now && state_worth(states[number]) == WORTH_HALF_OPEN;
	}
	assert_int_equal(count(table), standing);
	assert_int_equal(table_usage(table).half_open, half_open);
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
		else if (!connection)
			connection_insert(stripe, &key, (uint8_t)(random % STATES), now);
		else if (random % 3 == 0)
			connection_move(stripe, connection, (uint8_t)(random % STATES), now);
		else
			connection_renew(stripe, connection, now);
		table_unlock(stripe);
	}
	return NULL;
}

static int keeps_most(const struct key *key, struct connection *connection, void *context) {
	(void)key;
	(void)context;
	return connection->renewed % 50 ? (int)connection->state : (int)LET_GO;
}

static int keeps_some(const struct key *key, struct connection *connection, void *context) {
	(void)key;
	(void)context;
	return connection->opened % 3 ? TCP_ESTABLISHED : LET_GO;
}

static void *watch(void *argument) {
	struct hammer *work = argument;
	struct timeouts timeouts;
	struct expiry expiry = {&timeouts, keeps_some, NULL};
	for (size_t i = 0; i < TIMEOUTS; i++)
		timeouts.seconds[i] = 1 + (uint32_t)i;
	for (uint32_t now = 1000; !atomic_load(work->stop); now++) {
		struct keyed_connection copies[64];
		uint64_t cursor = 0;
		while (table_copy(work->table, &cursor, copies, 64))
			continue;
		struct table_usage usage = table_usage(work->table);
		assert_true(usage.count <= usage.max);
		table_counters(work->table);
		table_sweep(work->table, 1, keeps_most, NULL);
		table_expire(work->table, &expiry, 1000 + now % 15, 5000);
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
	expire(table, 100000);
	assert_int_equal(count(table), 0);
	assert_int_equal(table_usage(table).half_open, 0);
	table_free(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_inserted_is_found),
	    cmocka_unit_test(everything_is_found_while_the_buckets_grow),
	    cmocka_unit_test(a_new_entry_is_blank),
	    cmocka_unit_test(the_bound_is_exact),
	    cmocka_unit_test(a_large_table_never_passes_its_bound),
	    cmocka_unit_test(the_cheapest_goes_first_and_of_these_the_one_renewed_longest_ago),
	    cmocka_unit_test(worth_follows_the_state),
	    cmocka_unit_test(entries_change_queues_without_disturbing_the_others),
	    cmocka_unit_test(a_walk_sees_what_stands_exactly_once),
	    cmocka_unit_test(an_empty_table_is_walked_at_once),
	    cmocka_unit_test(a_sweep_visits_all_and_removes_what_it_is_told),
	    cmocka_unit_test(the_table_agrees_with_a_simple_model),
	    cmocka_unit_test(many_threads_leave_the_table_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
