/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One stripe of the connection table, private to table.c, stripe.c and wheel.c.
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
	WHEEL_SLOTS = 512,    /* of one second */
	FIRING = WHEEL_SLOTS, /* the slot whose time has come, until it is empty */
	LISTS = WORTH_OPEN,   /* connections of that worth are never evicted, so in no list */
};

/* In place of a worth. */
enum entry_state { ENTRY_UNFILED = WORTHS, ENTRY_FREE };

/* Whole cache lines, so that an entry never touches a third. */
struct entry {
	struct connection connection;
} __attribute__((aligned(64)));

struct worth_list {
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
	struct entry *pool;
	ref *buckets;
	uint32_t capacity, bucket_mask;
	uint32_t used;       /* entries of the pool that were ever used */
	ref free;            /* linked by `next` */
	uint32_t wheel_next; /* the second that fires next */
	struct worth_list lists[LISTS];
	ref wheel[WHEEL_SLOTS + 1];
	struct figures figures;
} __attribute__((aligned(64)));

#define figure_add(figure, amount)                                                                           \
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + (amount),         \
			      memory_order_relaxed)

static inline struct connection *entry_at(struct stripe *stripe, ref entry) {
	return &stripe->pool[entry - 1].connection;
}

static inline ref ref_of(struct stripe *stripe, struct connection *connection) {
	return (ref)((struct entry *)connection - stripe->pool) + 1;
}

/* Takes the entry out of everything and frees it; counts nothing but its absence. */
void stripe_release(struct stripe *stripe, struct connection *connection);

/* Files an entry by its `expires`; it must not be filed. */
void wheel_file(struct stripe *stripe, struct connection *connection);
/* Does nothing where it is not filed. */
void wheel_unfile(struct stripe *stripe, struct connection *connection);
/* Frees what has run out by `now`, visits at most *budget entries and takes them off it.
 * True: got through. */
bool wheel_turn(struct stripe *stripe, uint32_t now, uint32_t *budget);

#endif
