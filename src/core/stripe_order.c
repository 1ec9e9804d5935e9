/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Queues put in order after connections with a past were entered in any order: a merge sort
 * of each list, in place.
 */
#include "stripe.h"

enum { RUNS = 32 }; /* of 1, 2, 4, ... entries: no stripe holds 2^32 */

static ref *next_of(struct stripe *stripe, ref entry) {
	return &entry_at(stripe, entry)->queue_next;
}

/* Of two lists in order one; what is equal keeps its order. */
static ref merge(struct stripe *stripe, ref first, ref second) {
	ref merged = NONE, *end = &merged;
	while (first != NONE && second != NONE) {
		bool older = entry_at(stripe, first)->renewed <= entry_at(stripe, second)->renewed;
		ref *taken = older ? &first : &second;
		*end = *taken;
		end = next_of(stripe, *taken);
		*taken = *end;
	}
	*end = first != NONE ? first : second;
	return merged;
}

static ref sorted(struct stripe *stripe, ref list) {
	ref runs[RUNS] = {NONE}, all = NONE;
	while (list != NONE) {
		ref run = list;
		list = *next_of(stripe, run);
		*next_of(stripe, run) = NONE;
		size_t i = 0;
		for (; runs[i] != NONE; i++) {
			run = merge(stripe, runs[i], run);
			runs[i] = NONE;
		}
		runs[i] = run;
	}
	for (size_t i = 0; i < RUNS; i++)
		all = merge(stripe, runs[i], all);
	return all;
}

static void link_back(struct stripe *stripe, struct queue *queue) {
	ref prev = NONE;
	for (ref entry = queue->oldest; entry != NONE; entry = *next_of(stripe, entry)) {
		entry_at(stripe, entry)->queue_prev = prev;
		prev = entry;
	}
	queue->newest = prev;
}

void stripe_order(struct stripe *stripe) {
	for (size_t state = 0; state < STATES; state++) {
		struct queue *queue = &stripe->queues[state];
		queue->oldest = sorted(stripe, queue->oldest);
		link_back(stripe, queue);
	}
}
