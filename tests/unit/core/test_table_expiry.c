/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/table: what runs out, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "numbered.h"

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
static int keeps_even_ones(const struct key *key, struct connection *connection, void *context) {
	(void)key;
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

static int goes_on_established(const struct key *key, struct connection *connection, void *context) {
	(void)key, (void)context;
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
	struct keyed_connection copy;
	uint64_t cursor = 0;
	assert_int_equal(table_copy(table, &cursor, &copy, 1), 1);
	assert_int_equal(copy.connection.state, TCP_ESTABLISHED);
	assert_int_equal(copy.connection.renewed, kept);
	assert_int_equal(copy.connection.opened, 1000);
	assert_int_equal(copy.connection.flags, CONNECTION_FORWARDED);
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

int main(void) {
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
