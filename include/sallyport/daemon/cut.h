/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that are to end: cut in the table, and their leases out of the kernel, so that
 * their next packet is dropped already. The table remembers them as cut for a while: their sockets may still
 * stand, and nothing that looks for what is open must bring them back.
 */
#ifndef SALLYPORT_DAEMON_CUT_H
#define SALLYPORT_DAEMON_CUT_H

#include "sallyport/daemon/daemon.h"

/* Keys of connections whose leases are to go. */
struct key_list {
	struct key *keys;
	size_t count, room;
	bool incomplete; /* out of memory: what is missing runs out by itself */
};
void key_list_add(struct key_list *list, const struct key *key);
struct revocation key_list_revocation(const struct key_list *list);
void key_list_free(struct key_list *list);

typedef bool cut_stays(const struct key *key, const struct connection *connection, void *context);

/* Cuts every connection that `stays` is false for. When it returns, nothing passes for them any more.
 * Returns how many. */
size_t daemon_cut(struct daemon *daemon, cut_stays *stays, void *context);

/* For a reload. Before the new rules are in the kernel: the connections that will lose their leases by them,
 * cut or inspected from now on. Changes nothing. */
void daemon_find_cuts(struct daemon *daemon, const struct policy *next, struct key_list *list);
/* When they are in force, and all that was judged by the old ones has passed. Returns how many were
 * cut. */
size_t daemon_cut_forbidden(struct daemon *daemon, const struct policy *policy);

/* The rules in force into the kernel, whatever stands there, and with them who is cut: it must not be let in
 * as one of a busy port. False: see install_ruleset. */
bool daemon_install(struct daemon *daemon, struct error *err);

/* Returns when no packet is judged any more by what was true before the call. */
void daemon_settle_workers(struct daemon *daemon);

#endif
