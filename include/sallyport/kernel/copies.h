/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies of packet headers that the kernel sends by nflog: what passes on a lease and moves a
 * connection on. They are only to be known, nothing waits for an answer. One owner thread.
 * Kernel side: net/netfilter/nfnetlink_log.c.
 */
#ifndef SALLYPORT_KERNEL_COPIES_H
#define SALLYPORT_KERNEL_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/error.h"
#include "sallyport/core/filter.h"

struct copied {
	uint32_t interface; /* kernel index: in for HOOK_IN, out for the others; 0: none */
	enum hook hook;
	const uint8_t *bytes; /* from the IP header on; valid during the call */
	size_t captured, length;
};

struct copies;

/* The group that goes with a queue's number. */
uint16_t copies_group(uint16_t queue);

/* Binds the group. NULL: *err says what and what to do. Owner: copies_close. */
struct copies *copies_open(uint16_t group, struct error *err);
void copies_close(struct copies *copies);

/* Waits up to 250 ms for a datagram, then calls `see` for every copy in it. Returns how many, 0 on timeout
 * or signal; -1: the socket is gone (*err). */
int copies_receive(struct copies *copies, void (*see)(const struct copied *copied, void *context),
		   void *context, struct error *err);

/* How many copies the kernel gathers before it sends them on; 1..200, 1 at first. Whatever is less comes
 * within 10 ms. */
bool copies_gather(struct copies *copies, uint32_t count, struct error *err);

/* True: the kernel does not send them here any more, and will not again (*err). Any thread. */
bool copies_are_lost(const struct copies *copies, struct error *err);

/* Copies that were lost on the way, from gaps in their numbers and full buffers; since the last call. */
uint64_t copies_take_lost(struct copies *copies);

#endif
