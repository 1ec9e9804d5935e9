/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What passed without us: packets that the guard judged, and the time in which our table
 * was gone. Either way the windows of open connections have moved on unseen, so the
 * filter's epoch does too.
 */
#include "sallyport/daemon/guard_watch.h"

#include <inttypes.h>

#include "sallyport/daemon/adopt.h"
#include "sallyport/daemon/busy_watch.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/cut.h"
#include "sallyport/daemon/lease_watch.h"

enum {
	/* Reading the counters of many rules takes the kernel a while: at most 1/50 of our time. */
	READ_SHARE = 50,
};

static void forget_windows(struct daemon *daemon) {
	atomic_fetch_add_explicit(&daemon->workplace.filter.epoch, 1, memory_order_relaxed);
}

static void compare(struct guard_watch *watch, struct daemon *daemon, uint64_t now) {
	/* They start anew when the table was put back. */
	uint64_t judged = now >= watch->last ? now - watch->last : now;

	watch->last = now;
	if (judged == 0)
		return;
	watch->total += judged;
	forget_windows(daemon);
	log_write(&daemon->log, LOG_GUARD, NULL,
		  "the guard judged %" PRIu64 " packets by the static rules: daemon too slow or queue full",
		  judged);
	daemon_report_unseen(daemon);
}

static void read_counters(struct guard_watch *watch, struct daemon *daemon) {
	uint64_t start = clock_microseconds();
	struct kernel_counts counts;
	struct error err;
	uint64_t taken;

	if (start < watch->read_at)
		return;
	if (kernel_counts_read(daemon->install, daemon_policy(daemon)->ruleset->count, &counts, &err)) {
		compare(watch, daemon, kernel_counts_guard(&counts));
		busy_watch_see(daemon, kernel_counts_packets(&counts, BUSY_COUNTER));
		kernel_counts_free(&counts);
		watch->unreadable = false;
	} else if (!watch->unreadable) {
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read the kernel's counters: %s", err.text);
		watch->unreadable = true;
	}
	taken = clock_microseconds() - start;
	watch->read_at = start + taken * READ_SHARE;
}

/* At most once a second: somebody may be at it in a loop. */
static void put_back(struct guard_watch *watch, struct daemon *daemon) {
	uint32_t now = clock_seconds();
	struct error err;

	if (watch->restored == now)
		return;
	watch->restored = now;
	/* Connections that only the table knew of, or that were opened without it. */
	daemon_adopt_sockets(daemon);
	daemon_adopt_translated(daemon);
	if (!daemon_install(daemon, &err)) {
		log_write(&daemon->log, LOG_FAILED, NULL,
			  "another program changed our nftables table, and it cannot be put back: %s",
			  err.text);
		return;
	}
	watch->missing = false;
	watch->last = 0;
	forget_windows(daemon);
	log_write(&daemon->log, LOG_REINSTALLED, NULL,
		  "another program changed or removed our nftables table; it is back");
	daemon_report_unseen(daemon);
}

void guard_watch_event(struct guard_watch *watch, struct daemon *daemon) {
	if (install_was_removed(daemon->install))
		watch->missing = true;
	if (watch->missing)
		put_back(watch, daemon);
}

void guard_watch_tick(struct guard_watch *watch, struct daemon *daemon) {
	guard_watch_event(watch, daemon);
	if (!watch->missing)
		read_counters(watch, daemon);
}
