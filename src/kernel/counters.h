/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel counted: named counters, and those of the port maps' elements.
 */
#ifndef SALLYPORT_KERNEL_COUNTERS_H
#define SALLYPORT_KERNEL_COUNTERS_H

#include "compile.h"

struct tally {
	uint64_t packets, bytes;
};

/* Adds to `defaults` (by direction) what the maps' elements counted for them, and writes the
 * counters of everything else to `counters`, at most `max`. Returns how many; -1: *err.
 * counters NULL: only the defaults. */
int counters_read(struct mnl_socket *socket, const struct inventory *inventory, struct tally defaults[2],
		  struct kernel_counter *counters, size_t max, struct error *err);

#endif
