/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Seconds, as the connection table counts them, and nanoseconds for a worker's pace.
 */
#ifndef SALLYPORT_DAEMON_CLOCK_H
#define SALLYPORT_DAEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* The coarse monotonic clock (no system call), one second ahead so that 0, which
 * stands for "never", does not occur. */
static inline uint32_t clock_seconds(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (uint32_t)time.tv_sec + 1;
}

/* The monotonic clock; no system call either where the kernel has a vDSO. */
static inline uint64_t clock_nanoseconds(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static inline uint64_t clock_microseconds(void) {
	return clock_nanoseconds() / 1000;
}

#endif
