/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Notices when the kernel decided without us: the guard judged packets, or somebody
 * took our table away.
 */
#ifndef SALLYPORT_DAEMON_GUARD_WATCH_H
#define SALLYPORT_DAEMON_GUARD_WATCH_H

#include "sallyport/daemon/daemon.h"

struct guard_watch {
	uint64_t total;    /* judged by the guard in the life of this daemon */
	uint64_t last;     /* the counters when last read */
	uint64_t read_at;  /* next time to read, microseconds of the monotonic clock */
	uint32_t restored; /* when the table was last put back, clock_seconds; 0: never */
	bool missing;      /* the table must be put back */
	bool unreadable;   /* said so */
};

/* Once a second. */
void guard_watch_tick(struct guard_watch *watch, struct daemon *daemon);
/* nftables has changed. */
void guard_watch_event(struct guard_watch *watch, struct daemon *daemon);

#endif
