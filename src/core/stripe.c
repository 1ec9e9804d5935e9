/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The entries of one stripe: buckets and pool. Their order in time is stripe_queue.c's, their keys
 * stripe_key.c's.
 *
 * Buckets grow with the entries that the pool has used, one each, so that memory follows what
 * is in the table: linear hashing (Litwin 1980), which splits one bucket at a time.
 */
#include "stripe.h"

#include <assert.h>

/* No entry touches a third cache line. */
static_assert(sizeof(struct connection) == 72, "a cache line and 8 bytes");
static_assert((int)STATES <= STATE_FREE, "a state has four bits");

static ref *bucket_of(struct stripe *stripe, uint64_t hash) {
	uint32_t number = (uint32_t)hash & stripe->bucket_mask;
	if (number >= stripe->bucket_count) /* its entries are still where they were before */
		number &= stripe->bucket_mask >> 1;
	return &stripe->buckets[number];
}

/* One bucket more, with its share of the entries of the bucket that has served for both. */
static void add_bucket(struct stripe *stripe) {
	uint32_t added = stripe->bucket_count++;
	if (added > stripe->bucket_mask)
		stripe->bucket_mask = stripe->bucket_mask * 2 + 1;
	ref *stays = &stripe->buckets[added & stripe->bucket_mask >> 1], *goes = &stripe->buckets[added];
	for (ref entry = *stays; entry != NONE; entry = entry_at(stripe, entry)->next) {
		struct connection *connection = entry_at(stripe, entry);
		struct key key = entry_key(stripe, connection);
		uint32_t number = (uint32_t)key_hash(&key, stripe->secret) & stripe->bucket_mask;
		ref **chain = number == added ? &goes : &stays;
		**chain = entry;
		*chain = &connection->next;
	}
	*stays = *goes = NONE;
}

struct connection *connection_find(struct stripe *stripe, const struct key *key) {
	return chain_find(stripe, *bucket_of(stripe, stripe->hash), key);
}

static void unchain(struct stripe *stripe, struct connection *connection) {
	struct key key = entry_key(stripe, connection);
	ref self = ref_of(stripe, connection);
	ref *link = bucket_of(stripe, key_hash(&key, stripe->secret));
	while (*link != self)
		link = &entry_at(stripe, *link)->next;
	*link = connection->next;
}

void stripe_release(struct stripe *stripe, struct connection *connection) {
	unchain(stripe, connection);
	queue_leave(stripe, connection);
	connection->state = STATE_FREE;
	connection->next = stripe->free;
	stripe->free = ref_of(stripe, connection);
	figure_add(&stripe->figures.count, -1);
}

void connection_remove(struct stripe *stripe, struct connection *connection) {
	stripe_release(stripe, connection);
	figure_add(&stripe->figures.removed, 1);
}

/* Makes room by letting the cheapest entry go. */
static bool evict(struct stripe *stripe) {
	struct connection *cheapest = queue_oldest(stripe, WORTH_HALF_OPEN);
	_Atomic uint64_t *evicted = &stripe->figures.evicted_half_open;
	if (!cheapest) {
		cheapest = queue_oldest(stripe, WORTH_CLOSING);
		evicted = &stripe->figures.evicted_closing;
	}
	if (!cheapest) {
		figure_add(&stripe->figures.refused, 1);
		return false;
	}
	stripe_release(stripe, cheapest);
	figure_add(evicted, 1);
	return true;
}

static struct connection *take_free(struct stripe *stripe) {
	if (stripe->free != NONE) {
		struct connection *connection = entry_at(stripe, stripe->free);
		stripe->free = connection->next;
		return connection;
	}
	if (stripe->used == stripe->bucket_count)
		add_bucket(stripe);
	return &stripe->pool[stripe->used++];
}

static bool is_full(const struct stripe *stripe) {
	return stripe->free == NONE && stripe->used == stripe->capacity;
}

struct connection *connection_insert(struct stripe *stripe, const struct key *key, uint8_t state,
				     uint32_t now) {
	if (is_full(stripe) && !evict(stripe))
		return NULL;
	struct connection *connection = take_free(stripe);
	ref *bucket = bucket_of(stripe, stripe->hash);
	*connection = (struct connection){
	    .opened = now,
	    .next = *bucket,
	};
	entry_set_key(stripe, connection, key);
	*bucket = ref_of(stripe, connection);
	queue_enter(stripe, connection, state, now);
	figure_add(&stripe->figures.count, 1);
	figure_add(&stripe->figures.inserted, 1);
	return connection;
}
