/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The main thread's event loop.
 */
#include "sallyport/daemon/loop.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/control.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/forwarding_watch.h"
#include "sallyport/daemon/guard_watch.h"
#include "sallyport/daemon/lease_watch.h"
#include "sallyport/daemon/reload.h"
#include "sallyport/kernel/sockets.h"

enum {
	TICK_US = 1000 * 1000,
	FOLLOW_US = 300 * 1000,
	EXPIRE_BUDGET = 16384, /* entries a turn of the loop: a few milliseconds */
};

struct loop {
	struct daemon *daemon;
	sd_event *event;
	sd_event_source *tick, *expire, *watchdog, *follow;
	uint64_t watchdog_us; /* 0: there is none */
	uint64_t fed;         /* microseconds of the monotonic clock */
	struct guard_watch guard;
	uint64_t turns[MAX_QUEUES]; /* of the workers, when the watchdog was last fed */
	uint64_t unsent;            /* batches, reported so far */
};

/* ---- signals ---- */

static int stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)info;
	return sd_event_exit(loop->event, 0);
}

/* systemd restarts with it (RestartKillSignal of the unit). */
static int stop_for_restart(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)info;
	loop->daemon->keep_rules = true;
	return sd_event_exit(loop->event, 0);
}

static int reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context) {
	struct loop *loop = context;
	struct reload_report report;

	(void)source;
	(void)info;
	daemon_reload(loop->daemon, &report);
	reload_report_free(&report);
	return 0;
}

/* ---- timers ---- */

/* A connection that has run out, but may stand all the same: of this host's own the socket knows. A RST that
 * came for somebody behind it may be forged, so that one gets the time of a half-closed connection to prove
 * that it lives. */
static int keep_standing(const struct key *key, struct connection *connection, void *context) {
	struct daemon *daemon = context;
	enum tcp_state state;

	if (connection->flags & CONNECTION_FORWARDED || key->protocol != PROTOCOL_TCP)
		return connection->state == TCP_CLOSED ? (int)TCP_CLOSE_WAIT : (int)LET_GO;
	if (socket_find(daemon->sockets, key, (enum direction)connection->direction, &state) != SOCKET_OPEN)
		return LET_GO;
	return connection->state == STATE_CUT ? (int)STATE_CUT : (int)state;
}

/* A slice of expiry; comes back until the table is through. */
static int expire(sd_event_source *source, void *context) {
	struct loop *loop = context;
	struct daemon *daemon = loop->daemon;
	struct expiry expiry = {
	    .timeouts = &daemon_policy(daemon)->ruleset->settings.timeouts,
	    .keep = keep_standing,
	    .context = daemon,
	};

	if (!table_expire(daemon->workplace.filter.table, &expiry, clock_seconds(), EXPIRE_BUDGET))
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void give_up(struct loop *loop, const char *why) {
	log_write(&loop->daemon->log, LOG_FAILED, NULL, "cannot go on, the kernel's rules stay: %s", why);
	sd_event_exit(loop->event, EXIT_FAILURE);
}

/* What the daemon cannot do without may be taken from it: it ends, and is started again. */
static void check_means(struct loop *loop) {
	struct daemon *daemon = loop->daemon;
	struct worker_figures figures = daemon_figures(daemon);
	struct error err;

	if (figures.unsent != loop->unsent)
		log_write(&daemon->log, LOG_PROBLEM, NULL,
			  "the kernel did not take %" PRIu64 " batches of verdicts",
			  figures.unsent - loop->unsent);
	loop->unsent = figures.unsent;
	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (worker_has_failed(daemon->workers[i], &err))
			give_up(loop, err.text);
	}
	if (copier_has_failed(daemon->copier, &err))
		give_up(loop, err.text);
	if (install_is_lost(daemon->install))
		give_up(loop, "a socket to nftables was closed");
}

static int again(sd_event_source *source, uint64_t interval) {
	int code = sd_event_source_set_time_relative(source, interval);

	return code < 0 ? code : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int tick(sd_event_source *source, uint64_t time, void *context) {
	struct loop *loop = context;

	(void)time;
	check_means(loop);
	guard_watch_tick(&loop->guard, loop->daemon);
	lease_watch_tick(loop->daemon);
	packet_log_tick(loop->daemon->workplace.packet_log);
	control_tick(loop->daemon->control);
	sd_event_source_set_enabled(loop->expire, SD_EVENT_ONESHOT);
	return again(source, TICK_US);
}

static int follow_sockets(sd_event_source *source, uint64_t time, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)time;
	daemon_follow_sockets(loop->daemon);
	return 0;
}

void loop_follow_sockets(struct loop *loop) {
	again(loop->follow, FOLLOW_US);
}

/* Fed only while every worker moves, so that systemd notices one that hangs. */
static void feed_watchdog(struct loop *loop) {
	bool moves = true;

	loop->fed = clock_microseconds();
	for (size_t i = 0; i < loop->daemon->worker_count; i++) {
		uint64_t turn = worker_turn(loop->daemon->workers[i]);

		moves = moves && turn != loop->turns[i];
		loop->turns[i] = turn;
	}
	if (moves)
		sd_notify(0, "WATCHDOG=1");
}

