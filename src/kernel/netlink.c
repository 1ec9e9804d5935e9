/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel takes a transaction as one datagram and answers while sendmsg runs
 * (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch): after it, every error is already
 * waiting to be read, and silence means success.
 */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_ROOM = 4 * BATCH_MESSAGE_MAX, SEND_SLACK = 64 * 1024 };

static bool batch_reserve(struct batch *batch) {
	uint8_t *bytes;
	size_t room = batch->room ? batch->room : FIRST_ROOM;

	if (batch->room - batch->length >= BATCH_MESSAGE_MAX)
		return true;
	while (room - batch->length < BATCH_MESSAGE_MAX)
		room *= 2;
	bytes = realloc(batch->bytes, room);
	if (!bytes) {
		batch->failed = true;
		batch->length = 0; /* what stands is scrap now; its room takes what follows */
		return batch->bytes != NULL;
	}
	batch->bytes = bytes;
	batch->room = room;
	return true;
}

void batch_begin(struct batch *batch) {
	struct nlmsghdr *message;

	*batch = (struct batch){0};
	if (!batch_reserve(batch))
		abort(); /* half a megabyte at start-up */
	message = nftnl_batch_begin((char *)batch->bytes, ++batch->sequence);
	mnl_attr_put_u32(message, NFNL_BATCH_GENID, 0);
	batch_commit(batch, message);
}

void batch_expect(struct batch *batch, uint32_t generation) {
	struct nlattr *attribute =
	    mnl_nlmsg_get_payload_offset((struct nlmsghdr *)batch->bytes, sizeof(struct nfgenmsg));
	uint32_t wire = htonl(generation);

	memcpy(mnl_attr_get_payload(attribute), &wire, sizeof(wire));
}

void batch_end(struct batch *batch) {
	batch_reserve(batch);
	batch_commit(batch, nftnl_batch_end((char *)batch->bytes + batch->length, ++batch->sequence));
}

struct nlmsghdr *batch_message(struct batch *batch, uint16_t type, uint16_t family, uint16_t flags) {
	batch_reserve(batch);
	return nftnl_nlmsg_build_hdr((char *)batch->bytes + batch->length, type, family, flags,
				     ++batch->sequence);
}

void batch_commit(struct batch *batch, const struct nlmsghdr *message) {
	batch->length += MNL_ALIGN(message->nlmsg_len);
}

void batch_free(struct batch *batch) {
	free(batch->bytes);
	*batch = (struct batch){0};
}

struct mnl_socket *nft_socket_open(struct error *err) {
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0)
		return socket;
	error_set(err, "cannot open a netfilter netlink socket: %s", strerror(errno));
	if (socket)
		mnl_socket_close(socket);
	return NULL;
}

bool nft_socket_stands(const struct mnl_socket *socket) {
	struct sockaddr_nl address = {0};
	socklen_t size = sizeof(address);

	return getsockname(mnl_socket_get_fd(socket), (struct sockaddr *)&address, &size) == 0 &&
	       address.nl_family == AF_NETLINK && address.nl_pid == mnl_socket_get_portid(socket);
}

ssize_t receive_from_kernel(struct mnl_socket *socket, void *buffer, size_t room, int flags) {
	struct sockaddr_nl sender = {0};
	socklen_t size;
	ssize_t length;

	do {
		size = sizeof(sender);
		length = recvfrom(mnl_socket_get_fd(socket), buffer, room, flags, (struct sockaddr *)&sender,
				  &size);
	} while (length >= 0 && sender.nl_pid != 0);
	return length;
}

static bool allow_size(int fd, size_t length) {
	int size = (int)(length + SEND_SLACK);
	int room;
	socklen_t room_length = sizeof(room);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &room_length) == 0 && room / 2 >= size)
		return true;
	return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0 ||
	       setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0;
}

