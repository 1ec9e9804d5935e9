/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection table: stripes, each with a lock, buckets, a pool of entries, a timer
 * wheel and a list a worth for eviction. All memory is reserved at table_new and
 * touched only as it fills, so the table can never grow past its bound.
 *
 * Life of an entry: connection_insert -> (connection_touch ...) -> table_expire,
 * connection_remove or eviction. Pointers to entries are valid only while the
 * stripe's lock is held. Lock order: one stripe at a time, never two.
 */
#ifndef SALLYPORT_CORE_TABLE_H
#define SALLYPORT_CORE_TABLE_H

#include "sallyport/core/key.h"
#include "sallyport/core/track.h"

enum { NO_RULE = UINT32_MAX };

enum connection_flag {
	CONNECTION_LEARNED = 0x01,   /* seen leaving through SNAT; rules do not apply */
	CONNECTION_PICKED_UP = 0x02, /* mid-stream */
};

/* What one connection costs in the daemon; static_assert in table.c keeps it at or
 * under 128 bytes. The members below `private` belong to table.c. */
struct connection {
	struct key key;
	struct tcp_track tcp;
	uint32_t rule;       /* index into the ruleset of `generation`, or NO_RULE: the default */
	uint32_t generation; /* the ruleset that last allowed it */
	uint32_t opened, last_seen, expires; /* seconds of the monotonic clock */
	uint32_t interface; /* kernel index of the interface of the opening packet; 0: unknown */
	uint8_t state;      /* enum tcp_state or enum pseudo_state */
	uint8_t direction;  /* enum direction of the opening */
	uint8_t flags;      /* enum connection_flag */
	uint8_t icmp_type;  /* of the opening packet */
	uint8_t epoch;      /* see filter.h */
	/* private */
	uint8_t worth;
	uint32_t next;                   /* bucket chain */
	uint32_t wheel_next, wheel_prev; /* timer slot */
	uint32_t list_next, list_prev;   /* worth list, oldest first */
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
/* A new entry, zeroed but for the key, opened = last_seen = now; the caller fills it
 * and calls connection_touch. The key must not be in the table. When the stripe is full
 * the oldest half-open entry goes, else the oldest closing one; NULL: nothing was cheap enough. */
struct connection *connection_insert(struct stripe *stripe, const struct key *key, uint32_t now);
/* After every change of state: last_seen = now, files the entry under its worth, and
 * sets `expires` to now + timeout. A half-open entry whose state did not change keeps
 * its expiry (retransmits must not renew it): pass renew = false. */
void connection_touch(struct stripe *stripe, struct connection *connection, uint32_t now, uint32_t timeout,
		      enum worth worth, bool renew);
void connection_remove(struct stripe *stripe, struct connection *connection);

/* Frees what has run out by `now`, at most `budget` entries visited a call. Returns true
 * when it got through. Call about once a second. */
bool table_expire(struct table *table, uint32_t now, uint32_t budget);

/* Walks the table without holding it up: copies up to `max` entries from *cursor (start
 * with 0) to `out`, moves *cursor on, returns the count; 0 when the walk is over. An
 * entry that stands during the whole walk is seen exactly once. */
size_t table_copy(struct table *table, uint64_t *cursor, struct connection *out, size_t max);

/* Visits every entry, stripe by stripe, with the lock held; `visit` returns false to
 * have the entry removed. Returns how many were removed. */
size_t table_sweep(struct table *table, bool (*visit)(struct connection *, void *), void *context);

struct table_usage table_usage(const struct table *table);
struct table_counters table_counters(const struct table *table);

#endif
