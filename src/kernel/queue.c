/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One nfqueue: many packets a read, many verdicts a write.
 *
 * The kernel gives up on a queue that nobody reads (`bypass` in the rule) and on a full one
 * (NFQA_CFG_F_FAIL_OPEN); both let the packet go on into the guard. So nothing here needs
 * to be clever about overload.
 */
#include "sallyport/kernel/queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "owner.h"
#include "queue_message.h"

enum {
	/* Attributes beside the payload: packet header, mark, two interfaces, hardware address,
	 * link-layer header, timestamp, flags. */
	MESSAGE_OVERHEAD = 512,
	VERDICT_ROOM = 64, /* a verdict with a mark takes 40 bytes */
	RECEIVE_WAIT_US = 250000,
};

const struct queue_options queue_defaults = {
    .max_length = 16384,
    .copy_range = 256,
    .receive_buffer = 16U << 20,
};

/* Packets one after the other that get one and the same answer. */
struct run {
	uint32_t last_id, count;
	int verdict; /* NF_ACCEPT, NF_DROP */
	bool with_mark;
	uint32_t mark;
};

struct queue {
	struct mnl_socket *socket;
	uint16_t number;
	size_t message_size;
	struct mmsghdr headers[QUEUE_BATCH];
	struct iovec vectors[QUEUE_BATCH];
	struct sockaddr_nl senders[QUEUE_BATCH];
	uint8_t *messages; /* QUEUE_BATCH times message_size */
	struct run run;
	bool one_by_one; /* a packet whose id is unknown stays open: no batch verdict may touch it */
	size_t verdict_bytes;
	_Alignas(8) uint8_t verdicts[QUEUE_BATCH * VERDICT_ROOM];
};

/* Sends one configuration message and waits for its acknowledgement. */
static int configure(struct queue *queue, struct nlmsghdr *message) {
	char answer[4096];
	ssize_t length;

	message->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(queue->socket, message, message->nlmsg_len) < 0)
		return -1;
	length = mnl_socket_recvfrom(queue->socket, answer, sizeof(answer));
	if (length < 0)
		return -1;
	return mnl_cb_run(answer, (size_t)length, 0, mnl_socket_get_portid(queue->socket), NULL, NULL);
}

static bool bind_queue(struct queue *queue, const struct queue_options *options) {
	char buffer[4096];
	uint32_t flags = htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN);
	struct nlmsghdr *message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, queue->number);

	nfq_nlmsg_cfg_put_cmd(message, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	if (configure(queue, message) < 0)
		return false;

	message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, queue->number);
	nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, (int)options->copy_range);
	mnl_attr_put_u32(message, NFQA_CFG_FLAGS, flags);
	mnl_attr_put_u32(message, NFQA_CFG_MASK, flags);
	mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, htonl(options->max_length));
	return configure(queue, message) >= 0;
}

static bool explain_bind_failure(uint16_t number, int code, struct error *err) {
	if ((code == EPERM || code == EBUSY) && owner_of_queue(number, 0) == OWNER_ANOTHER)
		return error_set(
		    err, "nfqueue %u is owned by another program; stop it or give --queue another number",
		    number);
	if (code == EPERM)
		return error_set(
		    err, "cannot bind nfqueue %u: no permission; run as root or with CAP_NET_ADMIN", number);
	return error_set(err, "cannot bind nfqueue %u: %s; does the kernel have nfnetlink_queue?", number,
			 strerror(code));
}

static void prepare_buffers(struct queue *queue) {
	for (size_t i = 0; i < QUEUE_BATCH; i++) {
		queue->vectors[i].iov_base = queue->messages + i * queue->message_size;
		queue->vectors[i].iov_len = queue->message_size;
		queue->headers[i].msg_hdr.msg_iov = &queue->vectors[i];
		queue->headers[i].msg_hdr.msg_iovlen = 1;
		queue->headers[i].msg_hdr.msg_name = &queue->senders[i];
		queue->headers[i].msg_hdr.msg_namelen = sizeof(queue->senders[i]);
	}
}

