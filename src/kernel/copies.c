/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nflog by libmnl. The kernel gathers copies into one datagram until there are as many as the
 * rule says (fast_path.c), or a hundredth of a second has passed.
 */
#include "sallyport/kernel/copies.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "copies_message.h"
#include "netlink.h"
#include "owner.h"

enum {
	GROUP_BASE = 5600,
	FLUSH_AFTER = 1,          /* hundredths of a second */
	GATHER_SIZE = 128 * 1024, /* of the kernel's datagram */
	DATAGRAM_ROOM = 2 * GATHER_SIZE,
	RECEIVE_BUFFER = 8 * 1024 * 1024,
	RECEIVE_WAIT_US = 250 * 1000,
	COPY_RANGE = 256,
};

struct copies {
	struct mnl_socket *socket;
	uint16_t group;
	struct copy_numbers numbers;
	_Alignas(8) char datagram[DATAGRAM_ROOM];
};

uint16_t copies_group(uint16_t queue) {
	return (uint16_t)(GROUP_BASE + queue);
}

/* ---- open, close ---- */

static struct nlmsghdr *config(char *buffer, uint16_t group) {
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *head;

	message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	*head = (struct nfgenmsg){.version = NFNETLINK_V0, .res_id = htons(group)};
	return message;
}

static bool configure(struct copies *copies, const struct nlmsghdr *message) {
	char answer[4096];
	ssize_t length;

	if (mnl_socket_sendto(copies->socket, message, message->nlmsg_len) < 0)
		return false;
	length = mnl_socket_recvfrom(copies->socket, answer, sizeof(answer));
	return length >= 0 &&
	       mnl_cb_run(answer, (size_t)length, 0, mnl_socket_get_portid(copies->socket), NULL, NULL) >= 0;
}

static bool bind_group(struct copies *copies) {
	struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_RANGE),
					      .copy_mode = NFULNL_COPY_PACKET};
	char buffer[1024];
	struct nlmsghdr *message = config(buffer, copies->group);

	mnl_attr_put(message, NFULA_CFG_CMD, sizeof(command), &command);
	if (!configure(copies, message))
		return false;
	message = config(buffer, copies->group);
	mnl_attr_put(message, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(message, NFULA_CFG_NLBUFSIZ, htonl(GATHER_SIZE));
	mnl_attr_put_u32(message, NFULA_CFG_TIMEOUT, htonl(FLUSH_AFTER));
	mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(1));
	mnl_attr_put_u16(message, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
	return configure(copies, message);
}

static void tune_socket(int fd) {
	struct timeval wait = {.tv_usec = RECEIVE_WAIT_US};
	int size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

static void explain(uint16_t group, int code, struct error *err) {
	if ((code == EPERM || code == EBUSY) && owner_of_log_group(group, 0) == OWNER_ANOTHER)
		error_set(
		    err, "nflog group %u is taken by another program; stop it or give --queue another number",
		    group);
	else if (code == EPERM)
		error_set(err, "cannot bind nflog group %u: no permission; run as root or with CAP_NET_ADMIN",
			  group);
	else
		error_set(err, "cannot bind nflog group %u: %s; does the kernel have nfnetlink_log?", group,
			  strerror(code));
}

struct copies *copies_open(uint16_t group, struct error *err) {
	struct copies *copies = malloc(sizeof(*copies));

	if (!copies) {
		error_set(err, "out of memory for nflog group %u", group);
		return NULL;
	}
	*copies = (struct copies){.group = group};
	copies->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!copies->socket || mnl_socket_bind(copies->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    !bind_group(copies)) {
		explain(group, errno, err);
		copies_close(copies);
		return NULL;
	}
	tune_socket(mnl_socket_get_fd(copies->socket));
	return copies;
}

void copies_close(struct copies *copies) {
	if (!copies)
		return;
	if (copies->socket)
		mnl_socket_close(copies->socket);
	free(copies);
}

/* Without waiting for an answer: it would come between the copies. */
bool copies_gather(struct copies *copies, uint32_t count, struct error *err) {
	char buffer[256];
	struct nlmsghdr *message = config(buffer, copies->group);

	message->nlmsg_flags = NLM_F_REQUEST;
	mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(count));
	if (mnl_socket_sendto(copies->socket, message, message->nlmsg_len) < 0)
		return error_set(err, "nflog group %u: %s", copies->group, strerror(errno));
	return true;
}

/* ---- receive ---- */

int copies_receive(struct copies *copies, void (*see)(const struct copied *copied, void *context),
		   void *context, struct error *err) {
	ssize_t length = receive_from_kernel(copies->socket, copies->datagram, sizeof(copies->datagram), 0);

	if (length < 0 && errno == ENOBUFS) {
		copies->numbers.lost++; /* at least; the gap in the numbers will tell */
		return 0;
	}
	if (length < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return 0;
		error_set(err, "nflog group %u: %s", copies->group, strerror(errno));
		return -1;
	}
	return copies_message_read(copies->datagram, (size_t)length, &copies->numbers, see, context);
}

bool copies_are_lost(const struct copies *copies, struct error *err) {
	enum owner owner = owner_of_log_group(copies->group, mnl_socket_get_portid(copies->socket));

	if (owner != OWNER_NOBODY && owner != OWNER_ANOTHER)
		return false;
	error_set(err, "nflog group %u is no longer ours; was nfnetlink_log unloaded?", copies->group);
	return true;
}

uint64_t copies_take_lost(struct copies *copies) {
	uint64_t lost = copies->numbers.lost;

	copies->numbers.lost = 0;
	return lost;
}