static int watchdog_is_due(sd_event_source *source, uint64_t time, void *context) {
	struct loop *loop = context;

	(void)time;
	feed_watchdog(loop);
	return again(source, loop->watchdog_us);
}

void loop_stay_alive(struct loop *loop) {
	if (loop->watchdog_us > 0 && clock_microseconds() - loop->fed >= loop->watchdog_us)
		feed_watchdog(loop);
}

/* ---- what the kernel tells ---- */

static int see_nftables(sd_event_source *source, int fd, uint32_t events, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)fd;
	(void)events;
	guard_watch_event(&loop->guard, loop->daemon);
	return 0;
}

static int see_links(sd_event_source *source, int fd, uint32_t events, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)fd;
	(void)events;
	links_watch_drain(loop->daemon->workplace.links_watch);
	forwarding_watch_event(loop->daemon);
	return 0;
}

static int see_packet_log(sd_event_source *source, int fd, uint32_t events, void *context) {
	struct loop *loop = context;

	(void)source;
	(void)fd;
	(void)events;
	packet_log_drain(loop->daemon->workplace.packet_log);
	return 0;
}

/* ---- setting up ---- */

static int add_io(struct loop *loop, int fd, sd_event_io_handler_t handler) {
	return sd_event_add_io(loop->event, NULL, fd, EPOLLIN, handler, loop);
}

static int add_timer(struct loop *loop, sd_event_source **source, uint64_t interval,
		     sd_event_time_handler_t handler) {
	int code =
	    sd_event_add_time_relative(loop->event, source, CLOCK_MONOTONIC, interval, 0, handler, loop);

	return code < 0 ? code : sd_event_source_set_priority(*source, PRIORITY_URGENT);
}

static int add_watchdog(struct loop *loop) {
	uint64_t period;
	int code = sd_watchdog_enabled(0, &period);

	if (code <= 0)
		return code;
	loop->watchdog_us = period / 2;
	return add_timer(loop, &loop->watchdog, loop->watchdog_us, watchdog_is_due);
}

static int add_signal(struct loop *loop, int number, sd_event_signal_handler_t handler) {
	sd_event_source *source;
	int code = sd_event_add_signal(loop->event, &source, number, handler, loop);

	if (code < 0)
		return code;
	sd_event_source_set_floating(source, true);
	code = sd_event_source_set_priority(source, PRIORITY_URGENT);
	sd_event_source_unref(source);
	return code;
}

static int add_sources(struct loop *loop) {
	struct workplace *place = &loop->daemon->workplace;
	int code = sd_event_new(&loop->event);

	if (code >= 0)
		code = add_signal(loop, SIGTERM, stop);
	if (code >= 0)
		code = add_signal(loop, SIGINT, stop);
	if (code >= 0)
		code = add_signal(loop, SIGUSR1, stop_for_restart);
	if (code >= 0)
		code = add_signal(loop, SIGHUP, reload);
	if (code >= 0)
		code = add_timer(loop, &loop->tick, TICK_US, tick);
	if (code >= 0)
		code = add_timer(loop, &loop->follow, FOLLOW_US, follow_sockets);
	if (code >= 0)
		code = add_watchdog(loop);
	if (code >= 0)
		code = sd_event_add_defer(loop->event, &loop->expire, expire, loop);
	if (code >= 0)
		code = add_io(loop, install_watch_fd(loop->daemon->install), see_nftables);
	if (code >= 0)
		code = add_io(loop, links_watch_fd(place->links_watch), see_links);
	if (code >= 0)
		code = add_io(loop, packet_log_fd(place->packet_log), see_packet_log);
	return code;
}

struct loop *loop_new(struct daemon *daemon, struct error *err) {
	struct loop *loop = calloc(1, sizeof(*loop));
	int code;

	if (!loop) {
		error_set(err, "out of memory");
		return NULL;
	}
	loop->daemon = daemon;
	code = add_sources(loop);
	if (code < 0) {
		error_set(err, "cannot set up the event loop: %s", strerror(-code));
		loop_free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop *loop) {
	if (!loop)
		return;
	sd_event_source_unref(loop->tick);
	sd_event_source_unref(loop->expire);
	sd_event_source_unref(loop->watchdog);
	sd_event_source_unref(loop->follow);
	sd_event_unref(loop->event);
	free(loop);
}

sd_event *loop_event(const struct loop *loop) {
	return loop->event;
}

int loop_run(struct loop *loop) {
	int code = sd_event_loop(loop->event);

	if (code >= 0)
		return code;
	log_write(&loop->daemon->log, LOG_FAILED, NULL, "the event loop failed, the kernel's rules stay: %s",
		  strerror(-code));
	return EXIT_FAILURE;
}

uint64_t loop_guard_packets(const struct loop *loop) {
	return loop->guard.total;
}