static void tune_socket(int fd, uint32_t receive_buffer) {
	int one = 1;
	int size = (int)receive_buffer;
	struct timeval wait = {.tv_usec = RECEIVE_WAIT_US};

	/* An overflow must not end the read; it is counted in /proc (queue_figures). */
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

struct queue *queue_open(uint16_t number, const struct queue_options *options, struct error *err) {
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		goto no_memory;
	queue->number = number;
	queue->message_size = MNL_ALIGN(options->copy_range + MESSAGE_OVERHEAD);
	queue->messages = malloc(QUEUE_BATCH * queue->message_size);
	if (!queue->messages)
		goto no_memory;
	prepare_buffers(queue);

	queue->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!queue->socket || mnl_socket_bind(queue->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		error_set(err, "cannot open a netfilter netlink socket: %s", strerror(errno));
		goto fail;
	}
	if (!bind_queue(queue, options)) {
		explain_bind_failure(number, errno, err);
		goto fail;
	}
	tune_socket(mnl_socket_get_fd(queue->socket), options->receive_buffer);
	return queue;

no_memory:
	error_set(err, "out of memory for nfqueue %u", number);
fail:
	queue_close(queue);
	return NULL;
}

void queue_close(struct queue *queue) {
	if (!queue)
		return;
	if (queue->socket)
		mnl_socket_close(queue->socket);
	free(queue->messages);
	free(queue);
}

static void put_message(struct queue *queue, uint16_t type, const struct run *run) {
	struct nlmsghdr *message;

	if (queue->verdict_bytes + VERDICT_ROOM > sizeof(queue->verdicts))
		return;
	message = nfq_nlmsg_put((char *)queue->verdicts + queue->verdict_bytes, type, queue->number);
	nfq_nlmsg_verdict_put(message, (int)run->last_id, run->verdict);
	if (run->with_mark)
		mnl_attr_put_u32(message, NFQA_MARK, htonl(run->mark));
	queue->verdict_bytes += MNL_ALIGN(message->nlmsg_len);
}

/* A batch verdict answers every packet up to its id that is still open, which is just the
 * run, since verdicts go out in the order of ids and nothing is left open behind. */
static void finish_run(struct queue *queue) {
	if (queue->run.count > 0)
		put_message(queue, queue->run.count > 1 ? NFQNL_MSG_VERDICT_BATCH : NFQNL_MSG_VERDICT,
			    &queue->run);
	queue->run.count = 0;
}

static void put_verdict(struct queue *queue, uint32_t id, int verdict, bool with_mark, uint32_t mark) {
	struct run *run = &queue->run;

	if (run->count > 0 && (queue->one_by_one || run->verdict != verdict || run->with_mark != with_mark ||
			       run->mark != mark))
		finish_run(queue);
	*run = (struct run){id, run->count + 1, verdict, with_mark, mark};
}

/* For a packet that nobody is going to judge: its own message, apart from any run. */
static void put_answer(struct queue *queue, uint32_t id, int verdict) {
	put_message(queue, NFQNL_MSG_VERDICT, &(struct run){.last_id = id, .verdict = verdict});
}

/* Takes note of one datagram. True: it is a packet that wants a verdict. */
static bool take(struct queue *queue, const void *bytes, size_t length, struct queued *packet) {
	switch (queue_message_read(bytes, length, packet)) {
	case QUEUE_MESSAGE_PACKET:
		return true;
	case QUEUE_MESSAGE_FOREIGN:
		/* Sent here by somebody else's rule: not ours to judge. */
		put_answer(queue, packet->id, NF_ACCEPT);
		return false;
	case QUEUE_MESSAGE_EMPTY:
		put_answer(queue, packet->id, NF_DROP);
		return false;
	case QUEUE_MESSAGE_UNREADABLE:
		queue->one_by_one = true;
		return false;
	case QUEUE_MESSAGE_OTHER:
		break;
	}
	return false;
}

int queue_receive(struct queue *queue, struct queued packets[QUEUE_BATCH], struct error *err) {
	int received =
	    recvmmsg(mnl_socket_get_fd(queue->socket), queue->headers, QUEUE_BATCH, MSG_WAITFORONE, NULL);
	int count = 0;

	if (received < 0) {
		if (errno == EINTR || errno == EAGAIN || errno == ENOBUFS)
			return 0;
		error_set(err, "nfqueue %u: %s", queue->number, strerror(errno));
		return -1;
	}
	for (int i = 0; i < received; i++) {
		if (queue->senders[i].nl_pid != 0)
			continue; /* another program's, not the kernel's */
		if (take(queue, queue->vectors[i].iov_base, queue->headers[i].msg_len, &packets[count]))
			count++;
	}
	/* With no packet to judge nobody will send what was answered here. */
	if (count == 0)
		queue_send(queue, err);
	return count;
}

void queue_verdict(struct queue *queue, const struct queued *packet, enum response response,
		   const struct marks *marks) {
	const uint32_t answers[] = {
	    [RESPONSE_REJECT] = marks->reject,
	    [RESPONSE_PASS] = marks->pass,
	    [RESPONSE_LEASE] = marks->allow,
	};
	uint32_t kept = packet->mark & ~(marks->allow | marks->reject);

	if (response == RESPONSE_DROP)
		put_verdict(queue, packet->id, NF_DROP, false, 0);
	else
		put_verdict(queue, packet->id, NF_ACCEPT, true, kept | answers[response]);
}

bool queue_send(struct queue *queue, struct error *err) {
	size_t length;

	finish_run(queue);
	length = queue->verdict_bytes;
	if (length == 0)
		return true;
	queue->verdict_bytes = 0;
	while (mnl_socket_sendto(queue->socket, queue->verdicts, length) < 0) {
		if (errno == EINTR)
			continue;
		/* They stay open, and an answer to a run would answer them too. */
		queue->one_by_one = true;
		return error_set(err, "cannot send verdicts to nfqueue %u: %s", queue->number,
				 strerror(errno));
	}
	return true;
}

bool queue_is_lost(const struct queue *queue, struct error *err) {
	enum owner owner = owner_of_queue(queue->number, mnl_socket_get_portid(queue->socket));

	if (owner != OWNER_NOBODY && owner != OWNER_ANOTHER)
		return false;
	error_set(err, "nfqueue %u is no longer ours; was nfnetlink_queue unloaded?", queue->number);
	return true;
}

bool queue_figures(uint16_t number, struct queue_figures *figures) {
	FILE *file = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		unsigned queue, waiting;
		uint64_t dropped, user_dropped, total;

		/* number, portid, waiting, copy mode, copy range, dropped, user dropped, last id, 1 */
		if (sscanf(line, "%u %*u %u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64, &queue, &waiting,
			   &dropped, &user_dropped, &total) == 5 &&
		    queue == number) {
			*figures = (struct queue_figures){waiting, dropped, user_dropped, total};
			found = true;
		}
	}
	fclose(file);
	return found;
}
