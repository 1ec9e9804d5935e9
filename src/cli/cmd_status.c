/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * status: one block that says whether all is well.
 */
#include <time.h>

#include "ask.h"

static void label(struct output *out, const char *name) {
	fprintf(out->stream, "%s%11s:%s ", style_begin(out, STYLE_BOLD), name, style_end(out));
}

static void show_head(struct output *out, const json_t *status) {
	char up[AGE_TEXT];
	fputs(style_begin(out, STYLE_GOOD), out->stream);
	fputs("sallyportd ", out->stream);
	put_text(out->stream, member_text(status, "version"));
	fprintf(out->stream, "%s, pid %llu, up %s\n", style_end(out),
		(unsigned long long)member_number(status, "pid"),
		age_print_long(member_number(status, "uptime"), up));
}

/* " since 2024-05-01 12:00:00"; the time of this host's zone. */
static void show_time(struct output *out, uint64_t seconds) {
	time_t when = (time_t)seconds;
	struct tm parts;
	char text[64];
	if (localtime_r(&when, &parts) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts))
		fputs(text, out->stream);
}

static void show_rules(struct output *out, const json_t *status) {
	char rules[NUMBER_TEXT];
	uint64_t count = member_number(status, "rules");
	label(out, "Rules");
	put_text(out->stream, member_text(status, "rules_file"));
	fprintf(out->stream, "\n%13s%s rule%s and %llu essentials, loaded ", "", number_print(count, rules),
		plural(count), (unsigned long long)member_number(status, "essentials"));
	show_time(out, member_number(status, "loaded"));
	fprintf(out->stream, " (generation %llu)\n", (unsigned long long)member_number(status, "generation"));
}

static void show_defaults(struct output *out, const json_t *status) {
	const json_t *defaults = json_object_get(status, "defaults");
	label(out, "Defaults");
	fputs("in ", out->stream);
	put_text(out->stream, member_text(defaults, "in"));
	fputs(", out ", out->stream);
	put_text(out->stream, member_text(defaults, "out"));
	fputc('\n', out->stream);
}

static void show_reload(struct output *out, const json_t *status) {
	const json_t *reload = json_object_get(status, "last_reload");
	label(out, "Last reload");
	if (!json_is_object(reload)) {
		fputs("none since the start\n", out->stream);
		return;
	}
	bool good = json_is_true(json_object_get(reload, "ok"));
	fputs(style_begin(out, good ? STYLE_GOOD : STYLE_BAD), out->stream);
	fputs(good ? "ok" : "refused, the rules before it stay", out->stream);
	fprintf(out->stream, "%s, ", style_end(out));
	show_time(out, member_number(reload, "time"));
	fputc('\n', out->stream);
	const char *message = member_text(reload, "message");
	if (*message) {
		fprintf(out->stream, "%13s", "");
		put_text(out->stream, message);
		fputc('\n', out->stream);
	}
}

static void show_connections(struct output *out, const json_t *status) {
	const json_t *connections = json_object_get(status, "connections");
	char count[NUMBER_TEXT], max[NUMBER_TEXT], half_open[NUMBER_TEXT];
	label(out, "Connections");
	fprintf(out->stream, "%s of at most %s, %s half-open\n",
		number_print(member_number(connections, "count"), count),
		number_print(member_number(connections, "max"), max),
		number_print(member_number(connections, "half_open"), half_open));
}

static void show_queue(struct output *out, const json_t *queue) {
	char packets[NUMBER_TEXT], waiting[NUMBER_TEXT], dropped[NUMBER_TEXT];
	uint64_t lost = member_number(queue, "dropped") + member_number(queue, "user_dropped");
	label(out, "Queue");
	fprintf(out->stream, "%llu (%s packets, %s waiting, %s%s lost%s)\n",
		(unsigned long long)member_number(queue, "number"),
		number_print(member_number(queue, "packets"), packets),
		number_print(member_number(queue, "waiting"), waiting),
		lost ? style_begin(out, STYLE_BAD) : "", number_print(lost, dropped),
		lost ? style_end(out) : "");
}

static void show_kernel(struct output *out, const json_t *status) {
	const json_t *queues = json_object_get(status, "queues");
	char guard[NUMBER_TEXT];
	label(out, "Dispatch");
	put_text(out->stream, member_text(status, "dispatch"));
	fprintf(out->stream, ", for a host that %s\n",
		json_is_true(json_object_get(status, "forwards")) ? "forwards" : "does not forward");
	for (size_t i = 0; i < json_array_size(queues); i++)
		show_queue(out, json_array_get(queues, i));
	label(out, "Guard");
	fprintf(out->stream, "%s packets judged by the static rules, the daemon not answering\n",
		number_print(member_number(json_object_get(status, "guard"), "packets"), guard));
}

static void show_busy(struct output *out, const json_t *status) {
	const json_t *busy = json_object_get(status, "busy");
	char admitted[NUMBER_TEXT];
	label(out, "Busy");
	fprintf(out->stream, "%s, %s connections admitted by the kernel alone\n",
		json_is_true(json_object_get(busy, "now")) ? "yes" : "no",
		number_print(member_number(busy, "admitted"), admitted));
}

static bool status_row(struct output *out, void *state, const struct record *record, struct error *err) {
	const json_t *status = record->object;
	(void)state;
	(void)err;
	show_head(out, status);
	show_rules(out, status);
	show_defaults(out, status);
	show_reload(out, status);
	show_connections(out, status);
	show_kernel(out, status);
	show_busy(out, status);
	return true;
}

static const struct view status_text = {.row = status_row};

int cmd_status(struct cli *cli) {
	return ask(cli, (struct request){.object = request_new("status")},
		   cli->out.json ? &json_rows : &status_text);
}
