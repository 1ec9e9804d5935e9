/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SYNs from 32,768 made-up addresses (10.100.0.0/17) and random ports to one port, RATE a second (0: as fast
 * as it can), for a bounded time. What is sent is never answered, whatever comes back.
 *
 *   syn_flood DEVICE RECEIVER_MAC ADDRESS PORT RATE SECONDS      prints "SENT SECONDS"
 */
#include <stdio.h>
#include <stdlib.h>

#include "segment.h"

enum { BATCH = 64, SMALL_BATCH = 4, MAX_SECONDS = 60 };
static const uint32_t first_source = 0x0a640000;

static uint32_t next_random(uint32_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 17;
	return *random ^= *random << 5;
}

static unsigned send_batch(int descriptor, struct segment segments[BATCH], unsigned count, uint32_t *random) {
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	int sent;

	for (unsigned i = 0; i < count; i++) {
		uint32_t number = next_random(random);

		segments[i].tcp.seq = htonl(number * 2654435761u);
		segment_seal(&segments[i], first_source | (number & 0x7fff),
			     (uint16_t)(1024 + (number >> 17)));
		vectors[i] = (struct iovec){&segments[i], sizeof(segments[i])};
		headers[i].msg_hdr.msg_iov = &vectors[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(descriptor, headers, count, 0);
	return sent > 0 ? (unsigned)sent : 0;
}

/* Turns round until `due`: a sleep is too coarse, and what comes in bursts leaves the firewall time between
 * them. Who is late goes on at once, and makes up for a hundredth of a second at most. */
static double keep_pace(double due) {
	double now = segment_clock();

	if (now > due + 0.01)
		return now - 0.01;
	while (segment_clock() < due)
		;
	return due;
}

int main(int argc, char **argv) {
	static struct segment segments[BATCH];
	double seconds = argc == 7 ? atof(argv[6]) : 0, rate = argc == 7 ? atof(argv[5]) : 0;
	struct in_addr destination;
	uint32_t random = (uint32_t)time(NULL) | 1;
	unsigned batch = rate > 0 ? SMALL_BATCH : BATCH;
	unsigned long sent = 0;
	double start, due;
	int descriptor;

	if (seconds <= 0 || seconds > MAX_SECONDS || inet_pton(AF_INET, argv[3], &destination) != 1 ||
	    !segment_init(&segments[0], argv[2], ntohl(destination.s_addr), (uint16_t)atoi(argv[4]))) {
		fprintf(stderr, "usage: syn_flood DEVICE RECEIVER_MAC ADDRESS PORT RATE SECONDS\n");
		return 2;
	}
	descriptor = segment_socket(argv[1], 0);
	if (descriptor < 0) {
		perror("syn_flood");
		return 1;
	}
	for (int i = 1; i < BATCH; i++)
		segments[i] = segments[0];
	start = due = segment_clock();
	while (segment_clock() < start + seconds) {
		sent += send_batch(descriptor, segments, batch, &random);
		if (rate > 0)
			due = keep_pace(due + batch / rate);
	}
	printf("%lu %.6f\n", sent, segment_clock() - start);
	return 0;
}
