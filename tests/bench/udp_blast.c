/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sends small UDP packets from FLOWS source ports to one address and port as fast as it can,
 * for a bounded time.
 *
 *   udp_blast ADDRESS PORT FLOWS SECONDS      prints the number sent
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, MAX_FLOWS = 1024, MAX_SECONDS = 60 };

static double now(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	struct sockaddr_in to = {.sin_family = AF_INET};
	static int sockets[MAX_FLOWS];
	static char payload[64];
	struct iovec vector = {payload, sizeof(payload)};
	struct mmsghdr headers[BATCH] = {0};
	unsigned long sent = 0;
	int flows = argc == 5 ? atoi(argv[3]) : 0;
	double end;

	if (flows < 1 || flows > MAX_FLOWS || atoi(argv[4]) > MAX_SECONDS ||
	    inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: udp_blast ADDRESS PORT FLOWS SECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = 0; i < flows; i++) {
		sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (sockets[i] < 0 || connect(sockets[i], (struct sockaddr *)&to, sizeof(to)) < 0) {
			perror("udp_blast");
			return 1;
		}
	}
	for (int i = 0; i < BATCH; i++) {
		headers[i].msg_hdr.msg_iov = &vector;
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	end = now() + atof(argv[4]);
	for (int flow = 0; now() < end; flow = (flow + 1) % flows) {
		int count = sendmmsg(sockets[flow], headers, BATCH, 0);

		sent += count > 0 ? (unsigned long)count : 0;
	}
	printf("%lu\n", sent);
	return 0;
}
