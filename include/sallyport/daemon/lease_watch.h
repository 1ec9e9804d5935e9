/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Do the kernel's leases and the table agree? A lease that the table does not know was granted by the guard,
 * or by an earlier daemon: where the rules allow its connection it is taken up, else the lease
 * goes.
 */
#ifndef SALLYPORT_DAEMON_LEASE_WATCH_H
#define SALLYPORT_DAEMON_LEASE_WATCH_H

#include "sallyport/daemon/daemon.h"

/* Compares now. False: the kernel did not answer; *err says why. */
bool leases_compare(struct daemon *daemon, struct lease_figures *figures, struct error *err);

/* After a time in which packets passed unseen: takes up what was opened meanwhile, by the host's sockets and
 * the kernel's leases, and lets go what was closed. */
void daemon_reconcile(struct daemon *daemon);

/* The same, and a line in the log where something was found. */
void daemon_report_unseen(struct daemon *daemon);

/* The end of that, a moment later (loop_follow_sockets). */
void daemon_follow_sockets(struct daemon *daemon);

/* Compares every ten seconds, or as seldom as it takes to spend no more than 1/200 of the time on it; on a
 * busy host (busy_watch.h), 1/40 but each half minute, and there, where copies were lost, or where the last
 * look took something up, reconciles. */
void lease_watch_tick(struct daemon *daemon);

#endif
