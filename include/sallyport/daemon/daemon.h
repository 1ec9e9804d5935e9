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
struct copier;
struct loop;
struct socket_finder;
struct translations;

struct last_reload {
	bool happened, ok;
	uint64_t time; /* Unix seconds */
	char *message; /* why it was refused; NULL: it was not */
};

/* How the kernel's leases and the table compared, last time. */
struct lease_figures {
	uint64_t leases;  /* in the kernel */
	uint64_t idle;    /* connections whose lease has run out */
	uint64_t unknown; /* to the table: */
	uint64_t adopted; /* taken up by it, */
	uint64_t revoked; /* or not allowed */
	uint64_t ended;   /* connections of the table whose socket is gone, or in another state */
	uint32_t time;    /* clock_seconds; 0: never */
};

struct lease_watch {
	struct lease_figures last;
	uint64_t comparisons; /* since the start */
	uint64_t next;        /* microseconds of the monotonic clock */
	uint64_t lost;        /* copies, when last looked */
	bool took_up;         /* something, since the last look of lease_watch_tick */
	bool unreadable;
};

struct busy_watch {
	bool busy;
	uint32_t last_seen; /* that the kernel admitted one, clock_seconds; 0: never */
	uint64_t counter;   /* the kernel's, when last read */
	uint64_t admitted;  /* since it is busy, */
	uint64_t total;     /* in the life of this daemon */
	uint64_t next;      /* to catch up, microseconds of the monotonic clock */
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
	struct copier *copier;
	struct install *install;
	struct lease_watch lease_watch;
	struct busy_watch busy_watch;
	struct socket_finder *sockets;     /* of the main thread */
	struct translations *translations; /* likewise */
	struct links *links;               /* of the main thread */
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
/* --remove; refused while a daemon answers, which would put them back */
int daemon_remove(const struct options *options);

/* The version in force; valid until the next reload, for the main thread alone. */
struct policy_version *daemon_policy(const struct daemon *daemon);
/* Adds up over the workers. */
struct worker_figures daemon_figures(const struct daemon *daemon);
/* To the service manager: at work on something long, before READY=1 or after it. */
void daemon_notify_alive(const struct daemon *daemon);
/* sd_notify(3) READY=1 with one line of status. */
void daemon_notify_ready(const struct daemon *daemon);

#endif
