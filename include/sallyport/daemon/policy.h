/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules in force: a ruleset, its counters, and how the next one takes its place
 * while workers judge by it.
 *
 * A version is immutable but for its counters and lives as long as somebody holds a
 * reference. The slot holds the current one; workers keep a reference of their own and
 * look at `generation`, once a batch, to see whether it is still current.
 */
#ifndef SALLYPORT_DAEMON_POLICY_H
#define SALLYPORT_DAEMON_POLICY_H

#include <pthread.h>
#include <stdatomic.h>

#include "sallyport/core/filter.h"

struct policy_version {
	struct policy policy; /* what filter_packet takes */
	struct ruleset *ruleset;
	struct rule_counters *counters; /* one a rule, then default in, default out */
	uint64_t loaded;                /* Unix seconds */
	_Atomic uint32_t references;
};

/* Takes the ruleset over and gives it its generation. NULL: out of memory, the ruleset
 * is still the caller's. */
struct policy_version *policy_new(struct ruleset *ruleset, uint32_t generation);
struct policy_version *policy_hold(struct policy_version *version);
void policy_drop(struct policy_version *version); /* NULL is fine */

/* Rules of `to` that read the same as rules of `from` go on counting where those
 * stopped; the defaults always do. Of rules that read the same several times the first
 * continues the first. `kernel_packets`: what the kernel counted for each rule of `from`
 * and forgets now; may be NULL. False: out of memory, nothing was carried. */
bool policy_carry_counters(struct policy_version *to, const struct policy_version *from,
			   const uint64_t *kernel_packets);

/* Where the rule of a connection stands; NULL: the default (or address translation) let
 * it in, or it was last judged by another version. */
const struct place *policy_place(const struct policy_version *version, const struct connection *connection);

struct policy_slot {
	pthread_mutex_t lock;
	struct policy_version *current;
	_Atomic uint32_t generation; /* of current */
};

void policy_slot_init(struct policy_slot *slot, struct policy_version *first); /* takes the reference */
void policy_slot_clear(struct policy_slot *slot);
/* A new reference to the current version. Any thread. */
struct policy_version *policy_slot_hold(struct policy_slot *slot);
/* For a thread that holds `*held`: takes the current version where that is another. */
void policy_refresh(struct policy_version **held, struct policy_slot *slot);
/* Takes the reference `next`, drops the old one. */
void policy_slot_swap(struct policy_slot *slot, struct policy_version *next);

#endif
