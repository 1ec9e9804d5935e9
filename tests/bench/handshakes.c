/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Plays up to 65,536 hosts (10.100.0.0/16) that together open COUNT connections to one port, without a
 * socket for any of them. `half`: the SYN alone, and whatever it is answered with stays unanswered.
 * `established`: the answer is acknowledged. What gets lost is tried again.
 *
 *   handshakes DEVICE RECEIVER_MAC ADDRESS PORT COUNT half|established      prints how many were answered
 */
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "segment.h"

enum { BATCH = 64, PORTS_EACH = 32, FIRST_PORT = 10000, IN_FLIGHT = 512, TRIES = 8 };
enum { MAX_COUNT = 65536 * PORTS_EACH };
static const uint32_t first_source = 0x0a640000;

struct player {
	int descriptor;
	struct segment segment; /* what all SYNs share */
	bool acknowledge;
	uint32_t count, answered, in_flight;
	bool *done; /* a connection */
};

struct outgoing {
	struct segment segments[BATCH];
	unsigned count;
};

static void flush(const struct player *player, struct outgoing *out) {
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	unsigned sent = 0;

	for (unsigned i = 0; i < out->count; i++) {
		vectors[i] = (struct iovec){&out->segments[i], sizeof(struct segment)};
		headers[i].msg_hdr.msg_iov = &vectors[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < out->count) {
		int more = sendmmsg(player->descriptor, headers + sent, out->count - sent, 0);

		sent += more > 0 ? (unsigned)more : 1;
	}
	out->count = 0;
}

/* Appends the SYN of a connection or, where `answer` is its SYN/ACK, the ACK that completes it. */
static void append(const struct player *player, struct outgoing *out, uint32_t number,
		   const struct segment *answer) {
	struct segment *segment = &out->segments[out->count++];
	uint32_t first = number * 2654435761u;

	*segment = player->segment;
	segment->tcp.seq = htonl(answer ? first + 1 : first);
	if (answer) {
		segment->tcp.syn = 0;
		segment->tcp.ack = 1;
		segment->tcp.ack_seq = htonl(ntohl(answer->tcp.seq) + 1);
	}
	segment_seal(segment, first_source + number / PORTS_EACH,
		     (uint16_t)(FIRST_PORT + number % PORTS_EACH));
	if (out->count == BATCH)
		flush(player, out);
}

static void take_answer(struct player *player, struct outgoing *out, const struct segment *answer) {
	uint32_t number =
	    (ntohl(answer->ip.daddr) - first_source) * PORTS_EACH + ntohs(answer->tcp.dest) - FIRST_PORT;

	if (number >= player->count || !answer->tcp.syn || !answer->tcp.ack)
		return;
	if (player->acknowledge)
		append(player, out, number, answer);
	player->in_flight -= player->in_flight > 0;
	player->answered += !player->done[number];
	player->done[number] = true;
}

/* Takes what has come within `wait` milliseconds; false where that was nothing. */
static bool listen_for(struct player *player, int wait) {
	struct segment answers[BATCH];
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	struct outgoing out = {.count = 0};
	int received;

	for (unsigned i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){&answers[i], sizeof(struct segment)};
		headers[i].msg_hdr.msg_iov = &vectors[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	if (poll(&(struct pollfd){.fd = player->descriptor, .events = POLLIN}, 1, wait) < 1)
		return false;
	received = recvmmsg(player->descriptor, headers, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < received; i++)
		if (headers[i].msg_len == sizeof(struct segment) || headers[i].msg_hdr.msg_flags & MSG_TRUNC)
			take_answer(player, &out, &answers[i]);
	flush(player, &out);
	return received > 0;
}

static void knock(struct player *player) {
	struct outgoing out = {.count = 0};

	player->in_flight = 0;
	for (uint32_t number = 0; number < player->count; number++) {
		if (player->done[number])
			continue;
		append(player, &out, number, NULL);
		player->in_flight++;
		while (player->in_flight >= IN_FLIGHT)
			if (!listen_for(player, 20))
				player->in_flight = 0; /* lost */
		if (out.count == 0)
			listen_for(player, 0);
	}
	flush(player, &out);
	while (listen_for(player, 200))
		;
}

int main(int argc, char **argv) {
	struct player player = {.count = argc == 7 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0};
	struct in_addr destination;

	if (player.count == 0 || player.count > MAX_COUNT || inet_pton(AF_INET, argv[3], &destination) != 1 ||
	    !segment_init(&player.segment, argv[2], ntohl(destination.s_addr), (uint16_t)atoi(argv[4]))) {
		fprintf(stderr,
			"usage: handshakes DEVICE RECEIVER_MAC ADDRESS PORT COUNT half|established\n");
		return 2;
	}
	player.acknowledge = strcmp(argv[6], "established") == 0;
	player.descriptor = segment_socket(argv[1], ETH_P_IP);
	player.done = calloc(player.count, sizeof(*player.done));
	if (player.descriptor < 0 || !player.done) {
		perror("handshakes");
		return 1;
	}
	for (int i = 0; i < TRIES && player.answered < player.count; i++)
		knock(&player);
	printf("%u\n", player.answered);
	free(player.done);
	return 0;
}
