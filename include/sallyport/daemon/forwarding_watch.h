/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keeps the kernel's table as small as the host's job allows: see kernel/forwarding.h.
 */
#ifndef SALLYPORT_DAEMON_FORWARDING_WATCH_H
#define SALLYPORT_DAEMON_FORWARDING_WATCH_H

#include "sallyport/daemon/daemon.h"

/* Before the rules are installed. Where the kernel does not say, the host counts as forwarding. */
void forwarding_watch_start(struct daemon *daemon);

/* Interfaces or their configuration have changed: installs the rules again where that makes a difference. */
void forwarding_watch_event(struct daemon *daemon);

#endif
