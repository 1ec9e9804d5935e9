/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Interface names: a small cache a thread, thrown away when the watcher's generation
 * moves.
 */
#include "sallyport/kernel/links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 64 };

struct links_watch {
	struct mnl_socket *socket;
	_Atomic uint32_t generation;
};

struct cached_link {
	uint32_t index; /* 0: empty */
	char name[IF_NAMESIZE];
};

struct links {
	struct links_watch *watch;
	uint32_t generation;
	struct cached_link slots[CACHE_SLOTS];
};

/* Interfaces, and which of them forward. */
static bool watch_groups(struct mnl_socket *socket) {
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return false;
	}
	return true;
}

struct links_watch *links_watch_open(struct error *err) {
	struct links_watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		error_set(err, "out of memory");
		return NULL;
	}
	watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->socket || mnl_socket_bind(watch->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    !watch_groups(watch->socket)) {
		error_set(err, "cannot watch network interfaces: %s", strerror(errno));
		links_watch_close(watch);
		return NULL;
	}
	return watch;
}

void links_watch_close(struct links_watch *watch) {
	if (!watch)
		return;
	if (watch->socket)
		mnl_socket_close(watch->socket);
	free(watch);
}

int links_watch_fd(const struct links_watch *watch) {
	return mnl_socket_get_fd(watch->socket);
}

void links_watch_drain(struct links_watch *watch) {
	char buffer[16384];

	/* What changed does not matter, nor does an overflow: every name is asked for again. */
	while (mnl_socket_recvfrom(watch->socket, buffer, sizeof(buffer)) > 0 || errno == ENOBUFS ||
	       errno == EINTR)
		errno = 0;
	atomic_fetch_add_explicit(&watch->generation, 1, memory_order_release);
}

struct links *links_new(struct links_watch *watch) {
	struct links *links = calloc(1, sizeof(*links));

	if (links)
		links->watch = watch;
	return links;
}

void links_free(struct links *links) {
	free(links);
}

const char *links_name(struct links *links, uint32_t index) {
	uint32_t generation = atomic_load_explicit(&links->watch->generation, memory_order_acquire);
	struct cached_link *slot = &links->slots[index % CACHE_SLOTS];

	if (index == 0)
		return NULL;
	if (links->generation != generation) {
		memset(links->slots, 0, sizeof(links->slots));
		links->generation = generation;
	}
	if (slot->index != index) {
		slot->index = 0;
		if (!if_indextoname(index, slot->name))
			return NULL;
		slot->index = index;
	}
	return slot->name;
}
