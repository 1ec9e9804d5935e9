/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The packet path. No allocation, no system call but receive and send (and, where this host's own
 * answer to nothing known would be refused, one question to conntrack), no lock but the table's stripe: what
 * the main thread wants to know it reads from relaxed counters that only this thread writes.
 */
#include "sallyport/daemon/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/pace.h"
#include "sallyport/daemon/redirect.h"
#include "sallyport/kernel/translation.h"

enum {
	SETTLE_STEP_NS = 50 * 1000,
	SETTLE_STEPS = 20 * 1000, /* a second together */
};

struct worker {
	struct workplace *place;
	struct queue *queue;
	struct links *links;
	struct ring *ring;
	struct redirects redirects;
	struct policy_version *policy; /* this thread's reference */
	struct pace pace;
	uint16_t number;
	bool started;
	pthread_t thread;
	struct error error; /* published by `failed` */
	_Atomic bool failed;
	_Atomic bool stop;
	_Alignas(64) _Atomic uint64_t turn;
	_Atomic uint64_t reasons[REASON_COUNT];
	_Atomic uint64_t packets, batches, unsent;
};

static void add(_Atomic uint64_t *counter, uint64_t more) {
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

static const char *name_of(void *names, uint32_t index) {
	return links_name(names, index);
}

static void log_packet(struct worker *worker, const struct packet *packet, const struct arrival *arrival,
		       const struct decision *decision) {
	struct packet_event event = {
	    .policy = policy_hold(worker->policy),
	    .rule = decision->rule,
	    .interface = arrival->interface_index,
	    .verdict = decision->verdict,
	    .reason = decision->reason,
	    .direction = decision->direction,
	    .tuple = packet->tuple,
	    .icmp_type = packet->icmp_type,
	};

	packet_log_push(worker->place->packet_log, worker->ring, &event);
}

static enum response response_to(const struct decision *decision) {
	switch (decision->verdict) {
	case VERDICT_ACCEPT:
		return decision->lease ? RESPONSE_LEASE : RESPONSE_PASS;
	case VERDICT_REJECT:
		return RESPONSE_REJECT;
	default:
		return RESPONSE_DROP;
	}
}

static enum response judge(struct worker *worker, const struct queued *queued, uint32_t now) {
	struct arrival arrival = {
	    .hook = queued->hook,
	    .interface_index = queued->interface,
	    .name_of = name_of,
	    .names = worker->links,
	};
	struct decision decision;
	struct packet packet;
	enum reason malformed;

	malformed = packet_parse(queued->bytes, queued->captured, queued->length, &packet);
	if (malformed != REASON_NONE) {
		add(&worker->reasons[malformed], 1);
		return queued->hook == HOOK_LEARN ? RESPONSE_PASS : RESPONSE_DROP;
	}
	decision = filter_packet(&worker->place->filter, &worker->policy->policy, &packet, &arrival, now);
	if (decision.verdict != VERDICT_ACCEPT)
		redirect_judge(&worker->redirects, &worker->place->filter, &worker->policy->policy, &packet,
			       &arrival, now, &decision);
	add(&worker->reasons[decision.reason], 1);
	if (decision.log)
		log_packet(worker, &packet, &arrival, &decision);
	return response_to(&decision);
}

static void work_batch(struct worker *worker, const struct queued *packets, int count) {
	uint32_t now = clock_seconds();
	struct error err;

	policy_refresh(&worker->policy, &worker->place->policy);
	for (int i = 0; i < count; i++)
		queue_verdict(worker->queue, &packets[i], judge(worker, &packets[i], now),
			      &worker->place->marks);
	if (!queue_send(worker->queue, &err))
		add(&worker->unsent, 1);
	add(&worker->packets, (uint64_t)count);
	add(&worker->batches, 1);
}

/* A batch that was full says that more wait already. */
static void let_packets_gather(struct worker *worker, int count) {
	struct timespec pause = {.tv_nsec = pace_note(&worker->pace, (uint32_t)count, clock_nanoseconds())};

	if (pause.tv_nsec > 0 && count < QUEUE_BATCH)
		nanosleep(&pause, NULL);
}

/* By the thread itself: another's name is a file to write to (see sandbox.h). */
static void take_name(uint16_t number) {
	char name[16];

	snprintf(name, sizeof(name), "queue-%u", number);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void *work(void *argument) {
	struct worker *worker = argument;
	struct queued packets[QUEUE_BATCH];

	take_name(worker->number);
	/* The pause is shorter than the slack that the kernel gives timers by default. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);

	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		int count = queue_receive(worker->queue, packets, &worker->error);

		if (count < 0) {
			atomic_store_explicit(&worker->failed, true, memory_order_release);
			break;
		}
		/* Sequentially consistent with the slot's generation: see worker_settle. */
		atomic_fetch_add(&worker->turn, 1);
		if (count > 0)
			work_batch(worker, packets, count);
		atomic_fetch_add(&worker->turn, 1);
		if (count > 0)
			let_packets_gather(worker, count);
	}
	return NULL;
}

struct worker *worker_new(uint16_t number, struct workplace *workplace, struct error *err) {
	struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof(*worker));

	if (!worker) {
		error_set(err, "out of memory");
		return NULL;
	}
	*worker = (struct worker){.place = workplace, .number = number};
	worker->queue = queue_open(number, &queue_defaults, err);
	if (!worker->queue) {
		worker_free(worker);
		return NULL;
	}
	worker->redirects = (struct redirects){translations_open(err), &workplace->redirects_seen};
	if (!worker->redirects.translations) {
		worker_free(worker);
		return NULL;
	}
	worker->links = links_new(workplace->links_watch);
	worker->ring = packet_log_ring(workplace->packet_log);
	if (!worker->links || !worker->ring) {
		error_set(err, "out of memory");
		worker_free(worker);
		return NULL;
	}
	worker->policy = policy_slot_hold(&workplace->policy);
	return worker;
}

