/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One datagram of nflog -> the copies in it. Bytes alone: no socket.
 */
#ifndef SALLYPORT_KERNEL_COPIES_MESSAGE_H
#define SALLYPORT_KERNEL_COPIES_MESSAGE_H

#include "sallyport/kernel/copies.h"

/* The kernel numbers its copies. All zero at first. */
struct copy_numbers {
	bool known;    /* `next` is */
	uint32_t next; /* number of the next copy */
	uint64_t lost; /* those that were left out */
};

/* Calls `see` for every copy; returns how many. */
int copies_message_read(const void *bytes, size_t length, struct copy_numbers *numbers,
			void (*see)(const struct copied *copied, void *context), void *context);

#endif
