/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One nfqueue, one thread: receive a batch, judge it, answer it.
 */
#ifndef SALLYPORT_DAEMON_WORKER_H
#define SALLYPORT_DAEMON_WORKER_H

#include "sallyport/core/filter.h"
#include "sallyport/daemon/packet_log.h"
#include "sallyport/daemon/policy.h"
#include "sallyport/kernel/links.h"
#include "sallyport/kernel/mark.h"
#include "sallyport/kernel/queue.h"

/* What all workers share; outlives them. */
struct workplace {
	struct filter filter;
	struct policy_slot policy;
	struct marks marks;
	struct packet_log *packet_log;
	struct links_watch *links_watch;
	_Atomic bool redirects_seen; /* see redirect.h */
};

struct worker;

/* Binds the queue. NULL: *err says why. Owner: worker_free. */
struct worker *worker_new(uint16_t number, struct workplace *workplace, struct error *err);
/* Starts the thread; every signal must be blocked by now. */
bool worker_start(struct worker *worker, struct error *err);
void worker_ask_to_stop(struct worker *worker);
/* Waits for the thread, if there is one, and closes the queue. NULL is fine. */
void worker_free(struct worker *worker);

/* The rest is for the main thread, while the worker works. */

uint16_t worker_queue_number(const struct worker *worker);

/* Moves with every batch and at least every 250 ms; odd while a batch is judged. */
uint64_t worker_turn(const struct worker *worker);
/* Returns when no packet is judged by a policy that was replaced before the call.
 * False: the worker is stuck in one batch for a second. */
bool worker_settle(const struct worker *worker);
/* True: the thread has given up its queue, or the kernel has taken it away; *err says why. */
bool worker_has_failed(const struct worker *worker, struct error *err);

struct worker_figures {
	uint64_t reasons[REASON_COUNT];
	uint64_t packets, batches;
	uint64_t unsent; /* batches whose verdicts the kernel would not take */
};
/* Adds to what is there. */
void worker_add_figures(const struct worker *worker, struct worker_figures *total);

#endif
