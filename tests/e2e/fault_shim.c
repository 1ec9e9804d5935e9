/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For LD_PRELOAD: a kernel without one of netlink's protocols or one of nfnetlink's subsystems, a wall clock
 * that is wrong.
 *
 * SHIM_NO_NETLINK=N:   protocol N of AF_NETLINK is not supported.
 * SHIM_NO_SUBSYSTEM=N: nor is subsystem N of nfnetlink: what is sent to it goes to one that no kernel has.
 * SHIM_CLOCK=FILE:     seconds in FILE are added to the wall clock, anew at every look.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum { UNKNOWN = 0x7f };

/* Messages to the subsystem, in `bytes`, are for nobody. */
static void misdirect(char *bytes, size_t length, int subsystem) {
	struct nlmsghdr message;

	for (size_t at = 0; at + sizeof(message) <= length; at += NLMSG_ALIGN(message.nlmsg_len)) {
		memcpy(&message, bytes + at, sizeof(message));
		if (message.nlmsg_len < sizeof(message))
			return;
		if (message.nlmsg_type >> 8 == subsystem)
			message.nlmsg_type = (uint16_t)(UNKNOWN << 8 | (message.nlmsg_type & 0xff));
		memcpy(bytes + at, &message, sizeof(message));
	}
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to,
	       socklen_t to_length) {
	const char *missing = getenv("SHIM_NO_SUBSYSTEM");
	char *copy = missing && to && to->sa_family == AF_NETLINK ? malloc(length) : NULL;
	ssize_t sent;

	if (copy) {
		memcpy(copy, bytes, length);
		misdirect(copy, length, atoi(missing));
	}
	sent = syscall(SYS_sendto, fd, copy ? copy : bytes, length, flags, to, to_length);
	free(copy);
	return sent;
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
