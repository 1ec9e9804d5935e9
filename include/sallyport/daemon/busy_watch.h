/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Notices when the kernel admits connections by itself because the host is busy (kernel/busy.c): they are
 * in nobody's table until their sockets and leases have been read.
 */
#ifndef SALLYPORT_DAEMON_BUSY_WATCH_H
#define SALLYPORT_DAEMON_BUSY_WATCH_H

#include "sallyport/daemon/daemon.h"

/* When the rules are in: what an earlier daemon's kernel has admitted is not counted again, but may not be
 * known. */
void busy_watch_start(struct daemon *daemon);

/* Once a second, with the kernel's count of connections it has admitted. */
void busy_watch_see(struct daemon *daemon, uint64_t admitted);

/* Connections may stand, or have ended, that the table does not know. */
bool busy_watch_is_behind(const struct daemon *daemon);

/* When other rules are in, the kernel's and ours: what it has admitted by the old ones since the last look to
 * ports that are closed now is cut, and its ports forgotten. */
void busy_watch_forget_closed(struct daemon *daemon);

/* Brings the table up to date for somebody who asks for it. Nothing to do where the kernel has admitted
 * none lately, or the last time is less than a second ago, or less than four times as long as it took. */
void busy_watch_catch_up(struct daemon *daemon);
/* The same however long ago the last time is: for what must miss none, a kill or new rules. */
void busy_watch_catch_up_now(struct daemon *daemon);

#endif
