/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Life of the rules in force: policy_new -> policy_slot_swap -> held by workers, log
 * events and answers under way -> the last policy_drop frees ruleset and counters.
 */
#include "sallyport/daemon/policy.h"

#include <stdlib.h>
#include <time.h>

enum { DEFAULT_COUNTERS = 2 };

struct policy_version *policy_new(struct ruleset *ruleset, uint32_t generation) {
	struct policy_version *version = calloc(1, sizeof(*version));
	struct rule_counters *counters = calloc(ruleset->count + DEFAULT_COUNTERS, sizeof(*counters));

	if (!version || !counters) {
		free(version);
		free(counters);
		return NULL;
	}
	ruleset->generation = generation;
	version->ruleset = ruleset;
	version->counters = counters;
	version->policy = (struct policy){.ruleset = ruleset, .counters = counters};
	version->loaded = (uint64_t)time(NULL);
	atomic_init(&version->references, 1);
	return version;
}

struct policy_version *policy_hold(struct policy_version *version) {
	atomic_fetch_add_explicit(&version->references, 1, memory_order_relaxed);
	return version;
}

void policy_drop(struct policy_version *version) {
	if (!version || atomic_fetch_sub_explicit(&version->references, 1, memory_order_acq_rel) != 1)
		return;
	ruleset_free(version->ruleset);
	free(version->counters);
	free(version);
}

const struct place *policy_place(const struct policy_version *version, const struct connection *connection) {
	if (connection->rule == NO_RULE || connection->generation != (uint8_t)version->ruleset->generation ||
	    connection->rule >= version->ruleset->count)
		return NULL;
	return &version->ruleset->rules[connection->rule].place;
}

void policy_slot_init(struct policy_slot *slot, struct policy_version *first) {
	pthread_mutex_init(&slot->lock, NULL);
	slot->current = first;
	atomic_init(&slot->generation, first->ruleset->generation);
}

void policy_slot_clear(struct policy_slot *slot) {
	policy_drop(slot->current);
	slot->current = NULL;
	pthread_mutex_destroy(&slot->lock);
}

struct policy_version *policy_slot_hold(struct policy_slot *slot) {
	struct policy_version *version;

	pthread_mutex_lock(&slot->lock);
	version = policy_hold(slot->current);
	pthread_mutex_unlock(&slot->lock);
	return version;
}

void policy_refresh(struct policy_version **held, struct policy_slot *slot) {
	if (atomic_load(&slot->generation) == (*held)->ruleset->generation)
		return;
	policy_drop(*held);
	*held = policy_slot_hold(slot);
}

void policy_slot_swap(struct policy_slot *slot, struct policy_version *next) {
	struct policy_version *old;

	pthread_mutex_lock(&slot->lock);
	old = slot->current;
	slot->current = next;
	atomic_store(&slot->generation, next->ruleset->generation);
	pthread_mutex_unlock(&slot->lock);
	policy_drop(old);
}
