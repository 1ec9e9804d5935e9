/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a worker pauses between two batches. A wake-up costs more than a packet: under load
 * a pause of tens of microseconds lets packets gather, so that one wake-up, one read and
 * one write serve many. When there is little to do there is no pause.
 */
#ifndef SALLYPORT_DAEMON_PACE_H
#define SALLYPORT_DAEMON_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PACE_PAUSE_NS = 50 * 1000,
	PACE_SPAN_NS = 2 * 1000 * 1000, /* the load is judged by what came in a span of this length */
	PACE_BUSY = 40,                 /* packets a span (20,000 a second) from which on it pauses */
};

struct pace {
	uint64_t since; /* start of the span, nanoseconds of the monotonic clock */
	uint32_t packets;
	bool busy;
};

/* Notes a batch of `count` packets that was read at `now`. True: pause before the next read. */
static inline bool pace_note(struct pace *pace, uint32_t count, uint64_t now) {
	uint64_t span = now - pace->since;

	pace->packets += count;
	if (span >= PACE_SPAN_NS) {
		/* A span that the queue slept through is longer, and the load less. */
		pace->busy = (uint64_t)pace->packets * PACE_SPAN_NS >= PACE_BUSY * span;
		pace->since = now;
		pace->packets = 0;
	}
	return pace->busy;
}

#endif
