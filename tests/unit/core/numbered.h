/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections by number, for the tests of core/table. cmocka.h comes first.
 */
#ifndef SALLYPORT_TESTS_NUMBERED_H
#define SALLYPORT_TESTS_NUMBERED_H

#include <string.h>

#include "../packets.h"
#include "sallyport/core/table.h"

static const struct hash_secret secret = {{0x0123456789abcdef, 0xfedcba9876543210}};

/* Odd ones of IPv6. */
static inline struct key key_number(uint32_t number) {
	bool ipv6 = number % 2;
	struct key key = {.local = address(ipv6 ? "2001:db8::c000:201" : "192.0.2.1"),
			  .remote = address(ipv6 ? "2001:db8::" : "198.51.100.0"),
			  .local_port = 22,
			  .protocol = PROTOCOL_TCP};
	memcpy(key.remote.bytes + 12, &number, sizeof number);
	return key;
}

static inline bool insert(struct table *table, uint32_t number, uint32_t now, uint8_t state) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_insert(stripe, &key, state, now);
	if (connection)
		connection->rule = number;
	table_unlock(stripe);
	return connection != NULL;
}

static inline bool contains(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	bool found = connection != NULL;
	if (found)
		assert_int_equal(connection->rule, number);
	table_unlock(stripe);
	return found;
}

static inline void move(struct table *table, uint32_t number, uint32_t now, uint8_t state) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_move(stripe, connection, state, now);
	table_unlock(stripe);
}

static inline void renew(struct table *table, uint32_t number, uint32_t now) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_renew(stripe, connection, now);
	table_unlock(stripe);
}

static inline void drop(struct table *table, uint32_t number) {
	struct key key = key_number(number);
	struct stripe *stripe = table_lock(table, &key);
	struct connection *connection = connection_find(stripe, &key);
	assert_non_null(connection);
	connection_remove(stripe, connection);
	table_unlock(stripe);
}

static inline uint32_t count(const struct table *table) {
	return table_usage(table).count;
}

static inline uint32_t timeout_of(uint8_t state) {
	return default_timeouts.seconds[state_timeout(state)];
}

static inline void expire(struct table *table, uint32_t now) {
	const struct expiry expiry = {.timeouts = &default_timeouts};
	assert_true(table_expire(table, &expiry, now, UINT32_MAX));
}

#endif
