/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table: a number of stripes and the memory that they share out.
 *
 * A key's hash chooses the stripe by its upper half and the bucket by its lower. The
 * memory is reserved in one mapping without backing; the kernel gives pages as they are
 * touched, and small ones: a huge page for each stripe's first entries would cost what
 * a full table does.
 */
#include "sallyport/core/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stripe.h"

enum {
	MOST_STRIPES = 64,
	LEAST_STRIPE = 1024, /* entries: smaller ones would fill too unevenly */
	MOST_CONNECTIONS = 1 << 26,
	FIRST_BUCKETS = 2048, /* of a stripe; a power of two. Two pages */
	PAGE = 4096,
	VISITS = 256, /* entries looked at while a lock is held */
};

struct table {
	struct hash_secret secret;
	struct stripe *stripes;
	uint32_t stripe_count; /* a power of two */
	uint32_t capacity;     /* of a stripe */
	void *memory;
	size_t memory_size;
	uint32_t turning; /* the stripe whose turn it is; table_expire's own */
};

static uint32_t stripes_for(uint32_t max) {
	uint32_t count = 1;
	while (count < MOST_STRIPES && max / (count * 2) >= LEAST_STRIPE)
		count *= 2;
	return count;
}

static size_t buckets_for(uint32_t capacity) {
	return capacity > FIRST_BUCKETS ? capacity : FIRST_BUCKETS;
}

/* Each stripe's begin with a page: the little that is used touches no more than it must. */
static size_t whole_pages(size_t size) {
	return (size + PAGE - 1) / PAGE * PAGE;
}

static void *reserve(size_t size) {
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_NOHUGEPAGE); /* a kernel without huge pages refuses: as good */
	return memory;
}

static bool reserve_stripes(struct table *table) {
	size_t pool = whole_pages(table->capacity * sizeof(struct connection));
	size_t wide = whole_pages(table->capacity * sizeof(struct wide_key));
	size_t chains = whole_pages(buckets_for(table->capacity) * sizeof(ref));
	table->memory_size = table->stripe_count * (pool + wide + chains);
	table->memory = reserve(table->memory_size);
	table->stripes = aligned_alloc(_Alignof(struct stripe), table->stripe_count * sizeof(struct stripe));
	if (!table->memory || !table->stripes)
		return false;
	memset(table->stripes, 0, table->stripe_count * sizeof(struct stripe));
	char *entries = table->memory, *wides = entries + table->stripe_count * pool,
	     *refs = wides + table->stripe_count * wide;
	for (uint32_t i = 0; i < table->stripe_count; i++) {
		struct stripe *stripe = &table->stripes[i];
		pthread_mutex_init(&stripe->lock, NULL);
		stripe->secret = &table->secret;
		stripe->pool = (struct connection *)(entries + i * pool);
		stripe->wide = (struct wide_key *)(wides + i * wide);
		stripe->buckets = (ref *)(refs + i * chains);
		stripe->bucket_count = FIRST_BUCKETS;
		stripe->bucket_mask = FIRST_BUCKETS - 1;
		stripe->capacity = table->capacity;
	}
	return true;
}

struct table *table_new(uint32_t max, const struct hash_secret *secret) {
	if (max == 0 || max > MOST_CONNECTIONS) {
		errno = EINVAL;
		return NULL;
	}
	struct table *table = calloc(1, sizeof *table);
	if (!table)
		return NULL;
	table->secret = *secret;
	table->stripe_count = stripes_for(max);
	table->capacity = (max + table->stripe_count - 1) / table->stripe_count;
	if (!reserve_stripes(table)) {
		table_free(table);
		errno = ENOMEM;
		return NULL;
	}
	return table;
}

void table_free(struct table *table) {
	if (!table)
		return;
	for (uint32_t i = 0; table->stripes && table->memory && i < table->stripe_count; i++)
		pthread_mutex_destroy(&table->stripes[i].lock);
	if (table->memory)
		munmap(table->memory, table->memory_size);
	free(table->stripes);
	free(table);
}

struct stripe *table_lock(struct table *table, const struct key *key) {
	uint64_t hash = key_hash(key, &table->secret);
	struct stripe *stripe = &table->stripes[(hash >> 32) & (table->stripe_count - 1)];
	pthread_mutex_lock(&stripe->lock);
	stripe->hash = hash;
	return stripe;
}

void table_unlock(struct stripe *stripe) {
	pthread_mutex_unlock(&stripe->lock);
}

