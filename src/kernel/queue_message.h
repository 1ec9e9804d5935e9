/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One datagram of an nfqueue -> one packet. Bytes alone: no socket.
 */
#ifndef SALLYPORT_KERNEL_QUEUE_MESSAGE_H
#define SALLYPORT_KERNEL_QUEUE_MESSAGE_H

#include "sallyport/kernel/queue.h"

enum queue_message {
	QUEUE_MESSAGE_PACKET,
	QUEUE_MESSAGE_FOREIGN,    /* from a hook that we have nothing at; the id alone is known */
	QUEUE_MESSAGE_EMPTY,      /* without the packet's bytes, or all of them; the id alone is known */
	QUEUE_MESSAGE_UNREADABLE, /* perhaps a packet: its id is unknown */
	QUEUE_MESSAGE_OTHER,      /* no packet */
};

/* *packet points into `bytes`. */
enum queue_message queue_message_read(const void *bytes, size_t length, struct queued *packet);

#endif
