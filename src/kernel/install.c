/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Puts a compiled ruleset into the kernel, and notices when somebody takes it out.
 */
#include "sallyport/kernel/install.h"

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

#include "compile.h"
#include "counters.h"
#include "leases.h"
#include "probe.h"
#include "sets.h"
#include "standing.h"

enum { WATCH_BUFFER = 4 << 20 };

struct install {
	struct mnl_socket *socket; /* transactions and dumps */
	struct mnl_socket *watch;  /* events */
	struct compile_options options;
	struct marks marks; /* of the ruleset that stands */
	bool can_destroy;   /* see probe.h */
	bool standing;      /* `inventory` is what stands in the kernel */
	struct inventory inventory;
	struct tally defaults[2]; /* counted by elements that reloads have replaced */
};

const char *dispatch_name(enum dispatch dispatch) {
	return dispatch == DISPATCH_NATIVE ? "native" : "xtables";
}

static bool send_and_free(struct install *install, struct batch *batch, int *code, struct error *err) {
	bool done;

	batch_end(batch);
	done = batch_send(batch, install->socket, code, err);
	batch_free(batch);
	return done;
}

/* ---- open, close ---- */

/* Our own changes would fill the watch's buffer at every large reload. */
static bool watch_others_alone(const struct install *install) {
	struct sock_filter steps[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(mnl_socket_get_portid(install->socket)), 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

	return setsockopt(install_watch_fd(install), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ==
	       0;
}

static bool watch_open(struct install *install, struct error *err) {
	int group = NFNLGRP_NFTABLES, size = WATCH_BUFFER;

	install->watch = nft_socket_open(err);
	if (!install->watch)
		return false;
	if (setsockopt(install_watch_fd(install), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(install_watch_fd(install), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (!watch_others_alone(install))
		return error_set(err, "cannot watch nftables: %s", strerror(errno));
	if (mnl_socket_setsockopt(install->watch, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return error_set(err, "cannot watch nftables: %s", strerror(errno));
	return true;
}

static void take_over(struct install *install) {
	install->can_destroy = probe_destroy(install->socket);
	install->standing = standing_read(install->socket, install->options.dispatch, &install->inventory);
}

struct install *install_open(uint16_t queue_first, uint16_t queue_last, uint16_t copies_group,
			     struct error *err) {
	struct install *install = calloc(1, sizeof(*install));

	if (!install) {
		error_set(err, "out of memory");
		return NULL;
	}
	install->options.queue_first = queue_first;
	install->options.queue_last = queue_last;
	install->options.copies_group = copies_group;
	install->options.forwards = true;
	install->socket = nft_socket_open(err);
	if (install->socket && probe_dispatch(install->socket, &install->options, err) &&
	    watch_open(install, err)) {
		take_over(install);
		return install;
	}
	install_close(install);
	return NULL;
}

void install_close(struct install *install) {
	if (!install)
		return;
	if (install->socket)
		mnl_socket_close(install->socket);
	if (install->watch)
		mnl_socket_close(install->watch);
	inventory_free(&install->inventory);
	free(install);
}

enum dispatch install_dispatch(const struct install *install) {
	return install->options.dispatch;
}

void install_set_forwards(struct install *install, bool forwards) {
	install->options.forwards = forwards;
}

bool install_forwards(const struct install *install) {
	return install->options.forwards;
}

/* ---- install, remove ---- */

static int take_note(const struct nlmsghdr *message, void *context) {
	(void)message;
	*(bool *)context = true;
	return MNL_CB_OK;
}

/* Whether `inet sallyport` stands in the kernel. */
static bool table_stands(struct install *install) {
	char buffer[1024];
	struct error unread;
	bool found = false;
	struct nlmsghdr *request =
	    nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);

	mnl_attr_put_strz(request, NFTA_TABLE_NAME, TABLE_NAME);
	return nft_dump(install->socket, request, take_note, &found, &unread) && found;
}

/* What was cut stays known for an hour. Where there is no room left for more, a transaction fails as a whole:
 * rather than the leases, what was cut earlier is let go, or it all. */
enum cuts { CUTS_ADDED, CUTS_ALONE, CUTS_LEFT_OUT };

static void put_revoked(struct batch *batch, const struct install *install, const struct revocation *revoked,
			const uint32_t *open_owners, enum cuts cuts) {
	put_revocation(batch, revoked, install->can_destroy);
	if (cuts == CUTS_ALONE)
		put_cuts_flush(batch);
	if (cuts != CUTS_LEFT_OUT)
		put_cuts(batch, revoked, open_owners);
}

static bool change_table(struct install *install, const struct ruleset *ruleset,
			 const struct revocation *revoked, enum cuts cuts, struct inventory *made, int *code,
			 struct error *err) {
	struct batch batch;

	batch_begin(&batch);
	compile_ruleset(&batch, ruleset, &install->options, install->standing ? &install->inventory : NULL,
			made);
	if (revoked && install->standing)
		put_revoked(&batch, install, revoked, made->open_owners, cuts);
	if (send_and_free(install, &batch, code, err))
		return true;
	inventory_free(made);
	return false;
}

bool install_ruleset(struct install *install, const struct ruleset *ruleset, const struct revocation *revoked,
		     struct error *err) {
	struct inventory made = {0};
	struct error uncounted;
	int code = ENFILE;
	bool done = false;

	if (install->standing)
		counters_read(install->socket, &install->inventory, install->defaults, NULL, 0, &uncounted);
	for (enum cuts cuts = CUTS_ADDED; cuts <= CUTS_LEFT_OUT && !done && code == ENFILE; cuts++)
		done = change_table(install, ruleset, revoked, cuts, &made, &code, err);
	if (done && !table_stands(install)) {
		inventory_free(&made);
		done = error_set(err, "nftables took the ruleset, but table inet " TABLE_NAME
				      " is not there; is another program removing it?");
	}
	if (!done)
		return false;
	inventory_free(&install->inventory);
	install->inventory = made;
	install->marks = marks_of(ruleset->settings.mark_mask);
	install->standing = true;
	return true;
}

bool install_detach(struct install *install, struct error *err) {
	struct batch batch;
	int code;

	if (!install->standing)
		return true;
	batch_begin(&batch);
	compile_detachment(&batch, &install->options, &install->marks);
	return send_and_free(install, &batch, &code, err);
}

bool install_remove(struct install *install, struct error *err) {
	struct batch batch;
	int code;
	bool done;

	batch_begin(&batch);
	compile_removal(&batch, install->options.dispatch);
	done = send_and_free(install, &batch, &code, err);
	if (done)
		install->standing = false;
	return done;
}

bool install_revoke(struct install *install, const struct revocation *revoked, struct error *err) {
	int code = ENFILE;
	bool done = false;

	if (revoked->count == 0 || !install->standing)
		return true;
	for (enum cuts cuts = CUTS_ADDED; cuts <= CUTS_LEFT_OUT && !done && code == ENFILE; cuts++) {
		struct batch batch;

		batch_begin(&batch);
		put_revoked(&batch, install, revoked, install->inventory.open_owners, cuts);
		done = send_and_free(install, &batch, &code, err);
	}
	return done;
}

bool install_leases(struct install *install, void (*see)(const struct lease *lease, void *context),
		    void *context, struct error *err) {
	return !install->standing || leases_read(install->socket, see, context, err);
}

int install_counters(struct install *install, struct kernel_counter *counters, size_t max,
		     struct error *err) {
	struct tally defaults[2] = {install->defaults[0], install->defaults[1]};

	return counters_read(install->socket, &install->inventory, defaults, counters, max, err);
}

/* ---- watching ---- */

int install_watch_fd(const struct install *install) {
	return mnl_socket_get_fd(install->watch);
}

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
	static const char *const sets[] = {LEASE_SET_IPV4, LEASE_SET_IPV6, HALF_IN_IPV4, HALF_IN_IPV6,
					   HALF_OUT_IPV4,  HALF_OUT_IPV6,  BUSY_SET,     UNSEEN_SET,
					   CUT_SET_IPV4,   CUT_SET_IPV6};
	const char *set = name_in(message, NFTA_SET_ELEM_LIST_SET);

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strcmp(set, sets[i]) == 0)
			return true;
	}
	return false;
}

/* True for an event that is about a table of ours and was not caused by us. */
static bool is_foreign_change(const struct install *install, const struct nlmsghdr *message) {
	if (message->nlmsg_pid == mnl_socket_get_portid(install->socket))
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

bool install_was_removed(struct install *install) {
	char buffer[65536];
	bool foreign = false;
	bool lost = false;

	for (;;) {
		ssize_t length = receive_from_kernel(install->watch, buffer, sizeof(buffer), MSG_DONTWAIT);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
		int left = (int)length;

		if (length < 0 && errno == ENOBUFS)
			lost = true;
		else if (length < 0 && errno != EINTR)
			break;
		for (; length > 0 && message_fits(message, left); message = mnl_nlmsg_next(message, &left))
			foreign = foreign || is_foreign_change(install, message);
	}
	/* What was lost may have been about our table. */
	if (!foreign && !lost)
		return false;
	/* What is left of the table is unknown now: the next install starts from nothing. */
	if (install->standing)
		install->standing = false;
	return true;
}
