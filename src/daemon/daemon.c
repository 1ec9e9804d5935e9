/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Start, run, stop.
 */
#include "sallyport/daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "sallyport/daemon/adopt.h"
#include "sallyport/daemon/busy_watch.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/control.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/cut.h"
#include "sallyport/daemon/forwarding_watch.h"
#include "sallyport/daemon/lease_watch.h"
#include "sallyport/daemon/loop.h"
#include "sallyport/daemon/reload.h"
#include "sallyport/daemon/restore.h"
#include "sallyport/daemon/sandbox.h"
#include "sallyport/kernel/copies.h"
#include "sallyport/kernel/sockets.h"
#include "sallyport/kernel/translation.h"

struct policy_version *daemon_policy(const struct daemon *daemon) {
	return daemon->workplace.policy.current;
}

struct worker_figures daemon_figures(const struct daemon *daemon) {
	struct worker_figures figures = {0};

	for (size_t i = 0; i < daemon->worker_count; i++)
		worker_add_figures(daemon->workers[i], &figures);
	return figures;
}

void daemon_notify_alive(const struct daemon *daemon) {
	sd_notify(0, "EXTEND_TIMEOUT_USEC=60000000");
	if (daemon->loop)
		loop_stay_alive(daemon->loop);
}

void daemon_notify_ready(const struct daemon *daemon) {
	const struct ruleset *ruleset = daemon_policy(daemon)->ruleset;
	const struct last_reload *last = &daemon->last_reload;

	sd_notifyf(0, "READY=1\nSTATUS=%zu rules, generation %" PRIu32 ", dispatch %s%s%s",
		   ruleset_written_rules(ruleset), ruleset->generation,
		   dispatch_name(install_dispatch(daemon->install)),
		   last->message ? "; last reload refused: " : "", last->message ? last->message : "");
}

/* ---- start ---- */

static bool load_rules(struct daemon *daemon, struct error *err) {
	struct policy_version *version;
	struct ruleset *ruleset;
	struct error why;
	char *text;

	ruleset = rules_load(daemon->options->rules_file, NULL, &text, &why);
	if (!ruleset)
		log_write(&daemon->log, LOG_FAILED, NULL, "not started: %s\n%s", why.text, text);
	else if (*text)
		log_write(&daemon->log, LOG_PROBLEM, NULL, "the rules file has warnings:\n%s", text);
	free(text);
	if (!ruleset)
		return error_set(err, "%s", ""); /* said already, in more than a line */
	version = policy_new(ruleset, 1);
	if (!version) {
		ruleset_free(ruleset);
		return error_set(err, "out of memory for the rules");
	}
	policy_slot_init(&daemon->workplace.policy, version);
	return true;
}

static bool open_kernel(struct daemon *daemon, struct error *err) {
	const struct options *options = daemon->options;
	struct workplace *place = &daemon->workplace;

	place->marks = marks_of(daemon_policy(daemon)->ruleset->settings.mark_mask);
	place->links_watch = links_watch_open(err);
	if (!place->links_watch)
		return false;
	daemon->links = links_new(place->links_watch);
	if (!daemon->links)
		return error_set(err, "out of memory");
	place->packet_log = packet_log_open(&daemon->log, daemon->links, err);
	if (!place->packet_log)
		return false;
	daemon->sockets = socket_finder_open(err);
	if (!daemon->sockets)
		return false;
	daemon->translations = translations_open(err);
	if (!daemon->translations)
		return false;
	daemon->install =
	    install_open(options->queue_first, options->queue_last, copies_group(options->queue_first), err);
	if (!daemon->install)
		return false;
	forwarding_watch_start(daemon);
	return true;
}

/* What is known of connections that are open: what was saved at the last stop, what conntrack translates, the
 * host's sockets, the leases that an earlier daemon has left in the kernel. */
static void take_up_connections(struct daemon *daemon) {
	daemon_restore_connections(daemon);
	daemon_adopt_translated(daemon);
	daemon_report_unseen(daemon);
}

