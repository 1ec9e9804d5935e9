/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection table over a restart; see saved.h for the file. Both do nothing where there
 * is no state directory, and never fail: what goes wrong is logged as one warning.
 */
#ifndef SALLYPORT_DAEMON_RESTORE_H
#define SALLYPORT_DAEMON_RESTORE_H

#include "sallyport/daemon/daemon.h"

/* Into the empty table, before a worker judges the first packet by it. */
void daemon_restore_connections(struct daemon *daemon);
/* When the last worker has stopped, so that the file holds the last word. */
void daemon_save_connections(struct daemon *daemon);

#endif
