/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The socket of nftables' events, and the ruleset's generation (net/netfilter/nf_tables_api.c, base_seq).
 */
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sets.h"

enum {
	BUFFER = 4 << 20,
	TRIES = 5, /* to change something while nobody else does; then with everybody's events */
};

struct watch {
	struct mnl_socket *events, *ours;
	bool missed; /* somebody has changed something while nobody listened */
};

/* ---- open, close ---- */

/* Our own small changes would come too. */
static bool ignore_ourselves(const struct watch *watch) {
	struct sock_filter steps[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(mnl_socket_get_portid(watch->ours)), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

	return setsockopt(watch_fd(watch), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0;
}

/* NETLINK_ADD_MEMBERSHIP or NETLINK_DROP_MEMBERSHIP */
static bool listen_to_events(const struct watch *watch, int option) {
	int group = NFNLGRP_NFTABLES;

	return mnl_socket_setsockopt(watch->events, option, &group, sizeof(group)) == 0;
}

static bool start(struct watch *watch, struct error *err) {
	int size = BUFFER;

	watch->events = nft_socket_open(err);
	if (!watch->events)
		return false;
	if (setsockopt(watch_fd(watch), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(watch_fd(watch), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (!ignore_ourselves(watch) || !listen_to_events(watch, NETLINK_ADD_MEMBERSHIP))
		return error_set(err, "cannot watch nftables: %s", strerror(errno));
	return true;
}

struct watch *watch_open(struct mnl_socket *ours, struct error *err) {
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		error_set(err, "out of memory");
		return NULL;
	}
	watch->ours = ours;
	if (start(watch, err))
		return watch;
	watch_close(watch);
	return NULL;
}

void watch_close(struct watch *watch) {
	if (!watch)
		return;
	if (watch->events)
		mnl_socket_close(watch->events);
	free(watch);
}

int watch_fd(const struct watch *watch) {
	return mnl_socket_get_fd(watch->events);
}

bool watch_stands(const struct watch *watch) {
	return nft_socket_stands(watch->events);
}

/* ---- changes by others ---- */

static const char *name_in(const struct nlmsghdr *message, uint16_t type) {
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) == type &&
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
			return mnl_attr_get_str(attribute);
	}
	return "";
}

/* What becomes of leases is no matter: without one the daemon is asked. */
static bool is_about_leases(const struct nlmsghdr *message) {
	static const char *const sets[] = {LEASE_SET_IPV4, LEASE_SET_IPV6, HALF_IN_IPV4,   HALF_IN_IPV6,
					   HALF_OUT_IPV4,  HALF_OUT_IPV6,  ASKED_OUT_IPV4, ASKED_OUT_IPV6,
					   BUSY_SET,       UNSEEN_SET,     CUT_SET_IPV4,   CUT_SET_IPV6,
					   CUT_PORTS};
	const char *set = name_in(message, NFTA_SET_ELEM_LIST_SET);

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strcmp(set, sets[i]) == 0)
			return true;
	}
	return false;
}

static bool is_foreign_change(const struct watch *watch, const struct nlmsghdr *message) {
	if (message->nlmsg_pid == mnl_socket_get_portid(watch->ours))
		return false;
	switch (message->nlmsg_type & 0xff) {
	case NFT_MSG_NEWTABLE: /* as a dormant one it lets everything through */
	case NFT_MSG_DELTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		break;
	default:
		return false;
	}
	/* The table's name is attribute 1 of all of them. */
	return strcmp(name_in(message, NFTA_TABLE_NAME), TABLE_NAME) == 0 && !is_about_leases(message);
}

bool watch_saw_change(struct watch *watch) {
	bool changed = watch->missed;
	char buffer[65536];

	watch->missed = false;
	for (;;) {
		ssize_t length = receive_from_kernel(watch->events, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
		int left = (int)length;

		if (length < 0 && errno == ENOBUFS)
			changed = true; /* what was lost may have been about our table */
		else if (length == 0 || (length < 0 && errno != EINTR))
			return changed;
		for (; length > 0 && message_fits(message, left); message = mnl_nlmsg_next(message, &left))
			changed = changed || is_foreign_change(watch, message);
	}
}

void watch_doubt(struct watch *watch) {
	watch->missed = true;
}

/* ---- our own changes ---- */

static int take_generation(const struct nlmsghdr *message, void *context) {
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) == NFTA_GEN_ID &&
		    mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
			*(uint32_t *)context = ntohl(mnl_attr_get_u32(attribute));
	}
	return MNL_CB_OK;
}

/* 0: the kernel does not say. */
static uint32_t generation(const struct watch *watch) {
	char buffer[1024];
	struct nlmsghdr *request =
	    nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK, 1);
	uint32_t found = 0;
	struct error ignored;

	return nft_dump(watch->ours, request, take_generation, &found, &ignored) ? found : 0;
}

static uint32_t next_generation(uint32_t generation) {
	return generation == UINT32_MAX ? 1 : generation + 1;
}

/* A transaction counts from its first moment on, but is told of in its last one: who stops listening in
 * between never hears of it. One that changes nothing waits for the end of whichever is under way, and is not
 * counted (nf_tables_valid_genid, nf_tables_commit). */
static bool let_others_finish(struct watch *watch) {
	struct batch nothing;
	struct error unsaid;
	bool done;
	int code;

	batch_begin(&nothing);
	batch_end(&nothing);
	done = batch_send(&nothing, watch->ours, &code, &unsaid);
	batch_free(&nothing);
	return done;
}

/* The kernel takes the batch only where `before` still holds, so what was heard is older than what it puts
 * in. */
static bool send_unheard(struct watch *watch, struct batch *batch, bool anew, int *code, struct error *err) {
	uint32_t before = generation(watch);
	bool heard, sent, ours;

	if (before == 0 || !let_others_finish(watch) || !listen_to_events(watch, NETLINK_DROP_MEMBERSHIP))
		return batch_send(batch, watch->ours, code, err);
	heard = anew && watch_saw_change(watch);
	batch_expect(batch, before);
	sent = batch_send(batch, watch->ours, code, err);
	ours = listen_to_events(watch, NETLINK_ADD_MEMBERSHIP) &&
	       generation(watch) == (sent ? next_generation(before) : before);
	watch->missed = watch->missed || !ours || (heard && !sent);
	return sent;
}

bool watch_send(struct watch *watch, struct batch *batch, bool anew, int *code, struct error *err) {
	*code = ERESTART;
	for (int i = 0; i < TRIES && *code == ERESTART; i++) {
		if (send_unheard(watch, batch, anew, code, err))
			return true;
	}
	if (*code != ERESTART)
		return false;
	batch_expect(batch, 0);
	return batch_send(batch, watch->ours, code, err);
}
