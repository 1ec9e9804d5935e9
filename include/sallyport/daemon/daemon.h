/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * struct daemon owns everything that the daemon holds; the main thread owns it.
 *
 * Start: rules -> queues -> table -> control socket -> workers -> kernel rules -> ready.
 * Stop: the same backwards. Shared with the workers is `workplace` alone.
 */
#ifndef SALLYPORT_DAEMON_DAEMON_H
#define SALLYPORT_DAEMON_DAEMON_H

#include "sallyport/core/parse.h"
#include "sallyport/daemon/kernel_counts.h"
#include "sallyport/daemon/log.h"
#include "sallyport/daemon/options.h"
#include "sallyport/daemon/services.h"
#include "sallyport/daemon/worker.h"

struct control;
struct loop;

struct last_reload {
	bool happened, ok;
	uint64_t time; /* Unix seconds */
	char *message; /* why it was refused; NULL: it was not */
};

struct daemon {
	const struct options *options;
	struct log log;
	uint32_t started; /* clock_seconds */
	bool installed;   /* our table stands in the kernel */
	bool keep_rules;  /* stopped to be started again: the guard judges until then */
	struct workplace workplace;
	struct worker *workers[MAX_QUEUES];
	size_t worker_count;
	struct install *install;
	struct links *links; /* of the main thread */
	struct services *services;
	struct loop *loop;
	struct control *control;
	struct last_reload last_reload;
};

/* Everything but the options: start, run until told to stop, stop. Returns the exit
 * status. */
int daemon_run(const struct options *options);
/* --check */
int daemon_check(const struct options *options);

/* The version in force; valid until the next reload, for the main thread alone. */
struct policy_version *daemon_policy(const struct daemon *daemon);
/* Adds up over the workers. */
struct worker_figures daemon_figures(const struct daemon *daemon);
/* sd_notify(3) READY=1 with one line of status. */
void daemon_notify_ready(const struct daemon *daemon);

/* adopt.c: enters the TCP connections that the host's sockets have open and the rules
 * allow. Returns how many. */
size_t daemon_adopt_sockets(struct daemon *daemon);

#endif
