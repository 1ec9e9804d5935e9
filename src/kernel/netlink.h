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
/* Starts a message; the caller appends attributes, then calls batch_commit. Never
 * NULL: out of memory gives a scratch message and sets `failed`. */
struct nlmsghdr *batch_message(struct batch *batch, uint16_t type, uint16_t family, uint16_t flags);
void batch_commit(struct batch *batch, const struct nlmsghdr *message);
void batch_end(struct batch *batch);
void batch_free(struct batch *batch);

struct mnl_socket *nft_socket_open(struct error *err);
/* Sends the batch as one transaction. False: the kernel has changed nothing; *code is the
 * first errno it gave (0: a failure before the kernel saw it). */
bool batch_send(struct batch *batch, struct mnl_socket *socket, int *code, struct error *err);

/* Sends one request and runs `see` on every message of the answer. */
bool nft_dump(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t see, void *context,
	      struct error *err);

/* recv, of the kernel's datagrams alone: what other programs send to the socket is thrown away. */
ssize_t receive_from_kernel(struct mnl_socket *socket, void *buffer, size_t room, int flags);

/* The attribute of that type inside `nest`; NULL where either is missing. */
const struct nlattr *nested_attribute(const struct nlattr *nest, uint16_t type);
/* Big-endian, as nftables has it; 0 where it is missing or of another size. */
uint64_t attribute_u64(const struct nlattr *attribute);

#endif
