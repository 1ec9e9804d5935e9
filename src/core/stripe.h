/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One stripe of the connection table, private to table.c and stripe*.c.
 *
 * Everything here is guarded by the stripe's lock, except the figures, which others may
 * read at any time. Entries refer to each other by `ref`: index in the pool plus one, so
 * that memory never touched reads as "none".
 */
#ifndef SALLYPORT_CORE_STRIPE_H
#define SALLYPORT_CORE_STRIPE_H

#include <pthread.h>
#include <stdatomic.h>

#include "sallyport/core/table.h"

typedef uint32_t ref;

enum {
	NONE = 0,
	STATE_FREE = 0xf, /* in place of a state */
};

/* The first twelve bytes of IPv6 addresses. */
struct wide_key {
	uint8_t local[12], remote[12];
};

/* The connections in one state, in the order of `renewed`. */
struct queue {
	ref oldest, newest;
};

/* Written under the lock, by plain loads and stores that are atomic for readers' sake. */
struct figures {
	_Atomic uint32_t count, half_open;
	_Atomic uint64_t inserted, expired, removed;
	_Atomic uint64_t evicted_half_open, evicted_closing, refused;
};

struct stripe {
	pthread_mutex_t lock;
	uint64_t hash; /* of the key that the stripe was locked for */
	const struct hash_secret *secret;
	struct connection *pool;
	struct wide_key *wide; /* as many as the pool has entries; of IPv4 untouched */
	ref *buckets;
	uint32_t capacity;
	uint32_t bucket_count, bucket_mask; /* the mask: the next power of two, minus one */
	uint32_t used;                      /* entries of the pool that were ever used */
	ref free;                           /* linked by `next` */
	struct queue queues[STATES];
	struct figures figures;
} __attribute__((aligned(64)));

#define figure_add(figure, amount)                                                                           \
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + (amount),         \
			      memory_order_relaxed)

static inline struct connection *entry_at(struct stripe *stripe, ref entry) {
	return &stripe->pool[entry - 1];
}

static inline ref ref_of(const struct stripe *stripe, const struct connection *connection) {
	return (ref)(connection - stripe->pool) + 1;
}

void entry_set_key(struct stripe *stripe, struct connection *connection, const struct key *key);
struct key entry_key(const struct stripe *stripe, const struct connection *connection);
/* The first entry with that key, of the chain that begins with `entry`; NULL: there is none. */
struct connection *chain_find(struct stripe *stripe, ref entry, const struct key *key);

/* Takes the entry out of everything and frees it; counts nothing but its absence. */
void stripe_release(struct stripe *stripe, struct connection *connection);

/* Puts an entry that is in no queue at the end of that of `state`: `state` and `renewed` are set. */
void queue_enter(struct stripe *stripe, struct connection *connection, uint8_t state, uint32_t now);
void queue_leave(struct stripe *stripe, struct connection *connection);
/* Of the entries of that worth the one renewed longest ago; NULL: there is none. */
struct connection *queue_oldest(struct stripe *stripe, enum worth worth);
/* Frees what has run out by `now`, visits at most *budget entries and takes them off it.
 * True: got through. */
bool queue_expire(struct stripe *stripe, const struct expiry *expiry, uint32_t now, uint32_t *budget);

/* Puts every queue into the order of `renewed`. */
void stripe_order(struct stripe *stripe);

#endif