static bool make_table(struct daemon *daemon, struct error *err) {
	uint32_t connections = daemon_policy(daemon)->ruleset->settings.connections;
	struct hash_secret secret;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
		return error_set(err, "cannot get random bytes: %s", strerror(errno));
	daemon->workplace.filter.table = table_new(connections, &secret);
	explicit_bzero(&secret, sizeof(secret));
	if (!daemon->workplace.filter.table)
		return error_set(err,
				 "no memory for a table of %" PRIu32
				 " connections: %s; see `connections` in sallyport.rules(5)",
				 connections, strerror(errno));
	daemon->services = services_load();
	if (!daemon->services)
		return error_set(err, "out of memory");
	take_up_connections(daemon);
	return true;
}

static bool make_workers(struct daemon *daemon, struct error *err) {
	const struct options *options = daemon->options;

	for (unsigned number = options->queue_first; number <= options->queue_last; number++) {
		struct worker *worker = worker_new((uint16_t)number, &daemon->workplace, err);

		if (!worker)
			return false;
		daemon->workers[daemon->worker_count++] = worker;
	}
	daemon->copier = copier_new(copies_group(options->queue_first), &daemon->workplace, err);
	return daemon->copier != NULL;
}

static bool start_workers(struct daemon *daemon, struct error *err) {
	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (!worker_start(daemon->workers[i], err))
			return false;
	}
	return copier_start(daemon->copier, err);
}

static bool open_sockets(struct daemon *daemon, struct error *err) {
	daemon->loop = loop_new(daemon, err);
	if (!daemon->loop)
		return false;
	daemon->control = control_open(daemon, loop_event(daemon->loop), err);
	return daemon->control != NULL;
}

/* Everything is open that takes more than CAP_NET_ADMIN; threads inherit what is left. */
static bool give_up_privileges(struct daemon *daemon, struct error *err) {
	struct sandbox sandbox = {
	    .state_directory = daemon->options->state_directory,
	    .socket_path = daemon->options->socket_path,
	};

	if (!sandbox_enter(&sandbox, err))
		return false;
	if (!sandbox.paths_are_confined)
		log_write(&daemon->log, LOG_STARTING, NULL,
			  "the daemon does not confine its own paths: no Landlock in this kernel");
	if (!sandbox.calls_are_filtered)
		log_write(
		    &daemon->log, LOG_STARTING, NULL,
		    "the daemon does not restrict its own system calls: no seccomp in this kernel, or a "
		    "build with a sanitizer");
	return true;
}

/* Last of all: the first packet that it sends here finds everything ready. */
static bool put_rules_in_kernel(struct daemon *daemon, struct error *err) {
	log_write(&daemon->log, LOG_STARTING, NULL, "sallyportd %s starts with %s", SALLYPORT_VERSION,
		  daemon->options->rules_file);
	daemon->installed = daemon_install(daemon, err);
	if (!daemon->installed)
		return false;
	busy_watch_forget_closed(daemon); /* not behind yet: it leaves the look to what follows */
	busy_watch_start(daemon);
	/* Once more, for what was opened in between. */
	daemon_report_unseen(daemon);
	return true;
}

static bool start(struct daemon *daemon, struct error *err) {
	return load_rules(daemon, err) && control_is_free(daemon->options->socket_path, err) &&
	       open_kernel(daemon, err) && make_table(daemon, err) && make_workers(daemon, err) &&
	       open_sockets(daemon, err) && give_up_privileges(daemon, err) && start_workers(daemon, err) &&
	       put_rules_in_kernel(daemon, err);
}

/* ---- stop ---- */

static void remove_rules(struct daemon *daemon) {
	struct error err;

	if (daemon->installed && !install_remove(daemon->install, &err))
		log_write(&daemon->log, LOG_FAILED, NULL, "the kernel's rules are still there: %s", err.text);
	daemon->installed = false;
}

