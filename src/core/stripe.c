/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The entries of one stripe: buckets, pool, and the lists by worth.
 */
#include "stripe.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct connection) <= 128, "a connection costs at most 128 bytes");
static_assert(sizeof(struct entry) == 128, "two cache lines");

static ref *bucket_of(struct stripe *stripe, uint64_t hash) {
	return &stripe->buckets[hash & stripe->bucket_mask];
}

struct connection *connection_find(struct stripe *stripe, const struct key *key) {
	ref entry = *bucket_of(stripe, stripe->hash);
	while (entry != NONE) {
		struct connection *connection = entry_at(stripe, entry);
		if (key_equal(&connection->key, key))
			return connection;
		entry = connection->next;
	}
	return NULL;
}

static bool is_listed(const struct connection *connection) {
	return connection->worth < LISTS;
}

static void unlist(struct stripe *stripe, struct connection *connection) {
	struct worth_list *list = &stripe->lists[connection->worth];
	ref prev = connection->list_prev, next = connection->list_next;
	*(prev != NONE ? &entry_at(stripe, prev)->list_next : &list->oldest) = next;
	*(next != NONE ? &entry_at(stripe, next)->list_prev : &list->newest) = prev;
	connection->list_prev = connection->list_next = NONE;
	if (connection->worth == WORTH_HALF_OPEN)
		figure_add(&stripe->figures.half_open, -1);
}

static void list_as_newest(struct stripe *stripe, struct connection *connection) {
	struct worth_list *list = &stripe->lists[connection->worth];
	ref self = ref_of(stripe, connection);
	connection->list_prev = list->newest;
	connection->list_next = NONE;
	*(list->newest != NONE ? &entry_at(stripe, list->newest)->list_next : &list->oldest) = self;
	list->newest = self;
	if (connection->worth == WORTH_HALF_OPEN)
		figure_add(&stripe->figures.half_open, 1);
}

static void unchain(struct stripe *stripe, struct connection *connection) {
	ref self = ref_of(stripe, connection);
	ref *link = bucket_of(stripe, key_hash(&connection->key, stripe->secret));
	while (*link != self)
		link = &entry_at(stripe, *link)->next;
	*link = connection->next;
}

void stripe_release(struct stripe *stripe, struct connection *connection) {
	unchain(stripe, connection);
	wheel_unfile(stripe, connection);
	if (is_listed(connection))
		unlist(stripe, connection);
	connection->worth = ENTRY_FREE;
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
	ref half_open = stripe->lists[WORTH_HALF_OPEN].oldest, closing = stripe->lists[WORTH_CLOSING].oldest;
	if (half_open == NONE && closing == NONE) {
		figure_add(&stripe->figures.refused, 1);
		return false;
	}
	stripe_release(stripe, entry_at(stripe, half_open != NONE ? half_open : closing));
	figure_add(half_open != NONE ? &stripe->figures.evicted_half_open : &stripe->figures.evicted_closing,
		   1);
	return true;
}

static struct connection *take_free(struct stripe *stripe) {
	if (stripe->free != NONE) {
		struct connection *connection = entry_at(stripe, stripe->free);
		stripe->free = connection->next;
		return connection;
	}
	return &stripe->pool[stripe->used++].connection;
}

static bool is_full(const struct stripe *stripe) {
	return stripe->free == NONE && stripe->used == stripe->capacity;
}

struct connection *connection_insert(struct stripe *stripe, const struct key *key, uint32_t now) {
	if (is_full(stripe) && !evict(stripe))
		return NULL;
	ref *bucket = bucket_of(stripe, stripe->hash);
	struct connection *connection = take_free(stripe);
	*connection = (struct connection){
	    .key = *key,
	    .opened = now,
	    .last_seen = now,
	    .worth = ENTRY_UNFILED,
	    .next = *bucket,
	};
	*bucket = ref_of(stripe, connection);
	figure_add(&stripe->figures.count, 1);
	figure_add(&stripe->figures.inserted, 1);
	return connection;
}

/* The order of a list is by the second, so a busy connection moves once a second. */
static void file_by_worth(struct stripe *stripe, struct connection *connection, enum worth worth,
			  bool younger) {
	if (connection->worth == worth && !younger)
		return;
	if (is_listed(connection))
		unlist(stripe, connection);
	connection->worth = (uint8_t)worth;
	if (is_listed(connection))
		list_as_newest(stripe, connection);
}

void connection_touch(struct stripe *stripe, struct connection *connection, uint32_t now, uint32_t timeout,
		      enum worth worth, bool renew) {
	file_by_worth(stripe, connection, worth, renew && connection->last_seen != now);
	connection->last_seen = now;
	bool filed = connection->wheel_prev != NONE;
	if (!renew && filed)
		return;
	bool sooner = now + timeout < connection->expires;
	connection->expires = now + timeout;
	/* What runs out later than thought is found out when its slot fires. */
	if (sooner || !filed) {
		wheel_unfile(stripe, connection);
		wheel_file(stripe, connection);
	}
}