bool table_expire(struct table *table, const struct expiry *expiry, uint32_t now, uint32_t budget) {
	for (uint32_t through = 0; through < table->stripe_count;) {
		struct stripe *stripe = &table->stripes[table->turning];
		uint32_t visits = budget < VISITS ? budget : VISITS, left = visits;
		pthread_mutex_lock(&stripe->lock);
		bool done = queue_expire(stripe, expiry, now, &left);
		pthread_mutex_unlock(&stripe->lock);
		budget -= visits - left;
		if (done) {
			table->turning = (table->turning + 1) % table->stripe_count;
			through++;
		} else if (budget == 0) {
			return false;
		}
	}
	return true;
}

/* Copies what is in use among up to VISITS entries from *index on. */
static size_t copy_some(struct stripe *stripe, uint32_t *index, struct keyed_connection *out, size_t max) {
	size_t count = 0;
	pthread_mutex_lock(&stripe->lock);
	uint32_t end = stripe->used - *index > VISITS ? *index + VISITS : stripe->used;
	for (; *index < end && count < max; ++*index) {
		const struct connection *connection = &stripe->pool[*index];
		if (connection->state != STATE_FREE)
			out[count++] = (struct keyed_connection){entry_key(stripe, connection), *connection};
	}
	if (*index == stripe->used)
		*index = stripe->capacity;
	pthread_mutex_unlock(&stripe->lock);
	return count;
}

size_t table_copy(struct table *table, uint64_t *cursor, struct keyed_connection *out, size_t max) {
	uint64_t end = (uint64_t)table->stripe_count * table->capacity;
	size_t count = 0;
	while (count < max && *cursor < end) {
		uint64_t number = *cursor / table->capacity;
		uint32_t index = (uint32_t)(*cursor % table->capacity);
		count += copy_some(&table->stripes[number], &index, out + count, max - count);
		*cursor = number * table->capacity + index;
	}
	return count;
}

/* True: it was removed or moved. */
static bool settle(struct stripe *stripe, struct connection *connection, int state, uint32_t now) {
	if (state == (int)connection->state)
		return false;
	if (state == LET_GO)
		connection_remove(stripe, connection);
	else
		connection_move(stripe, connection, (uint8_t)state, now);
	return true;
}

static size_t sweep_some(struct stripe *stripe, uint32_t *index, uint32_t now, table_visit *visit,
			 void *context) {
	size_t changed = 0;
	pthread_mutex_lock(&stripe->lock);
	uint32_t end = stripe->used - *index > VISITS ? *index + VISITS : stripe->used;
	for (; *index < end; ++*index) {
		struct connection *connection = &stripe->pool[*index];
		if (connection->state == STATE_FREE)
			continue;
		struct key key = entry_key(stripe, connection);
		changed += settle(stripe, connection, visit(&key, connection, context), now);
	}
	if (*index == stripe->used)
		*index = stripe->capacity;
	pthread_mutex_unlock(&stripe->lock);
	return changed;
}

size_t table_sweep(struct table *table, uint32_t now, table_visit *visit, void *context) {
	size_t changed = 0;
	for (uint32_t i = 0; i < table->stripe_count; i++) {
		for (uint32_t index = 0; index < table->capacity;)
			changed += sweep_some(&table->stripes[i], &index, now, visit, context);
	}
	return changed;
}

void table_order(struct table *table) {
	for (uint32_t i = 0; i < table->stripe_count; i++) {
		pthread_mutex_lock(&table->stripes[i].lock);
		stripe_order(&table->stripes[i]);
		pthread_mutex_unlock(&table->stripes[i].lock);
	}
}

static uint64_t read_figure(const _Atomic uint64_t *figure) {
	return atomic_load_explicit(figure, memory_order_relaxed);
}

struct table_usage table_usage(const struct table *table) {
	struct table_usage usage = {.max = table->stripe_count * table->capacity};
	for (uint32_t i = 0; i < table->stripe_count; i++) {
		const struct figures *figures = &table->stripes[i].figures;
		usage.count += atomic_load_explicit(&figures->count, memory_order_relaxed);
		usage.half_open += atomic_load_explicit(&figures->half_open, memory_order_relaxed);
	}
	return usage;
}

struct table_counters table_counters(const struct table *table) {
	struct table_counters counters = {0};
	for (uint32_t i = 0; i < table->stripe_count; i++) {
		const struct figures *figures = &table->stripes[i].figures;
		counters.inserted += read_figure(&figures->inserted);
		counters.expired += read_figure(&figures->expired);
		counters.removed += read_figure(&figures->removed);
		counters.evicted_half_open += read_figure(&figures->evicted_half_open);
		counters.evicted_closing += read_figure(&figures->evicted_closing);
		counters.refused += read_figure(&figures->refused);
	}
	return counters;
}
