/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The peer for the queue's rate: accepts whatever arrives, as tersely as libnetfilter_queue
 * lets one. `simple`: one read and one write a packet, as its examples do. `batched`:
 * many packets a read and all verdicts in one write, as the daemon does.
 *
 *   accept_all QUEUE simple|batched      prints "PACKETS CPU_SECONDS" at SIGTERM
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, MESSAGE = 768 };

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
	(void)signal_number;
	stopping = 1;
}

static void configure(struct mnl_socket *socket, uint16_t number) {
	char buffer[4096];
	uint32_t flags = htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN);
	struct nlmsghdr *message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, number);

	nfq_nlmsg_cfg_put_cmd(message, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	mnl_socket_sendto(socket, message, message->nlmsg_len);
	message = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, number);
	nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, 256);
	mnl_attr_put_u32(message, NFQA_CFG_FLAGS, flags);
	mnl_attr_put_u32(message, NFQA_CFG_MASK, flags);
	mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, htonl(16384));
	mnl_socket_sendto(socket, message, message->nlmsg_len);
}

static size_t accept_packet(const struct nlmsghdr *message, uint16_t number, char *verdicts) {
	struct nlattr *attributes[NFQA_MAX + 1] = {NULL};
	const struct nfqnl_msg_packet_hdr *header;
	struct nlmsghdr *verdict;

	if (nfq_nlmsg_parse(message, attributes) < 0 || !attributes[NFQA_PACKET_HDR])
		return 0;
	header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	verdict = nfq_nlmsg_put(verdicts, NFQNL_MSG_VERDICT, number);
	nfq_nlmsg_verdict_put(verdict, (int)ntohl(header->packet_id), NF_ACCEPT);
	return MNL_ALIGN(verdict->nlmsg_len);
}

static unsigned long run(struct mnl_socket *socket, uint16_t number, unsigned batch) {
	static _Alignas(8) char messages[BATCH][MESSAGE], verdicts[BATCH * 64];
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	unsigned long packets = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){messages[i], MESSAGE};
		headers[i].msg_hdr.msg_iov = &vectors[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	while (!stopping) {
		int received = recvmmsg(mnl_socket_get_fd(socket), headers, batch, MSG_WAITFORONE, NULL);
		size_t length = 0;

		for (int i = 0; i < received; i++) {
			const struct nlmsghdr *message = (const struct nlmsghdr *)messages[i];
			size_t verdict = message->nlmsg_type == ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET)
					     ? accept_packet(message, number, verdicts + length)
					     : 0;

			packets += verdict > 0;
			length += verdict;
		}
		if (length > 0)
			mnl_socket_sendto(socket, verdicts, length);
	}
	return packets;
}

int main(int argc, char **argv) {
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	struct timeval wait = {.tv_usec = 100000};
	struct timespec used;
	int one = 1, size = 16 << 20;
	unsigned long packets;

	if (argc != 3 || !socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		fprintf(stderr, "usage: accept_all QUEUE simple|batched (as root)\n");
		return 2;
	}
	signal(SIGTERM, stop);
	configure(socket, (uint16_t)atoi(argv[1]));
	setsockopt(mnl_socket_get_fd(socket), SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	packets = run(socket, (uint16_t)atoi(argv[1]), strcmp(argv[2], "simple") == 0 ? 1 : BATCH);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	printf("%lu %.6f\n", packets, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
	mnl_socket_close(socket);
	return 0;
}
