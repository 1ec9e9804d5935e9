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

static bool insert(struct table *table, uint32_t number, uint32_t now, uint8_t state) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, state, now);
	if (connection)
		connection->rule = number;
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

static void move(struct table *table, uint32_t number, uint32_t now, uint8_t state) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_move(stripe, connection, state, now);
	table_unlock(stripe);
}

static void renew(struct table *table, uint32_t number, uint32_t now) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_renew(stripe, connection, now);
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

static uint32_t timeout_of(uint8_t state) {
	return default_timeouts.seconds[state_timeout(state)];
}

static void expire(struct table *table, uint32_t now) {
	const struct expiry expiry = {.timeouts = &default_timeouts};
	assert_true(table_expire(table, &expiry, now, UINT32_MAX));
}

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

/* Runs the table second by second, and says in which of them the entry went. */
static uint32_t second_of_end(struct table *table, uint32_t number, uint32_t from, uint32_t to) {
	for (uint32_t now = from; now <= to; now++) {
		expire(table, now);
		if (!contains(table, number))
			return now;
	}
	return 0;
}

static void entries_expire_in_the_second_that_their_state_says(void **unused) {
	(void)unused;
	for (uint8_t state = 0; state < STATES; state++) {
		struct table *table = table_new(10, &secret);
		uint32_t now = 1000000 + state * 77u, timeout = timeout_of(state);
		insert(table, 1, now, state);
		assert_int_equal(second_of_end(table, 1, now, now + 10000), now + timeout);
		assert_int_equal(table_counters(table).expired, 1);
		assert_int_equal(count(table), 0);
		assert_int_equal(table_usage(table).half_open, 0);
		table_free(table);
	}
}

