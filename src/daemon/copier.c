/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A thread of its own, so that a flood of connections that end never holds up the verdicts
 * for those that begin.
 */
#include "sallyport/daemon/copier.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/redirect.h"
#include "sallyport/kernel/copies.h"
#include "sallyport/kernel/translation.h"

/* One copy a wake-up when there are few, so that `list` is up to date; many when there are many. */
enum {
	GATHER = 200,
	BUSY = 200, /* copies a span from which on they are gathered */
	SPAN_NS = 20 * 1000 * 1000,
};

struct copier {
	struct workplace *place;
	struct copies *copies;
	struct redirects redirects;
	struct policy_version *policy; /* this thread's reference */
	uint32_t now;                  /* of the datagram being read */
	uint64_t span;                 /* when it began, nanoseconds of the monotonic clock */
	uint32_t in_span;
	_Atomic bool gathers;
	bool started;
	pthread_t thread;
	struct error error; /* published by `failed` */
	_Atomic bool failed;
	_Atomic bool stop;
	_Atomic uint64_t seen, lost, strangers;
};

static void add(_Atomic uint64_t *counter, uint64_t more) {
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

static void see(const struct copied *copied, void *context) {
	struct copier *copier = context;
	struct arrival arrival = {.hook = copied->hook, .interface_index = copied->interface};
	struct packet packet;

	if (packet_parse(copied->bytes, copied->captured, copied->length, &packet) != REASON_NONE)
		return;
	if (!filter_see(&copier->place->filter, &copier->policy->policy, &packet, &arrival, copier->now) &&
	    !redirect_see(&copier->redirects, &copier->place->filter, &copier->policy->policy, &packet,
			  &arrival, copier->now))
		add(&copier->strangers, 1);
}

/* What was lost may have been part of a handshake. */
static void note_losses(struct copier *copier) {
	uint64_t lost = copies_take_lost(copier->copies);

	if (lost == 0)
		return;
	add(&copier->lost, lost);
	atomic_fetch_add_explicit(&copier->place->filter.epoch, 1, memory_order_relaxed);
}

static void adapt(struct copier *copier, uint32_t count) {
	uint64_t now = clock_nanoseconds(), span = now - copier->span;
	struct error ignored; /* the kernel goes on as it does */
	bool busy;

	copier->in_span += count;
	if (span < SPAN_NS)
		return;
	busy = (uint64_t)copier->in_span * SPAN_NS >= BUSY * span;
	copier->span = now;
	copier->in_span = 0;
	if (busy == atomic_load_explicit(&copier->gathers, memory_order_relaxed))
		return;
	copies_gather(copier->copies, busy ? GATHER : 1, &ignored);
	atomic_store_explicit(&copier->gathers, busy, memory_order_relaxed);
}

static void *work(void *argument) {
	struct copier *copier = argument;

	prctl(PR_SET_NAME, "copies", 0, 0, 0);
	while (!atomic_load_explicit(&copier->stop, memory_order_relaxed)) {
		int count;

		policy_refresh(&copier->policy, &copier->place->policy);
		copier->now = clock_seconds();
		count = copies_receive(copier->copies, see, copier, &copier->error);
		if (count < 0) {
			atomic_store_explicit(&copier->failed, true, memory_order_release);
			break;
		}
		adapt(copier, (uint32_t)count);
		if (count > 0) {
			add(&copier->seen, (uint64_t)count);
		}
		note_losses(copier);
	}
	return NULL;
}

struct copier *copier_new(uint16_t group, struct workplace *workplace, struct error *err) {
	struct copier *copier = malloc(sizeof(*copier));

	if (!copier) {
		error_set(err, "out of memory");
		return NULL;
	}
	*copier = (struct copier){.place = workplace};
	copier->copies = copies_open(group, err);
	copier->redirects.seen = &workplace->redirects_seen;
	copier->redirects.translations = translations_open(err);
	if (!copier->copies || !copier->redirects.translations) {
		copier_free(copier);
		return NULL;
	}
	copier->policy = policy_slot_hold(&workplace->policy);
	return copier;
}

bool copier_start(struct copier *copier, struct error *err) {
	int code = pthread_create(&copier->thread, NULL, work, copier);

	if (code != 0)
		return error_set(err, "cannot start a thread for copies: %s", strerror(code));
	copier->started = true;
	return true;
}

void copier_ask_to_stop(struct copier *copier) {
	atomic_store_explicit(&copier->stop, true, memory_order_relaxed);
}

void copier_free(struct copier *copier) {
	if (!copier)
		return;
	if (copier->started) {
		copier_ask_to_stop(copier);
		pthread_join(copier->thread, NULL);
	}
	copies_close(copier->copies);
	translations_close(copier->redirects.translations);
	policy_drop(copier->policy);
	free(copier);
}

void copier_catch_up(const struct copier *copier) {
	/* The kernel keeps copies for 10 ms when it gathers them. */
	static const struct timespec wait = {.tv_nsec = 15000000};

	if (copier && atomic_load_explicit(&copier->gathers, memory_order_relaxed))
		nanosleep(&wait, NULL);
}

bool copier_has_failed(const struct copier *copier, struct error *err) {
	if (!atomic_load_explicit(&copier->failed, memory_order_acquire))
		return copies_are_lost(copier->copies, err);
	*err = copier->error;
	return true;
}

struct copier_figures copier_figures(const struct copier *copier) {
	return (struct copier_figures){
	    .copies = atomic_load_explicit(&copier->seen, memory_order_relaxed),
	    .lost = atomic_load_explicit(&copier->lost, memory_order_relaxed),
	    .strangers = atomic_load_explicit(&copier->strangers, memory_order_relaxed),
	};
}
