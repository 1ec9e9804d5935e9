/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's half of a ruleset: put in place atomically, verified, watched, removed.
 * One user thread.
 */
#ifndef SALLYPORT_KERNEL_INSTALL_H
#define SALLYPORT_KERNEL_INSTALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/error.h"
#include "sallyport/core/key.h"
#include "sallyport/core/rule.h"

enum dispatch {
	DISPATCH_NATIVE,  /* nftables `queue` expression */
	DISPATCH_XTABLES, /* xtables NFQUEUE target, by nft_compat */
};
const char *dispatch_name(enum dispatch dispatch); /* "native", "xtables" */

struct install;

/* Opens the netlink sockets and finds out by trying which dispatch the kernel has. What an earlier daemon
 * has left in the kernel is taken over where it is laid out alike. `copies_group`: the nflog group that
 * copies go to. */
struct install *install_open(uint16_t queue_first, uint16_t queue_last, uint16_t copies_group,
			     struct error *err);
/* Closes the sockets; what is in the kernel stays. */
void install_close(struct install *install);
enum dispatch install_dispatch(const struct install *install);
/* Whether this host forwards (forwarding.h); from the next install_ruleset on. True at first. */
void install_set_forwards(struct install *install, bool forwards);
bool install_forwards(const struct install *install);

/* Connections whose leases are to go. */
struct revocation {
	const struct key *keys;
	size_t count;
};

/* One transaction: the old ruleset (ours or a stale one) out, this one in, and the leases of `revoked`
 * (NULL: none) gone; nor does the kernel let those in by itself. Base chains are kept where they stand, since
 * unhooking one drops what waits in the queue; so are the other leases. Where a busy kernel judges, a small
 * transaction before it and one behind make it ask meanwhile. False: nothing has changed; or the ruleset went
 * in and is not there, which install_was_removed then says. The ruleset is not kept. */
bool install_ruleset(struct install *install, const struct ruleset *ruleset, const struct revocation *revoked,
		     struct error *err);
/* Whether the last install_ruleset has closed a port that the kernel admitted to by itself. */
bool install_closes(const struct install *install);
/* Behind such a one: connections to the port pass no more without the daemon's knowledge. Not in the same
 * transaction: until that is through packets judged by the old ruleset add the port again (nft_rhash_update
 * takes what is about to be deleted for missing). */
bool install_forget_closed(struct install *install, struct error *err);
/* Whether connections that the kernel admitted by itself stand or may stand: on a host that forwards nothing
 * their segments are then looked for before those that have leases. Either way they pass; it is a matter of
 * speed alone. False: it is as it was. */
bool install_look_unseen_first(struct install *install, bool first, struct error *err);
/* Only the last of install_ruleset. Nothing to do where `revoked` is empty. */
bool install_revoke(struct install *install, const struct revocation *revoked, struct error *err);

/* What the kernel has leased to a connection: its packets pass unseen until it runs out. */
struct lease {
	struct key key;
	uint32_t left; /* seconds */
};
/* TCP: with no more than this left, the connection may have seen a FIN or RST. */
enum { LEASE_CLOSING_SECONDS = 10 };
/* Calls `see` for every lease there is; none where our table does not stand. */
bool install_leases(struct install *install, void (*see)(const struct lease *lease, void *context),
		    void *context, struct error *err);
/* Nothing is sent to the queue any more; the guard judges. Until the next install_ruleset. */
bool install_detach(struct install *install, struct error *err);
/* Removes every table of ours. */
bool install_remove(struct install *install, struct error *err);

/* Counters of what the kernel settles itself, by the name of the nftables counter:
 * "rule_<index>" for rules[index], "default_in", "default_out", "bogus_flags",
 * "forwarded", "guard_in_pass", "guard_in_drop", "guard_out_pass", "guard_out_drop", ... Fills up to
 * `max`, returns the count, -1 on error. They survive install_ruleset where
 * the name does not start with "rule_". */
struct kernel_counter {
	char name[64];
	uint64_t packets, bytes;
};
#define FRAGMENT_COUNTER "fragment_order"
#define BUSY_COUNTER     "busy_admitted" /* connections that the kernel admitted by itself: busy.c */
int install_counters(struct install *install, struct kernel_counter *counters, size_t max, struct error *err);

/* True: a socket to nftables was closed under us, so the rules can be neither changed nor watched any more.
 */
bool install_is_lost(const struct install *install);
/* Readable when somebody changed nftables. */
int install_watch_fd(const struct install *install);
/* Drains the events; true: somebody else has changed one of our tables, or may have, so call install_ruleset.
 */
bool install_was_removed(struct install *install);

#endif
