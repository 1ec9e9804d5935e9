/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads the datagrams that reach one port, and counts them.
 *
 *   udp_sink ADDRESS PORT      prints "ready", and at SIGTERM the number received
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64 };

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
	(void)signal_number;
	stopping = 1;
}

int main(int argc, char **argv) {
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct timeval wait = {.tv_usec = 50000};
	static char payloads[BATCH][64];
	struct mmsghdr headers[BATCH] = {0};
	struct iovec vectors[BATCH];
	int descriptor = socket(AF_INET, SOCK_DGRAM, 0), size = 16 << 20;
	unsigned long received = 0;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &here.sin_addr) != 1) {
		fprintf(stderr, "usage: udp_sink ADDRESS PORT\n");
		return 2;
	}
	here.sin_port = htons((uint16_t)atoi(argv[2]));
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (bind(descriptor, (struct sockaddr *)&here, sizeof(here)) < 0) {
		perror("udp_sink");
		return 1;
	}
	signal(SIGTERM, stop);
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){payloads[i], sizeof(payloads[i])};
		headers[i].msg_hdr.msg_iov = &vectors[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	puts("ready");
	fflush(stdout);
	while (!stopping) {
		int count = recvmmsg(descriptor, headers, BATCH, MSG_WAITFORONE, NULL);

		received += count > 0 ? (unsigned long)count : 0;
	}
	printf("%lu\n", received);
	return 0;
}
