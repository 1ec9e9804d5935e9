/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * stats: named counters in groups, each with a sentence. Zeros stay hidden without --all.
 */
#include <string.h>

#include "ask.h"
#include "sallyport/core/reason.h"

struct group {
	const char *title;
	enum reason first, last;
};

/* As enum reason is grouped. */
static const struct group groups[] = {
    {"Passed", PASS_RULE, PASS_RESET},
    {"Refused by policy", DROP_RULE, REJECT_DEFAULT},
    {"Refused by state", DROP_NO_CONNECTION, DROP_TABLE_FULL},
    {"Malformed", DROP_TRUNCATED, REASON_COUNT - 1},
};

struct meaning {
	const char *name, *text;
};

static const struct meaning kernel_meanings[] = {
    {"default_in", "inwards, to a port without a rule: the default"},
    {"default_out", "outwards, to a port without a rule: the default"},
    {"fragment_order", "IPv6 fragment headers where none may stand"},
    {"bogus_flags", "TCP flags that no TCP sends"},
    {"forwarded", "not for this host, let through"},
    {"busy_admitted", "inwards, host busy: the static rules allowed it"},
    {"busy_refused", "inwards, host busy: the static rules refused it"},
    {"guard_in_pass", "inwards, daemon silent: the static rules allowed it"},
    {"guard_in_drop", "inwards, daemon silent: the static rules dropped it"},
    {"guard_out_pass", "outwards, daemon silent: the static rules allowed it"},
    {"guard_out_drop", "outwards, daemon silent: the static rules dropped it"},
    {NULL, NULL},
};

static const struct meaning table_meanings[] = {
    {"inserted", "connections opened"},
    {"expired", "ran out of time"},
    {"removed", "replaced by another, or found to have ended"},
    {"evicted_half_open", "half-open, gave way because the table was full"},
    {"evicted_closing", "closing, gave way because the table was full"},
    {"refused", "not taken: the table was full of connections worth more"},
    {NULL, NULL},
};

static const struct meaning lease_meanings[] = {
    {"count", "leases in the kernel, when last compared with the table"},
    {"idle", "connections whose lease has run out; their next packet renews it"},
    {"unknown", "leases of connections that the table did not know:"},
    {"adopted", "  taken up by it, since the rules allow them"},
    {"revoked", "  taken back, since they do not"},
    {"ended", "connections whose socket had moved on, or was gone"},
    {"age", "seconds since that comparison"},
    {"comparisons", "since the daemon started"},
    {"copies", "packets that passed on a lease and were copied to the daemon"},
    {"copies_lost", "copies that were lost on the way"},
    {"copies_unknown", "copies of connections that the table did not know"},
    {NULL, NULL},
};

static const struct meaning daemon_meanings[] = {
    {"packets", "packets judged by the daemon"},
    {"batches", "batches that they came in"},
    {"log_suppressed", "log lines left out because there were too many"},
    {"cpu_ms", "milliseconds of CPU the daemon has used"},
    {NULL, NULL},
};

/* Prints a group's title before the first counter that is shown. */
struct section {
	struct output *out;
	const char *title;
	bool titled;
	bool *any; /* something was shown in the whole answer */
};

static void show_counter(struct section *section, const char *name, uint64_t count, const char *text) {
	FILE *stream = section->out->stream;
	char number[NUMBER_TEXT];
	if (!count && !section->out->everything)
		return;
	if (!section->titled)
		fprintf(stream, "%s%s%s%s\n", *section->any ? "\n" : "",
			style_begin(section->out, STYLE_BOLD), section->title, style_end(section->out));
	section->titled = *section->any = true;
	fprintf(stream, "  %11s  ", number_print(count, number));
	put_text(stream, name);
	int missing = 20 - (int)strlen(name);
	fprintf(stream, "%*s%s%s\n", text && missing > 0 ? missing : 0, "", text ? "  " : "",
		text ? text : "");
}

static void show_reasons(struct output *out, const json_t *reasons, bool *any) {
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct section section = {.out = out, .title = groups[i].title, .any = any};
		for (int reason = (int)groups[i].first; reason <= (int)groups[i].last; reason++) {
			const char *name = reason_name((enum reason)reason);
			show_counter(&section, name, member_number(reasons, name),
				     reason_text((enum reason)reason));
		}
	}
}

static const char *meaning_of(const struct meaning *meanings, const char *name) {
	for (; meanings->name; meanings++)
		if (!strcmp(meanings->name, name))
			return meanings->text;
	return NULL;
}

/* In the daemon's order; a name of a newer version is shown without a sentence. */
static void show_others(struct output *out, const char *title, json_t *counters,
			const struct meaning *meanings, bool *any) {
	struct section section = {.out = out, .title = title, .any = any};
	for (void *at = json_object_iter(counters); at; at = json_object_iter_next(counters, at)) {
		const char *name = json_object_iter_key(at);
		show_counter(&section, name, member_number(counters, name), meaning_of(meanings, name));
	}
}

static bool stats_row(struct output *out, void *state, const struct record *record, struct error *err) {
	const json_t *stats = record->object;
	bool any = false;
	(void)state;
	(void)err;
	show_reasons(out, json_object_get(stats, "reasons"), &any);
	show_others(out, "Settled in the kernel", json_object_get(stats, "kernel"), kernel_meanings, &any);
	show_others(out, "Connection table", json_object_get(stats, "table"), table_meanings, &any);
	show_others(out, "Leases", json_object_get(stats, "leases"), lease_meanings, &any);
	show_others(out, "Daemon", json_object_get(stats, "daemon"), daemon_meanings, &any);
	if (!any)
		fputs("Nothing counted yet; --all shows the zeros.\n", out->stream);
	return true;
}

static const struct view stats_text = {.row = stats_row};

int cmd_stats(struct cli *cli) {
	return ask(cli, (struct request){.object = request_new("stats")},
		   cli->out.json ? &json_rows : &stats_text);
}
