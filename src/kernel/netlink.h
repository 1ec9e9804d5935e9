/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nftables over netlink: a batch that grows, one transaction, dumps.
 */
#ifndef SALLYPORT_KERNEL_NETLINK_H
#define SALLYPORT_KERNEL_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/error.h"

/* Messages one after the other, as the kernel wants a transaction: in one piece. */
struct batch {
	uint8_t *bytes;
	size_t length, room;
	uint32_t sequence; /* of the last message */
	bool failed;       /* out of memory: batch_send will say so */
};

/* The most that one message may take; more elements go into further messages. */
enum { BATCH_MESSAGE_MAX = 128 * 1024 };

void batch_begin(struct batch *batch);
/* The kernel is to refuse it (ERESTART) where the ruleset's generation is another one; 0: any will do, as at
 * first. */
void batch_expect(struct batch *batch, uint32_t generation);
/* Starts a message; the caller appends attributes, then calls batch_commit. Never
 * NULL: out of memory gives a scratch message and sets `failed`. */
struct nlmsghdr *batch_message(struct batch *batch, uint16_t type, uint16_t family, uint16_t flags);
void batch_commit(struct batch *batch, const struct nlmsghdr *message);
void batch_end(struct batch *batch);
void batch_free(struct batch *batch);

struct mnl_socket *nft_socket_open(struct error *err);
/* False: its descriptor was closed, or is something else by now. */
bool nft_socket_stands(const struct mnl_socket *socket);
/* Sends the batch as one transaction. False: the kernel has changed nothing; *code is the
 * first errno it gave (0: a failure before the kernel saw it). */
bool batch_send(struct batch *batch, struct mnl_socket *socket, int *code, struct error *err);

/* Sends one request and runs `see` on every message of the answer. */
bool nft_dump(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t see, void *context,
	      struct error *err);

/* recv, of the kernel's datagrams alone: what other programs send to the socket is thrown away. */
ssize_t receive_from_kernel(struct mnl_socket *socket, void *buffer, size_t room, int flags);

/* ---- bytes that may say anything ---- */

/* As mnl_nlmsg_ok, which takes a length of 2 GiB or more for a negative one and lets it pass. */
bool message_fits(const struct nlmsghdr *message, int left);
/* libmnl rounds the end of a message up, and so may see an attribute end behind it. */
bool attribute_fits(const struct nlmsghdr *message, const struct nlattr *attribute);
/* As mnl_cb_run, on a datagram whose messages all fit; else MNL_CB_ERROR and EBADMSG. */
int datagram_run(const void *bytes, size_t length, uint32_t sequence, uint32_t port, mnl_cb_t see,
		 void *context);

/* The attribute of that type inside `nest`; NULL where either is missing. */
const struct nlattr *nested_attribute(const struct nlattr *nest, uint16_t type);
/* Big-endian, as nftables has it; 0 where it is missing or of another size. */
uint64_t attribute_u64(const struct nlattr *attribute);

#endif
