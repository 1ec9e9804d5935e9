/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The four mark bits through which the kernel's table and the daemon talk. They are
 * the lowest four of `settings.mark_mask`; every other bit of a packet's mark is kept.
 */
#ifndef SALLYPORT_KERNEL_MARK_H
#define SALLYPORT_KERNEL_MARK_H

#include <stdint.h>

struct marks {
	uint32_t mask;  /* the four together */
	uint32_t ask;   /* somebody must decide; alone after the queue: nobody did */
	uint32_t learn; /* of this host, but to be learned at postrouting all the same */
	/* The daemon's answers. */
	uint32_t reject;
	uint32_t allow; /* the packet, and its connection gets a lease */
	uint32_t pass;  /* the packet alone: `allow` and `reject` together */
};

struct marks marks_of(uint32_t mark_mask);

#endif