/* The first error that waits on the socket, 0 for none. *sequence: the message it is about. */
static int first_error(struct mnl_socket *socket, uint32_t *sequence) {
	char buffer[16384];
	int code = 0, lost = 0;

	for (;;) {
		ssize_t length = receive_from_kernel(socket, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
		int left = (int)length;

		/* More answers than there is room for: the first ones are there and say more. */
		if (length < 0 && errno == ENOBUFS) {
			lost = ENOBUFS;
			continue;
		}
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return code ? code : lost;
		for (; message_fits(message, left); message = mnl_nlmsg_next(message, &left)) {
			const struct nlmsgerr *report = mnl_nlmsg_get_payload(message);

			if (message->nlmsg_type != NLMSG_ERROR ||
			    mnl_nlmsg_get_payload_len(message) < sizeof(*report) || report->error == 0 ||
			    code)
				continue;
			code = -report->error;
			*sequence = report->msg.nlmsg_seq;
		}
	}
}

static bool explain_refusal(int code, uint32_t sequence, const struct batch *batch, struct error *err) {
	/* Without the right to it the kernel does not read past the first message. */
	if (code == EPERM && sequence > 1)
		return error_set(err, "nftables refused: another program owns a table of our name (flags "
				      "owner); stop it");
	if (code == EPERM)
		return error_set(err, "nftables refused: no permission; run as root or with CAP_NET_ADMIN");
	if (code == EMSGSIZE)
		return error_set(err, "nftables refused a ruleset of %zu bytes: over the socket's limit",
				 batch->length);
	return error_set(err, "nftables refused: %s (message %u of %u); is the kernel's nf_tables complete?",
			 strerror(code), sequence, batch->sequence);
}

bool batch_send(struct batch *batch, struct mnl_socket *socket, int *code, struct error *err) {
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = mnl_socket_get_fd(socket);
	uint32_t sequence = 0;
	ssize_t sent;

	*code = 0;
	if (batch->failed || batch->length > INT32_MAX - SEND_SLACK)
		return error_set(err, "out of memory for the kernel's ruleset");
	if (!allow_size(fd, batch->length))
		return error_set(err, "cannot send %zu bytes to nftables: %s", batch->length,
				 strerror(errno));
	do
		sent = sendto(fd, batch->bytes, batch->length, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (sent < 0 && errno == EINTR);

	*code = sent < 0 ? errno : first_error(socket, &sequence);
	return *code == 0 || explain_refusal(*code, sequence, batch, err);
}

/* A change while the dump went on leaves it a little out of date, as one right after it would. */
static void forgive_changes(char *buffer, ssize_t length) {
	struct nlmsghdr *message = (struct nlmsghdr *)buffer;
	int left = (int)length;

	for (; length > 0 && message_fits(message, left); message = mnl_nlmsg_next(message, &left))
		message->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
}

bool nft_dump(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t see, void *context,
	      struct error *err) {
	size_t room = (size_t)256 * 1024;
	char *buffer = malloc(room);
	int more = MNL_CB_OK;

	if (!buffer)
		return error_set(err, "out of memory");
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		more = MNL_CB_ERROR;
	while (more > MNL_CB_STOP) {
		ssize_t length = mnl_socket_recvfrom(socket, buffer, room);

		if (length < 0 && errno == EINTR)
			continue;
		forgive_changes(buffer, length);
		more = length < 0 ? MNL_CB_ERROR
				  : datagram_run(buffer, (size_t)length, request->nlmsg_seq,
						 mnl_socket_get_portid(socket), see, context);
	}
	free(buffer);
	if (more == MNL_CB_ERROR)
		return error_set(err, "cannot read from netfilter: %s", strerror(errno));
	return true;
}

bool message_fits(const struct nlmsghdr *message, int left) {
	return mnl_nlmsg_ok(message, left) && message->nlmsg_len <= (uint32_t)left;
}

bool attribute_fits(const struct nlmsghdr *message, const struct nlattr *attribute) {
	const char *start = (const char *)attribute, *end = (const char *)message + message->nlmsg_len;

	return end - start >= (ptrdiff_t)sizeof(*attribute) && attribute->nla_len <= end - start;
}

int datagram_run(const void *bytes, size_t length, uint32_t sequence, uint32_t port, mnl_cb_t see,
		 void *context) {
	const struct nlmsghdr *message = bytes;
	int left = (int)length;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (!message_fits(message, left)) {
			errno = EBADMSG;
			return MNL_CB_ERROR;
		}
	}
	return mnl_cb_run(bytes, length, sequence, port, see, context);
}

const struct nlattr *nested_attribute(const struct nlattr *nest, uint16_t type) {
	const struct nlattr *attribute;

	if (!nest)
		return NULL;
	mnl_attr_for_each_nested(attribute, nest) {
		if (mnl_attr_get_type(attribute) == type)
			return attribute;
	}
	return NULL;
}

uint64_t attribute_u64(const struct nlattr *attribute) {
	return attribute && mnl_attr_get_payload_len(attribute) == sizeof(uint64_t)
		   ? be64toh(mnl_attr_get_u64(attribute))
		   : 0;
}
