/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bounded queue of packet events from one worker (the only writer) to the main
 * thread (the only reader), without locks.
 */
#ifndef SALLYPORT_DAEMON_RING_H
#define SALLYPORT_DAEMON_RING_H

#include <stdatomic.h>

#include "sallyport/core/filter.h"
#include "sallyport/daemon/policy.h"

/* A packet that opened a connection or was refused, by a rule that says `log`. */
struct packet_event {
	struct policy_version *policy; /* a reference that the reader drops */
	uint32_t rule;                 /* index into its ruleset, or NO_RULE */
	uint32_t interface;            /* kernel index, 0: unknown */
	enum verdict verdict;
	enum reason reason;
	enum direction direction;
	struct tuple tuple;
	uint8_t icmp_type;
};

enum { RING_SLOTS = 1024 };

struct ring {
	_Alignas(64) _Atomic uint32_t head; /* next to read; the reader moves it */
	_Alignas(64) _Atomic uint32_t tail; /* next to write; the writer moves it */
	_Atomic uint64_t lost;              /* events that found it full */
	struct packet_event slots[RING_SLOTS];
};

/* False: full; counted in `lost`, the event is not taken. */
bool ring_push(struct ring *ring, const struct packet_event *event);
/* False: empty. */
bool ring_pop(struct ring *ring, struct packet_event *event);

#endif
