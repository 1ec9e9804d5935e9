/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One nfqueue: bind, receive a batch, answer a batch. One owner thread a queue.
 * Kernel side: net/netfilter/nfnetlink_queue.c.
 */
#ifndef SALLYPORT_KERNEL_QUEUE_H
#define SALLYPORT_KERNEL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/error.h"
#include "sallyport/core/filter.h"
#include "sallyport/kernel/mark.h"

enum { QUEUE_BATCH = 64 };

struct queued {
	uint32_t id;
	uint32_t mark;
	uint32_t interface; /* kernel index: in for HOOK_IN, out for the others; 0: none */
	enum hook hook;
	const uint8_t *bytes; /* from the IP header on; valid until the next receive */
	size_t captured, length;
};

struct queue_options {
	uint32_t max_length;     /* packets the kernel holds before it fails open; 16384 */
	uint32_t copy_range;     /* bytes of each packet that are copied here; 256 holds all headers */
	uint32_t receive_buffer; /* bytes */
};

extern const struct queue_options queue_defaults;

struct queue;

/* Binds queue `number`, fail-open, GSO packets whole. NULL: *err says what and what to
 * do (owned by another program: EPERM or EBUSY; no CAP_NET_ADMIN). Owner: queue_close. */
struct queue *queue_open(uint16_t number, const struct queue_options *options, struct error *err);
void queue_close(struct queue *queue);

/* Waits up to 250 ms for a first packet, then takes what is there, up to QUEUE_BATCH.
 * Returns the count, 0 on timeout or signal; messages that are no packets are skipped.
 * Every packet returned must get a verdict. Packets whose netlink message cannot be read are
 * dropped here where their id is known. -1: the socket is gone (*err). */
int queue_receive(struct queue *queue, struct queued packets[QUEUE_BATCH], struct error *err);

/* What becomes of a packet. */
enum response {
	RESPONSE_DROP,
	RESPONSE_REJECT,
	RESPONSE_PASS,  /* this packet alone */
	RESPONSE_LEASE, /* and its connection gets a lease, or as a SYN a place in `half` */
};

/* Notes the response; queue_send sends all noted in one write, in order. The mark sent is
 * the packet's own with our bits replaced. */
void queue_verdict(struct queue *queue, const struct queued *packet, enum response response,
		   const struct marks *marks);
bool queue_send(struct queue *queue, struct error *err);

/* True: the kernel does not ask here any more, and will not again (*err). Any thread. */
bool queue_is_lost(const struct queue *queue, struct error *err);

/* Times the socket's buffer overflowed (ENOBUFS hidden by NETLINK_NO_ENOBUFS is read from
 * /proc/net/netfilter/nfnetlink_queue). */
struct queue_figures {
	uint32_t waiting;      /* in the kernel now */
	uint64_t dropped;      /* queue full (those failed open are not counted by the kernel) */
	uint64_t user_dropped; /* netlink buffer full */
	uint64_t total;        /* ids given so far */
};
/* False: the queue is not listed. Any thread. */
bool queue_figures(uint16_t number, struct queue_figures *figures);

#endif
