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
#include "sallyport/core/rule.h"

enum dispatch {
	DISPATCH_NATIVE,  /* nftables `queue` expression */
	DISPATCH_XTABLES, /* xtables NFQUEUE target in tables ip/ip6 sallyport */
};
const char *dispatch_name(enum dispatch dispatch); /* "native", "xtables" */

struct install;

/* Opens the netlink sockets and finds out by trying which dispatch the kernel has. */
struct install *install_open(uint16_t queue_first, uint16_t queue_last, struct error *err);
/* Closes the sockets; what is in the kernel stays. */
void install_close(struct install *install);
enum dispatch install_dispatch(const struct install *install);

/* One transaction: the old table (ours or a stale one) out, this one in. Base chains are
 * kept where they stand, since unhooking one drops what waits in the queue.
 * False: nothing has changed. The ruleset is not kept. */
bool install_ruleset(struct install *install, const struct ruleset *ruleset, struct error *err);
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
int install_counters(struct install *install, struct kernel_counter *counters, size_t max, struct error *err);

/* Readable when somebody changed nftables. */
int install_watch_fd(const struct install *install);
/* Drains the events; true: one of our tables was removed by somebody else, so call install_ruleset. */
bool install_was_removed(struct install *install);

#endif
