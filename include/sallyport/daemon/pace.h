/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long a worker pauses between two batches. A wake-up costs more than a packet: under load
 * a pause lets packets gather, so that one wake-up, one read and one write serve many. When there
 * is little to do there is no pause.
 */
#ifndef SALLYPORT_DAEMON_PACE_H
#define SALLYPORT_DAEMON_PACE_H

#include <stdint.h>

enum {
	PACE_MOST_NS = 150 * 1000,
	PACE_GATHER = 16,               /* packets that a pause is for */
	PACE_SPAN_NS = 2 * 1000 * 1000, /* the load is judged by what came in a span of this length */
	PACE_BUSY = 40,                 /* packets a span (20,000 a second) from which on it pauses */
};

struct pace {
	uint64_t since; /* start of the span, nanoseconds of the monotonic clock */
	uint32_t packets;
	uint32_t pause; /* nanoseconds */
};

/* The time in which PACE_GATHER packets come at this rate, bounded; 0 where they are few. */
static inline uint32_t pace_pause(uint64_t packets, uint64_t span) {
	uint64_t gather;

	if (packets * PACE_SPAN_NS < PACE_BUSY * span)
		return 0;
	gather = PACE_GATHER * span / packets;
	return gather < PACE_MOST_NS ? (uint32_t)gather : PACE_MOST_NS;
}

/* Notes a batch of `count` packets that was read at `now`. Returns the pause to make before the next read. */
static inline uint32_t pace_note(struct pace *pace, uint32_t count, uint64_t now) {
	uint64_t span = now - pace->since;

	pace->packets += count;
	if (span >= PACE_SPAN_NS) {
		/* A span that the queue slept through is longer, and the load less. */
		pace->pause = pace_pause(pace->packets, span);
		pace->since = now;
		pace->packets = 0;
	}
	return pace->pause;
}

#endif
