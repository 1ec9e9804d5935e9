/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys as the entries of a stripe have them: an IPv4 connection pays for no IPv6 addresses.
 */
#include <assert.h>
#include <string.h>

#include "stripe.h"

static_assert(sizeof(struct narrow_key) == 14, "compared as bytes, so it must have no padding");

enum {
	WIDE = sizeof(((struct wide_key *)0)->local),
	NARROW = sizeof(((struct narrow_key *)0)->local),
};

static bool key_is_ipv6(const struct key *key) {
	return addr_family(&key->local) == FAMILY_IPV6 || addr_family(&key->remote) == FAMILY_IPV6;
}

static struct narrow_key narrow_of(const struct key *key) {
	struct narrow_key narrow = {
	    .local_port = key->local_port,
	    .remote_port = key->remote_port,
	    .protocol = key->protocol,
	    .query = key->query,
	};
	memcpy(narrow.local, key->local.bytes + WIDE, NARROW);
	memcpy(narrow.remote, key->remote.bytes + WIDE, NARROW);
	return narrow;
}

static struct wide_key wide_of(const struct key *key) {
	struct wide_key wide;
	memcpy(wide.local, key->local.bytes, WIDE);
	memcpy(wide.remote, key->remote.bytes, WIDE);
	return wide;
}

static struct addr join(const uint8_t wide[WIDE], const uint8_t narrow[NARROW]) {
	struct addr addr;
	memcpy(addr.bytes, wide, WIDE);
	memcpy(addr.bytes + WIDE, narrow, NARROW);
	return addr;
}

void entry_set_key(struct stripe *stripe, struct connection *connection, const struct key *key) {
	connection->narrow = narrow_of(key);
	connection->is_ipv6 = key_is_ipv6(key);
	if (connection->is_ipv6)
		stripe->wide[connection - stripe->pool] = wide_of(key);
}

struct key entry_key(const struct stripe *stripe, const struct connection *connection) {
	const struct narrow_key *narrow = &connection->narrow;
	const struct wide_key *wide = &stripe->wide[connection - stripe->pool];
	bool ipv6 = connection->is_ipv6;
	return (struct key){
	    .local = ipv6 ? join(wide->local, narrow->local) : addr_from_ipv4(narrow->local),
	    .remote = ipv6 ? join(wide->remote, narrow->remote) : addr_from_ipv4(narrow->remote),
	    .local_port = narrow->local_port,
	    .remote_port = narrow->remote_port,
	    .protocol = narrow->protocol,
	    .query = narrow->query,
	};
}

struct connection *chain_find(struct stripe *stripe, ref entry, const struct key *key) {
	struct narrow_key narrow = narrow_of(key);
	while (entry != NONE) {
		struct connection *connection = entry_at(stripe, entry);
		if (memcmp(&connection->narrow, &narrow, sizeof narrow) == 0) {
			struct key own = entry_key(stripe, connection);
			if (key_equal(&own, key))
				return connection;
		}
		entry = connection->next;
	}
	return NULL;
}
