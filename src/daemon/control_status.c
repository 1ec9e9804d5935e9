/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `status`, `stats` and `reload`.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sallyport/daemon/answer.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/loop.h"
#include "sallyport/daemon/reload.h"
#include "sallyport/daemon/request.h"

/* ---- status ---- */

static json_t *queue_answer(const struct worker *worker) {
	struct queue_figures figures = {0};

	queue_figures(worker_queue_number(worker), &figures);
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "number", worker_queue_number(worker), "packets",
			 answer_count(figures.total), "waiting", answer_count(figures.waiting), "dropped",
			 answer_count(figures.dropped), "user_dropped", answer_count(figures.user_dropped));
}

static json_t *queues_answer(const struct daemon *daemon) {
	json_t *queues = json_array();

	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (json_array_append_new(queues, queue_answer(daemon->workers[i])) < 0) {
			json_decref(queues);
			return NULL;
		}
	}
	return queues;
}

static json_t *usage_answer(const struct daemon *daemon) {
	struct table_usage usage = table_usage(daemon->workplace.filter.table);

	return json_pack("{s:o, s:o, s:o}", "count", answer_count(usage.count), "half_open",
			 answer_count(usage.half_open), "max", answer_count(usage.max));
}

static json_t *defaults_answer(const struct ruleset *ruleset) {
	return json_pack("{s:s, s:s}", "in", action_name(ruleset->defaults[DIRECTION_IN]), "out",
			 action_name(ruleset->defaults[DIRECTION_OUT]));
}

static json_t *last_reload_answer(const struct last_reload *last) {
	if (!last->happened)
		return json_null();
	return json_pack("{s:b, s:o, s:o}", "ok", last->ok, "time", answer_count(last->time), "message",
			 answer_text(last->message ? last->message : ""));
}

void command_status(struct client *client, const json_t *request) {
	struct daemon *daemon = client_daemon(client);
	const struct policy_version *version = daemon_policy(daemon);
	const struct ruleset *ruleset = version->ruleset;
	size_t rules = ruleset_written_rules(ruleset);

	(void)request;
	client_send(client,
		    json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:{s:o}, "
			      "s:{s:b, s:o}, s:o}",
			      "version", SALLYPORT_VERSION, "pid", (int)getpid(), "uptime",
			      answer_count(clock_seconds() - daemon->started), "rules_file",
			      answer_text(daemon->options->rules_file), "rules", answer_count(rules),
			      "essentials", answer_count(ruleset->count - rules), "generation",
			      answer_count(ruleset->generation), "loaded", answer_count(version->loaded),
			      "dispatch", dispatch_name(install_dispatch(daemon->install)), "forwards",
			      install_forwards(daemon->install), "queues", queues_answer(daemon),
			      "connections", usage_answer(daemon), "defaults", defaults_answer(ruleset),
			      "guard", "packets", answer_count(loop_guard_packets(daemon->loop)), "busy",
			      "now", daemon->busy_watch.busy, "admitted",
			      answer_count(daemon->busy_watch.total), "last_reload",
			      last_reload_answer(&daemon->last_reload)));
	client_done(client, NULL);
}

/* ---- stats ---- */

static json_t *reasons_answer(const struct worker_figures *figures) {
	json_t *reasons = json_object();

	for (unsigned reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
		json_object_set_new(reasons, reason_name((enum reason)reason),
				    answer_count(figures->reasons[reason]));
	return reasons;
}

/* Those of single rules are in the answer to `rules`. */
static json_t *kernel_answer(const struct daemon *daemon) {
	json_t *counters = json_object();
	struct kernel_counts counts;
	struct error err;
	size_t rule;

	if (!kernel_counts_read(daemon->install, daemon_policy(daemon)->ruleset->count, &counts, &err))
		return counters;
	for (size_t i = 0; i < counts.count; i++) {
		if (!kernel_counter_rule(&counts.items[i], &rule))
			json_object_set_new(counters, counts.items[i].name,
					    answer_count(counts.items[i].packets));
	}
	kernel_counts_free(&counts);
	return counters;
}

static json_t *table_answer(const struct daemon *daemon) {
	struct table_counters counters = table_counters(daemon->workplace.filter.table);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "inserted", answer_count(counters.inserted),
			 "expired", answer_count(counters.expired), "removed", answer_count(counters.removed),
			 "evicted_half_open", answer_count(counters.evicted_half_open), "evicted_closing",
			 answer_count(counters.evicted_closing), "refused", answer_count(counters.refused));
}

static uint64_t milliseconds(const struct timeval *time) {
	return (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_usec / 1000;
}

static json_t *daemon_answer(const struct daemon *daemon, const struct worker_figures *figures) {
	uint64_t suppressed = packet_log_suppressed(daemon->workplace.packet_log);
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return json_pack("{s:o, s:o, s:o, s:o}", "packets", answer_count(figures->packets), "batches",
			 answer_count(figures->batches), "log_suppressed", answer_count(suppressed), "cpu_ms",
			 answer_count(milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime)));
}

/* How the kernel's leases and the table compare, and what copies have told. */
static json_t *leases_answer(const struct daemon *daemon) {
	const struct lease_figures *figures = &daemon->lease_watch.last;
	struct copier_figures copies = copier_figures(daemon->copier);
	json_t *age = figures->time ? answer_count(clock_seconds() - figures->time) : json_null();

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count",
			 answer_count(figures->leases), "idle", answer_count(figures->idle), "unknown",
			 answer_count(figures->unknown), "adopted", answer_count(figures->adopted), "revoked",
			 answer_count(figures->revoked), "ended", answer_count(figures->ended), "age", age,
			 "comparisons", answer_count(daemon->lease_watch.comparisons), "copies",
			 answer_count(copies.copies), "copies_lost", answer_count(copies.lost),
			 "copies_unknown", answer_count(copies.strangers));
}

void command_stats(struct client *client, const json_t *request) {
	struct daemon *daemon = client_daemon(client);
	struct worker_figures figures = daemon_figures(daemon);

	(void)request;
	client_send(client,
		    json_pack("{s:o, s:o, s:o, s:o, s:o}", "reasons", reasons_answer(&figures), "kernel",
			      kernel_answer(daemon), "table", table_answer(daemon), "leases",
			      leases_answer(daemon), "daemon", daemon_answer(daemon, &figures)));
	client_done(client, NULL);
}

/* ---- reload ---- */

void command_reload(struct client *client, const json_t *request) {
	struct reload_report report;

	(void)request;
	daemon_reload(client_daemon(client), &report);
	if (report.ok)
		client_done(client,
			    json_pack("{s:o, s:o, s:o, s:o}", "rules", answer_count(report.rules), "cut",
				      answer_count(report.cut), "generation", answer_count(report.generation),
				      "warnings", answer_text(report.diagnostics)));
	else
		client_send(client, json_pack("{s:o, s:o}", "error", answer_text(report.error.text),
					      "diagnostics", answer_text(report.diagnostics)));
	reload_report_free(&report);
}