bool worker_start(struct worker *worker, struct error *err) {
	int code = pthread_create(&worker->thread, NULL, work, worker);

	if (code != 0)
		return error_set(err, "cannot start a thread for nfqueue %u: %s", worker->number,
				 strerror(code));
	worker->started = true;
	return true;
}

void worker_ask_to_stop(struct worker *worker) {
	atomic_store_explicit(&worker->stop, true, memory_order_relaxed);
}

void worker_free(struct worker *worker) {
	if (!worker)
		return;
	if (worker->started) {
		worker_ask_to_stop(worker);
		pthread_join(worker->thread, NULL);
	}
	queue_close(worker->queue);
	translations_close(worker->redirects.translations);
	links_free(worker->links);
	policy_drop(worker->policy);
	free(worker);
}

uint16_t worker_queue_number(const struct worker *worker) {
	return worker->number;
}

uint64_t worker_turn(const struct worker *worker) {
	return atomic_load(&worker->turn);
}

/* An even turn: the worker waits, and will look at the generation before it judges again,
 * which is after the swap that came before this load. An odd one: wait until it moves. */
bool worker_settle(const struct worker *worker) {
	static const struct timespec step = {.tv_nsec = SETTLE_STEP_NS};
	uint64_t turn = worker_turn(worker);

	if (turn % 2 == 0)
		return true;
	for (unsigned i = 0; i < SETTLE_STEPS; i++) {
		if (worker_turn(worker) != turn)
			return true;
		nanosleep(&step, NULL);
	}
	return false;
}

bool worker_has_failed(const struct worker *worker, struct error *err) {
	if (!atomic_load_explicit(&worker->failed, memory_order_acquire))
		return queue_is_lost(worker->queue, err);
	*err = worker->error;
	return true;
}

void worker_add_figures(const struct worker *worker, struct worker_figures *total) {
	for (size_t i = 0; i < REASON_COUNT; i++)
		total->reasons[i] += atomic_load_explicit(&worker->reasons[i], memory_order_relaxed);
	total->packets += atomic_load_explicit(&worker->packets, memory_order_relaxed);
	total->batches += atomic_load_explicit(&worker->batches, memory_order_relaxed);
	total->unsent += atomic_load_explicit(&worker->unsent, memory_order_relaxed);
}
