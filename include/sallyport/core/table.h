/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection table: stripes, each with a lock, buckets, a pool of entries, and a queue a
 * state. All memory is reserved at table_new and touched only as it fills, so the table can
 * never grow past its bound.
 *
 * A timeout belongs to a state, so a queue in the order of renewal is in the order of expiry
 * too: what runs out, and what must go when the table is full, is found at its head.
 *
 * Life of an entry: connection_insert -> (connection_move, connection_renew ...) ->
 * table_expire, connection_remove or eviction. Pointers to entries are valid only while the
 * stripe's lock is held. Lock order: one stripe at a time, never two.
 *
 * `now`: seconds of the monotonic clock. It may lie back behind another thread's by as much as
 * clocks do; what comes into its queue late also expires late by that much.
 */
#ifndef SALLYPORT_CORE_TABLE_H
#define SALLYPORT_CORE_TABLE_H

#include "sallyport/core/key.h"
#include "sallyport/core/track.h"

enum { NO_RULE = 0xffffff }; /* the parser takes fewer rules by far */

enum connection_flag {
	CONNECTION_LEARNED = 0x01,   /* seen leaving through SNAT; rules do not apply */
	CONNECTION_FORWARDED = 0x02, /* seen leaving for somebody behind this host: no socket here has it */
	CONNECTION_LEASED = 0x04,    /* packets of it pass in the kernel, unseen */
};

/* Private to the table: enough to tell most keys apart, and all of IPv4. Of the addresses it has the last
 * four bytes; the other twelve of IPv6 stand elsewhere. */
struct narrow_key {
	uint8_t local[4], remote[4];
	uint16_t local_port, remote_port;
	uint8_t protocol, query;
};

/* 72 bytes, and of IPv6 24 more for its addresses: that is what a connection costs in the daemon, but for its
 * share of the buckets. Its key is not in it: whoever holds one has found it by its key, or was handed that.
 * `generation` is the low byte of that of the ruleset that last allowed it: a reload
 * sweeps the whole table, so only neighbours ever meet. */
struct connection {
	/* private to the table */
	uint32_t next;                   /* bucket chain */
	uint32_t queue_next, queue_prev; /* queue of its state, oldest first */
	struct narrow_key narrow;

	uint8_t generation;
	uint8_t epoch; /* see filter.h */
	struct tcp_track tcp;
	uint32_t rule : 24;     /* index into the ruleset of `generation`, or NO_RULE: the default */
	uint32_t state : 4;     /* enum tcp_state or enum pseudo_state; connection_move changes it */
	uint32_t direction : 1; /* enum direction of the opening */
	uint32_t flags : 3;     /* enum connection_flag */
	uint32_t opened;
	uint32_t renewed;        /* when its timeout last began anew; connection_renew changes it */
	uint32_t interface : 31; /* kernel index of the interface of the opening packet; 0: unknown */
	uint32_t is_ipv6 : 1;    /* private too: `narrow` is not all of its key */
};

/* One out of the table, or on its way into it. */
struct keyed_connection {
	struct key key;
	struct connection connection;
};

struct table;
struct stripe;

struct table_counters {
	uint64_t inserted, expired, removed;
	uint64_t evicted_half_open, evicted_closing, refused;
};

struct table_usage {
	uint32_t count, half_open, max;
};

/* max: 1..2^26 connections; the true bound is max rounded up to a multiple of the
 * number of stripes. NULL: out of memory (errno). Owner: the caller, table_free. */
struct table *table_new(uint32_t max, const struct hash_secret *secret);
void table_free(struct table *table);

/* Locks the stripe that `key` lives in. Hold it for as short as a packet takes. */
struct stripe *table_lock(struct table *table, const struct key *key);
void table_unlock(struct stripe *stripe);

/* All with the stripe of `key` locked, by table_lock with that very key. */
struct connection *connection_find(struct stripe *stripe, const struct key *key);
/* A new entry, zeroed but for key and state, opened = renewed = now; the caller fills the
 * rest. The key must not be in the table. When the stripe is full the half-open entry goes
 * that was renewed longest ago, else such a closing one; NULL: nothing was cheap enough. */
struct connection *connection_insert(struct stripe *stripe, const struct key *key, uint8_t state,
				     uint32_t now);
/* Into another state, whose timeout begins now. */
void connection_move(struct stripe *stripe, struct connection *connection, uint8_t state, uint32_t now);
/* Its timeout begins anew. Not after repeats that lead nowhere: see state_renews. */
void connection_renew(struct stripe *stripe, struct connection *connection, uint32_t now);
void connection_remove(struct stripe *stripe, struct connection *connection);

enum { LET_GO = -1 };

/* Returns the state to go on in, or LET_GO. Runs with the stripe locked, so it must be quick and
 * must not call the table. */
typedef int table_visit(const struct key *key, struct connection *connection, void *context);

struct expiry {
	const struct timeouts *timeouts; /* those in force: a connection has none of its own */
	/* Asked about a connection that has run out, where state_is_doubtful; in the state that it
	 * returns the timeout begins anew. NULL: all go. */
	table_visit *keep;
	void *context;
};

/* Frees what has run out by `now`, at most `budget` entries visited a call. Returns true
 * when it got through. Call about once a second. */
bool table_expire(struct table *table, const struct expiry *expiry, uint32_t now, uint32_t budget);

/* Walks the table without holding it up: copies up to `max` entries from *cursor (start
 * with 0) to `out`, moves *cursor on, returns the count; 0 when the walk is over. An
 * entry that stands during the whole walk is seen exactly once. */
size_t table_copy(struct table *table, uint64_t *cursor, struct keyed_connection *out, size_t max);

/* Visits every entry, stripe by stripe; one whose own state is returned stays as it is. Returns how many
 * were removed or moved. */
size_t table_sweep(struct table *table, uint32_t now, table_visit *visit, void *context);

/* After connections were inserted whose `now` lay back and in no order: those that a restart
 * brings back. Takes about 0.2 us an entry. */
void table_order(struct table *table);

struct table_usage table_usage(const struct table *table);
struct table_counters table_counters(const struct table *table);

#endif