/* Frees whatever `start` got as far as. */
static void tear_down(struct daemon *daemon) {
	struct workplace *place = &daemon->workplace;

	for (size_t i = 0; i < daemon->worker_count; i++)
		worker_ask_to_stop(daemon->workers[i]);
	for (size_t i = 0; i < daemon->worker_count; i++)
		worker_free(daemon->workers[i]);
	copier_free(daemon->copier);
	daemon_save_connections(daemon);
	control_close(daemon->control);
	loop_free(daemon->loop);
	packet_log_close(place->packet_log);
	install_close(daemon->install);
	socket_finder_close(daemon->sockets);
	translations_close(daemon->translations);
	links_free(daemon->links);
	links_watch_close(place->links_watch);
	services_free(daemon->services);
	if (place->filter.table)
		table_free(place->filter.table);
	if (place->policy.current)
		policy_slot_clear(&place->policy);
	free(daemon->last_reload.message);
}

/* ---- run ---- */

static void block_signals(void) {
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static uint32_t waiting_packets(const struct daemon *daemon) {
	struct queue_figures figures;
	uint32_t waiting = 0;

	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (queue_figures(worker_queue_number(daemon->workers[i]), &figures))
			waiting += figures.waiting;
	}
	return waiting;
}

/* What waits in a queue is dropped when the queue is closed. So from now on the guard judges, and what waits
 * is answered first; a tenth of a second is time enough for a full queue. */
static void hand_over(struct daemon *daemon) {
	static const struct timespec step = {.tv_nsec = 1000000};
	struct error err;

	if (!install_detach(daemon->install, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "packets that wait are dropped: %s", err.text);
	for (unsigned i = 0; i < 100 && waiting_packets(daemon) > 0; i++)
		nanosleep(&step, NULL);
	daemon_settle_workers(daemon);
}

static int run(struct daemon *daemon) {
	const struct ruleset *ruleset = daemon_policy(daemon)->ruleset;
	int status;

	daemon_notify_ready(daemon);
	log_write(&daemon->log, LOG_READY, NULL,
		  "ready: %zu rules, queues %u-%u, dispatch %s, control socket %s",
		  ruleset_written_rules(ruleset), daemon->options->queue_first, daemon->options->queue_last,
		  dispatch_name(install_dispatch(daemon->install)), daemon->options->socket_path);
	status = loop_run(daemon->loop);
	sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
	if (status == EXIT_SUCCESS && daemon->keep_rules)
		hand_over(daemon);
	/* Told to stop: the rules go. Cannot go on, or soon again: they stay, and the guard judges by them.
	 */
	if (status == EXIT_SUCCESS && !daemon->keep_rules)
		remove_rules(daemon);
	return status;
}

int daemon_run(const struct options *options) {
	struct daemon daemon = {.options = options, .log = log_open(options->foreground)};
	int status = EXIT_FAILURE;
	struct error err;

	block_signals();
	daemon.started = clock_seconds();
	if (start(&daemon, &err)) {
		status = run(&daemon);
	} else {
		if (*err.text)
			log_write(&daemon.log, LOG_FAILED, NULL, "%s", err.text);
		remove_rules(&daemon);
	}
	tear_down(&daemon);
	if (status == EXIT_SUCCESS)
		log_write(&daemon.log, LOG_STOPPED, NULL, "stopped, the kernel's rules %s",
			  daemon.keep_rules ? "stay for the next start" : "are removed");
	return status;
}

int daemon_check(const struct options *options) {
	struct error err;
	char *text;
	struct ruleset *ruleset = rules_load(options->rules_file, NULL, &text, &err);

	if (*text)
		fprintf(stderr, "%s\n", text);
	if (ruleset)
		printf("%s: %zu rules, no errors\n", options->rules_file, ruleset_written_rules(ruleset));
	else
		fprintf(stderr, "sallyportd: %s\n", err.text);
	free(text);
	ruleset_free(ruleset);
	return ruleset ? EXIT_SUCCESS : EXIT_FAILURE;
}

int daemon_remove(const struct options *options) {
	struct error err;
	struct install *install = control_is_free(options->socket_path, &err)
				      ? install_open(options->queue_first, options->queue_last,
						     copies_group(options->queue_first), &err)
				      : NULL;
	bool removed = install && install_remove(install, &err);

	install_close(install);
	if (removed)
		puts("no rules of sallyport are in the kernel any more: nothing is filtered until it starts");
	else
		fprintf(stderr, "sallyportd: %s\n", err.text);
	return removed ? EXIT_SUCCESS : EXIT_FAILURE;
}
