/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long connect() takes, from the SYN to the SYN/ACK: one connection after the other, with a pause
 * between, for a bounded time.
 *
 *   syn_latency ADDRESS PORT PAUSE_US SECONDS      prints "COUNT P50 P99 P99.9", in microseconds
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 1000000, MAX_SECONDS = 60 };

static double now_us(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* Negative where it cannot connect. */
static double connect_once(const struct sockaddr_in *to) {
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);
	double start = now_us(), took;

	took = connect(descriptor, (const struct sockaddr *)to, sizeof(*to)) < 0 ? -1 : now_us() - start;
	close(descriptor);
	return took;
}

static int by_size(const void *left, const void *right) {
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double quantile(const double *sorted, unsigned count, double share) {
	unsigned index = (unsigned)(share * count);

	return sorted[index < count ? index : count - 1];
}

int main(int argc, char **argv) {
	struct sockaddr_in to = {.sin_family = AF_INET};
	static double samples[MAX_SAMPLES];
	unsigned count = 0;
	double end;

	if (argc != 5 || atof(argv[4]) > MAX_SECONDS || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: syn_latency ADDRESS PORT PAUSE_US SECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	prctl(PR_SET_TIMERSLACK, 1);
	end = now_us() + atof(argv[4]) * 1e6;
	while (now_us() < end && count < MAX_SAMPLES) {
		samples[count] = connect_once(&to);
		if (samples[count] < 0) {
			perror("syn_latency");
			return 1;
		}
		count++;
		nanosleep(&(struct timespec){.tv_nsec = atol(argv[3]) * 1000}, NULL);
	}
	if (count == 0)
		return 1;
	qsort(samples, count, sizeof(*samples), by_size);
	printf("%u %.1f %.1f %.1f\n", count, quantile(samples, count, 0.5), quantile(samples, count, 0.99),
	       quantile(samples, count, 0.999));
	return 0;
}
