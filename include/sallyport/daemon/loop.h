/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The main thread's event loop: signals, timers, what the kernel tells us. The
 * control socket adds its own sources.
 */
#ifndef SALLYPORT_DAEMON_LOOP_H
#define SALLYPORT_DAEMON_LOOP_H

#include <systemd/sd-event.h>

#include "sallyport/daemon/daemon.h"

/* Sources that must not wait for control clients. */
enum { PRIORITY_URGENT = -100, PRIORITY_CLIENT = 100 };

/* Every signal that it watches must be blocked. NULL: *err says why. */
struct loop *loop_new(struct daemon *daemon, struct error *err);
void loop_free(struct loop *loop);
sd_event *loop_event(const struct loop *loop);
/* Until a signal asks to stop (0) or the daemon cannot go on (1). */
int loop_run(struct loop *loop);
/* Packets that the guard has judged in the life of this daemon. */
uint64_t loop_guard_packets(const struct loop *loop);

/* Looks at the host's sockets once more in 0.3 s (lease_watch.h). */
void loop_follow_sockets(struct loop *loop);

/* For work that keeps the loop waiting: feeds the watchdog when it is due, as the loop does. */
void loop_stay_alive(struct loop *loop);

#endif
