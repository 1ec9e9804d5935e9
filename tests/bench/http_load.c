/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A steady load of HTTP requests, each on a connection of its own, RATE a second, for a bounded time or
 * until SIGTERM; spread over ADDRESSES addresses that follow each other.
 *
 *   http_load ADDRESS ADDRESSES PORT RATE SECONDS      prints "OPENED ANSWERED FAILED"
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PARALLEL = 1024, MAX_SECONDS = 600, EVENTS = 64 };
static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

static volatile sig_atomic_t stopping;

struct load {
	int poll;
	uint32_t first, addresses;
	uint16_t port;
	unsigned long opened, answered, failed;
};

static void stop(int signal_number) {
	(void)signal_number;
	stopping = 1;
}

static double now(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static unsigned long open_now(const struct load *load) {
	return load->opened - load->answered - load->failed;
}

static void open_one(struct load *load) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->port)};
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = descriptor};

	to.sin_addr.s_addr = htonl(load->first + (uint32_t)(load->opened++ % load->addresses));
	if (descriptor < 0 ||
	    (connect(descriptor, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
		load->failed++;
		close(descriptor);
		return;
	}
	epoll_ctl(load->poll, EPOLL_CTL_ADD, descriptor, &event);
}

static void end_one(struct load *load, int descriptor, bool answered) {
	close(descriptor);
	load->answered += answered;
	load->failed += !answered;
}

static void ask(struct load *load, int descriptor) {
	struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};

	if (send(descriptor, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		end_one(load, descriptor, false);
	else
		epoll_ctl(load->poll, EPOLL_CTL_MOD, descriptor, &event);
}

static void step(struct load *load, const struct epoll_event *event) {
	char answer[512];
	ssize_t length;

	if (event->events & EPOLLOUT) {
		ask(load, event->data.fd);
		return;
	}
	length = recv(event->data.fd, answer, sizeof(answer), 0);
	end_one(load, event->data.fd, length > 12 && memcmp(answer + 9, "200", 3) == 0);
}

static void serve(struct load *load, double wait) {
	struct timespec time = {.tv_nsec = wait > 0 ? (long)(wait * 1e9) : 0};
	struct epoll_event events[EVENTS];
	int count = epoll_pwait2(load->poll, events, EVENTS, &time, NULL);

	for (int i = 0; i < count; i++)
		step(load, &events[i]);
}

int main(int argc, char **argv) {
	struct load load = {.poll = epoll_create1(0)};
	struct in_addr first;
	double rate, end, due;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &first) != 1 || atoi(argv[2]) < 1 ||
	    atof(argv[4]) <= 0 || atof(argv[5]) > MAX_SECONDS) {
		fprintf(stderr, "usage: http_load ADDRESS ADDRESSES PORT RATE SECONDS\n");
		return 2;
	}
	load.first = ntohl(first.s_addr);
	load.addresses = (uint32_t)atoi(argv[2]);
	load.port = (uint16_t)atoi(argv[3]);
	rate = atof(argv[4]);
	signal(SIGTERM, stop);
	prctl(PR_SET_TIMERSLACK, 1);
	due = now();
	end = due + atof(argv[5]);
	while (!stopping && now() < end) {
		for (; due <= now(); due += 1 / rate)
			if (open_now(&load) < PARALLEL)
				open_one(&load);
		serve(&load, due - now() < 0.1 ? due - now() : 0.1);
	}
	for (end = now() + 3; open_now(&load) > 0 && now() < end;)
		serve(&load, 0.1);
	printf("%lu %lu %lu\n", load.opened, load.answered, load.failed + open_now(&load));
	return 0;
}
