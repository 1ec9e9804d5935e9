/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections from before, into a table that may remember others on the same ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../packets.h"
#include "sallyport/daemon/enter.h"

enum { NOW = 1000, LATER = 1010, EPOCH = 7 };

static struct keyed_connection keyed_in(uint8_t state, uint8_t flags) {
	return (struct keyed_connection){
	    .key = {.local = address("192.0.2.1"),
		    .remote = address("198.51.100.7"),
		    .local_port = 22,
		    .remote_port = 40000,
		    .protocol = state < TCP_STATES || state == STATE_CUT ? PROTOCOL_TCP : PROTOCOL_UDP},
	    .connection = {.state = state, .flags = flags, .opened = LATER, .renewed = LATER},
	};
}

static struct connection find(struct filter *filter, const struct key *key) {
	struct stripe *stripe = table_lock(filter->table, key);
	const struct connection *found = connection_find(stripe, key);
	struct connection copy;

	assert_non_null(found);
	copy = *found;
	table_unlock(stripe);
	return copy;
}

/* Enters `wanted` where a connection stands in `state`, seen in `epoch`; says whether it took its place. */
static bool replaces(const struct keyed_connection *wanted, uint8_t state, uint8_t epoch) {
	static const struct hash_secret secret = {{1, 2}};
	struct filter filter = {.table = table_new(100, &secret), .epoch = EPOCH};
	struct stripe *stripe = table_lock(filter.table, &wanted->key);
	struct connection *standing = connection_insert(stripe, &wanted->key, state, NOW), found;
	bool entered;

	assert_non_null(standing);
	standing->epoch = epoch;
	table_unlock(stripe);
	entered = enter_connection(&filter, wanted);
	found = find(&filter, &wanted->key);
	assert_int_equal(found.state, entered ? wanted->connection.state : state);
	assert_int_equal(found.opened, entered ? LATER : NOW);
	if (entered)
		assert_int_not_equal(found.epoch, EPOCH); /* the next segment teaches */
	table_free(filter.table);
	return entered;
}

static void what_is_new_enters_and_is_to_be_learned(void **state) {
	static const struct hash_secret secret = {{1, 2}};
	struct filter filter = {.table = table_new(100, &secret), .epoch = EPOCH};
	struct keyed_connection wanted = keyed_in(TCP_ESTABLISHED, 0);

	(void)state;
	assert_true(enter_connection(&filter, &wanted));
	assert_int_not_equal(find(&filter, &wanted.key).epoch, EPOCH);
	assert_false(enter_connection(&filter, &wanted)); /* it is there */
	table_free(filter.table);
}

static void an_open_one_takes_the_place_of_what_was_over_or_half_open(void **state) {
	static const uint8_t give_way[] = {TCP_SYN_SENT, TCP_SYN_RECV, TCP_LAST_ACK, TCP_TIME_WAIT,
					   TCP_CLOSED};
	static const uint8_t stay[] = {TCP_ESTABLISHED, TCP_FIN_WAIT, TCP_CLOSE_WAIT, STATE_CUT};
	struct keyed_connection wanted = keyed_in(TCP_ESTABLISHED, CONNECTION_LEASED);

	(void)state;
	for (size_t i = 0; i < sizeof(give_way); i++)
		assert_true(replaces(&wanted, give_way[i], EPOCH));
	for (size_t i = 0; i < sizeof(stay); i++)
		assert_false(replaces(&wanted, stay[i], EPOCH));
}

/* Of a strict rule's connection nothing passes unseen, but while the daemon was away. */
static void where_every_packet_is_seen_the_table_is_right(void **state) {
	struct keyed_connection wanted = keyed_in(TCP_ESTABLISHED, 0);

	(void)state;
	assert_false(replaces(&wanted, TCP_TIME_WAIT, EPOCH));
	assert_true(replaces(&wanted, TCP_TIME_WAIT, EPOCH - 1));
}

static void what_is_not_open_takes_nobodys_place(void **state) {
	struct keyed_connection closing = keyed_in(TCP_LAST_ACK, CONNECTION_LEASED);
	struct keyed_connection flow = keyed_in(UDP_REPLIED, CONNECTION_LEASED);

	(void)state;
	assert_false(replaces(&closing, TCP_TIME_WAIT, EPOCH));
	assert_false(replaces(&flow, UDP_NEW, EPOCH));
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_new_enters_and_is_to_be_learned),
	    cmocka_unit_test(an_open_one_takes_the_place_of_what_was_over_or_half_open),
	    cmocka_unit_test(where_every_packet_is_seen_the_table_is_right),
	    cmocka_unit_test(what_is_not_open_takes_nobodys_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
