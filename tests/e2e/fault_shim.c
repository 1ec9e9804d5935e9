/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For LD_PRELOAD: a kernel without one of netlink's protocols, a wall clock that is wrong.
 *
 * SHIM_NO_NETLINK=N: protocol N of AF_NETLINK is not supported.
 * SHIM_CLOCK=FILE:   seconds in FILE are added to the wall clock, anew at every look.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int socket(int domain, int type, int protocol) {
	const char *missing = getenv("SHIM_NO_NETLINK");

	if (domain == AF_NETLINK && missing && atoi(missing) == protocol) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, domain, type, protocol);
}

static long step(void) {
	const char *path = getenv("SHIM_CLOCK");
	FILE *file = path ? fopen(path, "re") : NULL;
	long seconds = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%ld", &seconds) != 1)
		seconds = 0;
	fclose(file);
	return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
	int code = (int)syscall(SYS_clock_gettime, clock, time);

	if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		time->tv_sec += step();
	return code;
}

time_t time(time_t *result) {
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}
