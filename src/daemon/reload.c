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

#include "sallyport/daemon/busy_watch.h"
#include "sallyport/daemon/cut.h"

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

/* From here on nothing can fail. Returns how many connections were cut. */
static size_t put_in_force(struct daemon *daemon, struct policy_version *next) {
	policy_slot_swap(&daemon->workplace.policy, next);
	daemon_settle_workers(daemon);
	busy_watch_forget_closed(daemon);
	return daemon_cut_forbidden(daemon, &next->policy);
}

/* The leases of what it forbids go with the same transaction. */
static bool install(struct daemon *daemon, const struct policy_version *next, struct error *err) {
	struct key_list cut = {0};
	struct revocation revocation;
	bool done;

	daemon_find_cuts(daemon, &next->policy, &cut);
	revocation = key_list_revocation(&cut);
	done = install_ruleset(daemon->install, next->ruleset, &revocation, err);
	key_list_free(&cut);
	return done;
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
	if (!install(daemon, next, &report->error)) {
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
	if (ruleset)
		busy_watch_catch_up_now(daemon);
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
