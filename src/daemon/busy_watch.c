/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Busy or not, and catching up with what the kernel has admitted meanwhile.
 */
#include "sallyport/daemon/busy_watch.h"

#include <inttypes.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/lease_watch.h"

enum {
	/* As long as the kernel lets segments pass without us, and a bit (kernel/busy.c, UNSEEN_MS). */
	BEHIND_SECONDS = 130,
	CALM_SECONDS = 5,
	AGAIN_US = 1000 * 1000,
	AGAIN_SHARE = 4,
};

static void note_calm(struct daemon *daemon, uint32_t now) {
	struct busy_watch *watch = &daemon->busy_watch;

	if (!watch->busy || now - watch->last_seen < CALM_SECONDS)
		return;
	watch->busy = false;
	log_write(&daemon->log, LOG_GUARD, NULL,
		  "no longer busy: the kernel admitted %" PRIu64 " connections", watch->admitted);
	watch->admitted = 0;
}

static void note_busy(struct daemon *daemon, uint64_t admitted, uint32_t now) {
	struct busy_watch *watch = &daemon->busy_watch;

	if (!watch->busy)
		log_write(&daemon->log, LOG_GUARD, NULL,
			  "busy: more than %" PRIu32 " new connections a second; the kernel judges by itself "
			  "where the static rules say all",
			  daemon_policy(daemon)->ruleset->settings.busy_rate);
	watch->busy = true;
	watch->admitted += admitted;
	watch->total += admitted;
	watch->last_seen = now;
}

/* The last look: what has ended since the one before, while nobody told, must not stay in the list. */
static void note_behind(struct daemon *daemon) {
	bool behind = busy_watch_is_behind(daemon);
	struct error only_slower;

	install_look_unseen_first(daemon->install, behind, &only_slower);
	if (atomic_exchange_explicit(&daemon->workplace.filter.behind, behind, memory_order_relaxed) &&
	    !behind)
		daemon_reconcile(daemon);
}

void busy_watch_see(struct daemon *daemon, uint64_t admitted) {
	struct busy_watch *watch = &daemon->busy_watch;
	uint32_t now = clock_seconds();
	/* It starts anew when the table was put back. */
	uint64_t more = admitted >= watch->counter ? admitted - watch->counter : admitted;

	watch->counter = admitted;
	if (more > 0)
		note_busy(daemon, more, now);
	else
		note_calm(daemon, now);
	note_behind(daemon);
}

bool busy_watch_is_behind(const struct daemon *daemon) {
	const struct busy_watch *watch = &daemon->busy_watch;

	return watch->last_seen != 0 && clock_seconds() - watch->last_seen < BEHIND_SECONDS;
}

static bool read_counter(struct daemon *daemon, uint64_t *admitted) {
	struct kernel_counts counts;
	struct error err;

	if (!kernel_counts_read(daemon->install, daemon_policy(daemon)->ruleset->count, &counts, &err))
		return false;
	*admitted = kernel_counts_packets(&counts, BUSY_COUNTER);
	kernel_counts_free(&counts);
	return true;
}

void busy_watch_start(struct daemon *daemon) {
	struct busy_watch *watch = &daemon->busy_watch;

	if (read_counter(daemon, &watch->counter) && watch->counter > 0)
		watch->last_seen = clock_seconds();
}

void busy_watch_forget_closed(struct daemon *daemon) {
	struct error err;

	if (!install_closes(daemon->install))
		return;
	if (!install_forget_closed(daemon->install, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL,
			  "segments to ports that were closed may still pass, for two minutes: %s", err.text);
	if (busy_watch_is_behind(daemon))
		daemon_reconcile(daemon);
}

void busy_watch_catch_up(struct daemon *daemon) {
	if (clock_microseconds() >= daemon->busy_watch.next)
		busy_watch_catch_up_now(daemon);
}

void busy_watch_catch_up_now(struct daemon *daemon) {
	struct busy_watch *watch = &daemon->busy_watch;
	uint64_t start = clock_microseconds(), pause, admitted;

	if (!daemon->installed)
		return;
	if (read_counter(daemon, &admitted))
		busy_watch_see(daemon, admitted);
	if (busy_watch_is_behind(daemon))
		daemon_reconcile(daemon);
	pause = (clock_microseconds() - start) * AGAIN_SHARE;
	watch->next = clock_microseconds() + (pause > AGAIN_US ? pause : AGAIN_US);
}
