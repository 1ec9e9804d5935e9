/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table over a restart: saved at every stop, brought back at the start. A connection
 * comes back if the rules, which may have changed, still allow its opening; one that address
 * translation let out comes back as it was learned. What is wrong with the file is said in one
 * line and keeps the daemon neither from starting nor from stopping.
 */
#include "sallyport/daemon/restore.h"

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/enter.h"
#include "sallyport/daemon/saved.h"
#include "sallyport/kernel/links.h"

struct restoration {
	struct daemon *daemon;
	const struct policy *policy;
	uint32_t gone; /* an interface that is no more; 0: none seen yet */
	uint32_t now;
	size_t restored, refused;
};

/* Names are asked of the kernel; that there is none is remembered for the last one. */
static const char *name_of(struct restoration *restoration, uint32_t interface) {
	const char *name;

	if (interface == restoration->gone)
		return NULL;
	name = links_name(restoration->daemon->links, interface);
	if (!name)
		restoration->gone = interface;
	return name;
}

/* Where only the host's socket knows better, expiry asks it. */
static bool has_run_out(const struct restoration *restoration, const struct saved_connection *saved) {
	const struct timeouts *timeouts = &restoration->policy->ruleset->settings.timeouts;

	return saved->idle >= timeouts->seconds[state_timeout(saved->state)] &&
	       !state_is_doubtful(saved->state);
}

/* On a port that is busy still. Of others the next packet is judged anew, by its own interface. */
static bool may_pass_unseen(const struct saved_connection *saved, const char *interface) {
	return saved->key.protocol == PROTOCOL_TCP && interface && saved->state != TCP_SYN_SENT &&
	       saved->state != TCP_SYN_RECV;
}

static void restore(const struct saved_connection *saved, void *context) {
	struct restoration *restoration = context;
	const char *interface;
	struct keyed_connection wanted = {
	    .key = saved->key,
	    .connection =
		{
		    .state = saved->state,
		    .direction = saved->direction,
		    .flags = saved->flags,
		    .opened = restoration->now - saved->age,
		    .renewed = restoration->now - saved->idle,
		    .interface = saved->interface,
		    .rule = NO_RULE,
		},
	};

	if (has_run_out(restoration, saved))
		return;
	interface = name_of(restoration, saved->interface);
	/* Its socket may still be there, and must not bring it back. */
	if (saved->state != STATE_CUT &&
	    !filter_recheck(restoration->policy, &wanted.key, &wanted.connection, interface)) {
		restoration->refused++;
		if (!may_pass_unseen(saved, interface))
			return;
		wanted.connection.state = STATE_CUT;
	}
	if (enter_connection(&restoration->daemon->workplace.filter, &wanted))
		restoration->restored += wanted.connection.state != STATE_CUT;
}

static void report(const struct restoration *restoration) {
	const struct log *log = &restoration->daemon->log;

	if (restoration->refused > 0)
		log_write(log, LOG_STARTING, NULL,
			  "%zu saved connections go on, %zu do not: the rules no longer allow them",
			  restoration->restored, restoration->refused);
	else
		log_write(log, LOG_STARTING, NULL, "%zu saved connections go on", restoration->restored);
}

void daemon_restore_connections(struct daemon *daemon) {
	struct restoration restoration = {
	    .daemon = daemon,
	    .policy = &daemon_policy(daemon)->policy,
	    .now = clock_seconds(),
	};
	enum saved_outcome outcome;
	struct error err;

	if (!daemon->options->state_directory)
		return;
	outcome = saved_read(daemon->options->state_directory, restoration.now, restore, &restoration, &err);
	table_order(daemon->workplace.filter.table);
	switch (outcome) {
	case SAVED_MISSING:
		break;
	case SAVED_READ:
		report(&restoration);
		break;
	case SAVED_STALE: /* as after every boot */
		log_write(&daemon->log, LOG_STARTING, NULL, "%s; it is ignored", err.text);
		break;
	case SAVED_BAD:
		log_write(&daemon->log, LOG_PROBLEM, NULL, "%s; it is ignored", err.text);
		break;
	}
}

void daemon_save_connections(struct daemon *daemon) {
	const char *directory = daemon->options->state_directory;
	struct error err;

	if (!directory || !daemon->workplace.filter.table)
		return;
	if (!saved_write(daemon->workplace.filter.table, directory, clock_seconds(), &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "the connections are not saved: %s", err.text);
}
