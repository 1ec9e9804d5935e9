/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A reload, step by step: load, kernel, policy, table.
 *
 * The kernel settles alone only what its ruleset settles alone, and asks us for the rest;
 * a worker judges a whole batch by one version. So with the kernel's half first and ours
 * after it every packet is judged by the old rules or by the new.
 */
#include "sallyport/daemon/reload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* Feeds the watchdog too: the main thread is busy for as long as the rules take. */
static void notify_reloading(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	sd_notifyf(0, "RELOADING=1\nWATCHDOG=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading the rules",
		   (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000);
}

static void carry_counters(struct daemon *daemon, struct policy_version *next,
			   const struct kernel_counts *kernel) {
	struct policy_version *now = daemon_policy(daemon);
	uint64_t *by_rule = kernel_counts_by_rule(kernel, now->ruleset->count);

	if (!policy_carry_counters(next, now, by_rule))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "out of memory: the rules count from 0 again");
	free(by_rule);
}

struct sweep {
	const struct policy *policy;
	struct links *links;
};

static bool still_allowed(struct connection *connection, void *context) {
	struct sweep *sweep = context;

	return filter_recheck(sweep->policy, connection, links_name(sweep->links, connection->interface));
}

static void settle_workers(struct daemon *daemon) {
	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (!worker_settle(daemon->workers[i]))
			log_write(&daemon->log, LOG_PROBLEM, NULL, "the worker of nfqueue %u does not move",
				  worker_queue_number(daemon->workers[i]));
	}
}

/* From here on nothing can fail. Returns how many connections were cut. */
static size_t put_in_force(struct daemon *daemon, struct policy_version *next) {
	struct sweep sweep = {.policy = &next->policy, .links = daemon->links};

	policy_slot_swap(&daemon->workplace.policy, next);
	settle_workers(daemon);
	return table_sweep(daemon->workplace.filter.table, still_allowed, &sweep);
}

static bool change_rules(struct daemon *daemon, struct ruleset *ruleset, struct reload_report *report) {
	const struct ruleset *running = daemon_policy(daemon)->ruleset;
	struct kernel_counts kernel = {0};
	struct policy_version *next = policy_new(ruleset, running->generation + 1);
	struct error uncounted;

	if (!next) {
		ruleset_free(ruleset);
		return error_set(&report->error, "out of memory for the new rules");
	}
	if (!kernel_counts_read(daemon->install, running->count, &kernel, &uncounted))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read the kernel's counters: %s",
			  uncounted.text);
	carry_counters(daemon, next, &kernel);
	kernel_counts_free(&kernel);
	if (!install_ruleset(daemon->install, ruleset, &report->error)) {
		policy_drop(next);
		return false;
	}
	daemon->installed = true;
	report->cut = put_in_force(daemon, next);
	return true;
}

static void remember(struct last_reload *last, const struct reload_report *report) {
	free(last->message);
	*last = (struct last_reload){
	    .happened = true,
	    .ok = report->ok,
	    .time = (uint64_t)time(NULL),
	    .message = report->ok ? NULL : strdup(report->error.text),
	};
}

static void log_report(const struct daemon *daemon, const struct reload_report *report) {
	const char *text = report->diagnostics;
	const char *newline = *text ? "\n" : "";

	if (report->ok)
		log_write(&daemon->log, LOG_RELOADED, NULL,
			  "reloaded %s: rules %zu, generation %" PRIu32 ", connections cut %zu%s%s",
			  daemon->options->rules_file, report->rules, report->generation, report->cut,
			  newline, text);
	else
		log_write(&daemon->log, LOG_RELOAD_REFUSED, NULL,
			  "reload refused, the old rules stay: %s%s%s", report->error.text, newline, text);
}

void daemon_reload(struct daemon *daemon, struct reload_report *report) {
	const struct settings *running = &daemon_policy(daemon)->ruleset->settings;
	struct ruleset *ruleset;

	*report = (struct reload_report){0};
	notify_reloading();
	ruleset = rules_load(daemon->options->rules_file, running, &report->diagnostics, &report->error);
	report->ok = ruleset && change_rules(daemon, ruleset, report);
	ruleset = daemon_policy(daemon)->ruleset;
	report->rules = ruleset_written_rules(ruleset);
	report->generation = ruleset->generation;
	remember(&daemon->last_reload, report);
	log_report(daemon, report);
	daemon_notify_ready(daemon);
}

void reload_report_free(struct reload_report *report) {
	free(report->diagnostics);
	report->diagnostics = NULL;
}