/* Threads read it apart from each other, and some ahead. */
static void a_clock_that_is_behind_ends_nothing(void **state) {
	static const uint32_t jumps[] = {999, 1, 0, 500, 1000};
	(void)state;
	struct table *table = table_new(STATES, &secret);
	for (uint8_t one = 0; one < STATES; one++)
		insert(table, one, 1000, one);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++)
		expire(table, jumps[i]);
	assert_int_equal(count(table), STATES);
	renew(table, TCP_ESTABLISHED, 400);
	assert_int_equal(second_of_end(table, TCP_ESTABLISHED, 300, 20000),
			 400 + timeout_of(TCP_ESTABLISHED));
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void renewing_and_moving_put_the_end_off_or_forward(void **state) {
	(void)state;
	struct table *table = table_new(10, &secret);
	insert(table, 1, 100, UDP_NEW);
	renew(table, 1, 129);
	move(table, 1, 150, UDP_REPLIED);
	assert_int_equal(second_of_end(table, 1, 100, 2000), 150 + timeout_of(UDP_REPLIED));
	insert(table, 2, 800, TCP_ESTABLISHED);
	expire(table, 900);
	move(table, 2, 900, TCP_CLOSED);
	assert_int_equal(second_of_end(table, 2, 900, 10000), 900 + timeout_of(TCP_CLOSED));
	insert(table, 3, 19990, TCP_CLOSED);
	insert(table, 4, 19989, TCP_CLOSED); /* a thread whose clock is behind */
	assert_int_equal(second_of_end(table, 4, 19990, 30000), 19990 + timeout_of(TCP_CLOSED));
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void what_is_not_renewed_runs_out_before_what_is(void **state) {
	(void)state;
	struct table *table = table_new(100, &secret);
	for (uint32_t i = 0; i < 50; i++)
		insert(table, i, 1000, UDP_NEW);
	for (uint32_t i = 0; i < 50; i += 2)
		renew(table, i, 1010 + i % 7);
	expire(table, 1000 + timeout_of(UDP_NEW));
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(contains(table, i), i % 2 == 0);
	table_free(table);
}

static void new_timeouts_hold_for_old_connections(void **state) {
	(void)state;
	struct table *table = table_new(10, &secret);
	struct timeouts timeouts = default_timeouts;
	struct expiry expiry = {.timeouts = &timeouts};
	insert(table, 1, 1000, TCP_ESTABLISHED);
	timeouts.seconds[TIMEOUT_ESTABLISHED] = 8000;
	assert_true(table_expire(table, &expiry, 8999, UINT32_MAX));
	assert_true(contains(table, 1));
	timeouts.seconds[TIMEOUT_ESTABLISHED] = 20;
	assert_true(table_expire(table, &expiry, 8999, UINT32_MAX));
	assert_false(contains(table, 1));
	table_free(table);
}

static void a_pause_delays_expiry_and_loses_none(void **state) {
	(void)state;
	struct table *table = table_new(5000, &secret);
	for (uint32_t i = 0; i < 3000; i++)
		insert(table, i, 10 + i, TCP_FIN_WAIT);
	expire(table, 10 + 1999 + timeout_of(TCP_FIN_WAIT)); /* the daemon was stopped for half an hour */
	assert_int_equal(count(table), 1000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(contains(table, i), i >= 2000);
	expire(table, 100000);
	assert_int_equal(count(table), 0);
	table_free(table);
}

static void expiry_keeps_to_its_budget(void **state) {
	(void)state;
	const struct expiry expiry = {.timeouts = &default_timeouts};
	struct table *table = table_new(20000, &secret);
	for (uint32_t i = 0; i < 10000; i++)
		insert(table, i, 10, i % 2 ? TCP_CLOSED : UDP_NEW);
	uint32_t calls = 0, before = count(table);
	while (!table_expire(table, &expiry, 10 + timeout_of(UDP_NEW), 700)) {
		assert_true(before - count(table) <= 700);
		before = count(table);
		calls++;
	}
	assert_true(calls >= 10000 / 700);
	assert_int_equal(count(table), 0);
	table_free(table);
}

/* Lets go what has an odd number, and counts how often it was asked. */
static int keeps_even_ones(struct connection *connection, void *context) {
	++*(uint32_t *)context;
	assert_true(state_is_doubtful(connection->state));
	return connection->rule % 2 ? LET_GO : connection->state;
}

static void only_doubtful_connections_are_asked_about(void **unused) {
	(void)unused;
	uint32_t asked = 0, doubtful = 0;
	struct expiry expiry = {&default_timeouts, keeps_even_ones, &asked};
	struct table *table = table_new(100, &secret);
	for (uint32_t i = 0; i < STATES; i++) {
		insert(table, 2 * i, 1000, (uint8_t)i);
		insert(table, 2 * i + 1, 1000, (uint8_t)i);
		doubtful += state_is_doubtful((uint8_t)i);
	}
	assert_true(table_expire(table, &expiry, 1000 + timeout_of(TCP_CLOSED) - 1, UINT32_MAX));
	assert_int_equal(asked, 0); /* nothing has run out */
	assert_true(table_expire(table, &expiry, 1000 + timeout_of(TCP_ESTABLISHED), UINT32_MAX));
	assert_int_equal(asked, 2 * doubtful);
	assert_int_equal(count(table), doubtful);
	assert_int_equal(table_counters(table).expired, 2 * STATES - doubtful);
	for (uint32_t i = 0; i < STATES; i++) {
		assert_int_equal(contains(table, 2 * i), state_is_doubtful((uint8_t)i));
		assert_false(contains(table, 2 * i + 1));
	}
	table_free(table);
}

static int goes_on_established(struct connection *connection, void *context) {
	(void)context;
	connection->flags |= CONNECTION_FORWARDED;
	return TCP_ESTABLISHED;
}

static void what_is_kept_is_renewed_in_the_state_it_was_given(void **state) {
	(void)state;
	struct expiry expiry = {&default_timeouts, goes_on_established, NULL};
	struct table *table = table_new(10, &secret);
	uint32_t kept = 1000 + timeout_of(TCP_CLOSED);
	insert(table, 1, 1000, TCP_CLOSED);
	assert_true(table_expire(table, &expiry, kept, UINT32_MAX));
	struct connection copy;
	uint64_t cursor = 0;
	assert_int_equal(table_copy(table, &cursor, &copy, 1), 1);
	assert_int_equal(copy.state, TCP_ESTABLISHED);
	assert_int_equal(copy.renewed, kept);
	assert_int_equal(copy.opened, 1000);
	assert_int_equal(copy.flags, CONNECTION_FORWARDED);
	assert_int_equal(table_counters(table).expired, 0);
	assert_int_equal(second_of_end(table, 1, kept, 10000), kept + timeout_of(TCP_ESTABLISHED));
	table_free(table);
}

static void what_is_kept_counts_against_the_budget(void **state) {
	(void)state;
	uint32_t asked = 0;
	struct expiry expiry = {&default_timeouts, keeps_even_ones, &asked};
	struct table *table = table_new(1000, &secret);
	for (uint32_t i = 0; i < 100; i++)
		insert(table, 2 * i, 1000, TCP_ESTABLISHED);
	assert_false(table_expire(table, &expiry, 20000, 30));
	assert_int_equal(asked, 30);
	while (!table_expire(table, &expiry, 20000, 30))
		continue;
	assert_int_equal(asked, 100); /* each once: it is renewed */
	assert_int_equal(count(table), 100);
	table_free(table);
}

static void walk_and_count(size_t at_once) {
	struct table *table = table_new(60000, &secret);
	uint8_t *seen = calloc(30000, 1);
	for (uint32_t i = 0; i < 30000; i++)
		insert(table, i, 1, TCP_ESTABLISHED);
	struct connection *copies = calloc(at_once, sizeof *copies);
	uint64_t cursor = 0;
	uint32_t others = 100000;
	for (size_t got; (got = table_copy(table, &cursor, copies, at_once));) {
		for (size_t i = 0; i < got; i++)
			if (copies[i].rule < 30000)
				seen[copies[i].rule]++;
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
	struct connection copies[4];
	uint64_t cursor = 0;
	assert_int_equal(table_copy(table, &cursor, copies, 4), 0);
	table_free(table);
}

static int keeps_odd_ones(struct connection *connection, void *context) {
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

static int keeps_most(struct connection *connection, void *context) {
	(void)context;
	return connection->renewed % 50 ? (int)connection->state : (int)LET_GO;
}

static int keeps_some(struct connection *connection, void *context) {
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
		struct connection copies[64];
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
	    cmocka_unit_test(entries_expire_in_the_second_that_their_state_says),
	    cmocka_unit_test(a_clock_that_is_behind_ends_nothing),
	    cmocka_unit_test(renewing_and_moving_put_the_end_off_or_forward),
	    cmocka_unit_test(what_is_not_renewed_runs_out_before_what_is),
	    cmocka_unit_test(new_timeouts_hold_for_old_connections),
	    cmocka_unit_test(a_pause_delays_expiry_and_loses_none),
	    cmocka_unit_test(expiry_keeps_to_its_budget),
	    cmocka_unit_test(only_doubtful_connections_are_asked_about),
	    cmocka_unit_test(what_is_kept_is_renewed_in_the_state_it_was_given),
	    cmocka_unit_test(what_is_kept_counts_against_the_budget),
	    cmocka_unit_test(a_walk_sees_what_stands_exactly_once),
	    cmocka_unit_test(an_empty_table_is_walked_at_once),
	    cmocka_unit_test(a_sweep_visits_all_and_removes_what_it_is_told),
	    cmocka_unit_test(the_table_agrees_with_a_simple_model),
	    cmocka_unit_test(many_threads_leave_the_table_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
