/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sets of leases, read and thinned out. They fill themselves: see fast_path.c.
 */
#ifndef SALLYPORT_KERNEL_LEASES_H
#define SALLYPORT_KERNEL_LEASES_H

#include "netlink.h"
#include "sallyport/kernel/install.h"

/* Appends the removal of what the kernel holds for these connections. `destroy`: the kernel has
 * DESTROYSETELEM (6.3). Handshakes under way lose their place in `half`, all of them: the daemon is asked
 * again. */
void put_revocation(struct batch *batch, const struct revocation *revoked, bool destroy);

/* Appends what keeps the kernel from admitting these connections by itself (busy.c); `open_owners` of the
 * inventory, NULL: nobody knows, nothing is done. False: it would admit none of them anyway. */
bool put_cuts(struct batch *batch, const struct revocation *cut, const uint32_t *open_owners, bool destroy);
/* Appends that nobody is kept so any more. */
void put_cuts_flush(struct batch *batch);

/* Calls `see` for every lease, both families. */
bool leases_read(struct mnl_socket *socket, void (*see)(const struct lease *, void *), void *context,
		 struct error *err);

#endif
