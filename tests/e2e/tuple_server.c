/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server of a few lines that knows its clients by their 4-tuple:
 *
 *   tuple_server PORT
 *
 * prints one line a client on stdout, "REMOTE:PORT -> LOCAL:PORT" (IPv6 in brackets),
 * sends the client the same line, and keeps the connection open until the client
 * closes it. Both families on one socket.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 1024, LINE = 160 };

static void endpoint(const struct sockaddr_in6 *address, char *text, size_t size) {
	char host[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) {
		inet_ntop(AF_INET, address->sin6_addr.s6_addr + 12, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(address->sin6_port));
	} else {
		inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(address->sin6_port));
	}
}

static int listen_on(unsigned short port) {
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, CLIENTS) < 0) {
		perror("tuple_server");
		exit(1);
	}
	return fd;
}

static void greet(int fd, const struct sockaddr_in6 *remote) {
	struct sockaddr_in6 local;
	socklen_t size = sizeof(local);
	char from[64], to[64], line[LINE];
	int length;

	if (getsockname(fd, (struct sockaddr *)&local, &size) < 0)
		return;
	endpoint(remote, from, sizeof(from));
	endpoint(&local, to, sizeof(to));
	length = snprintf(line, sizeof(line), "%s -> %s\n", from, to);
	fputs(line, stdout);
	fflush(stdout);
	if (write(fd, line, (size_t)length) < 0)
		perror("tuple_server: write");
}

static int gone(int fd) {
	char junk[256];

	return read(fd, junk, sizeof(junk)) <= 0;
}

int main(int argc, char **argv) {
	static struct pollfd fds[CLIENTS + 1];
	nfds_t count = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: tuple_server PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	fds[0] = (struct pollfd){.fd = listen_on((unsigned short)atoi(argv[1])), .events = POLLIN};
	while (poll(fds, count, -1) > 0) {
		for (nfds_t i = count - 1; i > 0; i--) {
			if (fds[i].revents && gone(fds[i].fd)) {
				close(fds[i].fd);
				fds[i] = fds[--count];
			}
		}
		if ((fds[0].revents & POLLIN) && count <= CLIENTS) {
			struct sockaddr_in6 remote;
			socklen_t size = sizeof(remote);
			int fd = accept(fds[0].fd, (struct sockaddr *)&remote, &size);

			if (fd >= 0) {
				fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
				greet(fd, &remote);
			}
		}
	}
	return 1;
}
