/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * check: reads a rules file as the daemon would, and tests what it expects. Needs no
 * daemon and no privilege.
 */
#include <stdlib.h>

#include "ask.h"
#include "sallyport/host/world.h"

static json_t *diagnostic_object(const struct diagnostic *item) {
	return json_pack("{s:s, s:o, s:i, s:i, s:i, s:o, s:o}", "severity",
			 item->severity == SEVERITY_ERROR ? "error" : "warning", "file",
			 json_text(item->file), "line", (int)item->line, "column", (int)item->column,
			 "length", (int)item->length, "message", json_text(item->message), "source",
			 json_text(item->source));
}

static json_t *diagnostic_rows(const struct diagnostics *diagnostics) {
	json_t *rows = json_array();
	for (size_t i = 0; i < diagnostics->count; i++)
		json_array_append_new(rows, diagnostic_object(&diagnostics->items[i]));
	return rows;
}

static json_t *count_ruleset(const struct ruleset *ruleset) {
	size_t rules = 0, members = 0;
	for (size_t i = 0; i < ruleset->count; i++)
		rules += !ruleset->rules[i].essential;
	for (size_t i = 0; i < ruleset->set_count; i++)
		members += ruleset->sets[i]->count;
	return json_pack("{s:I, s:I, s:I, s:I}", "rules", (json_int_t)rules, "sets",
			 (json_int_t)ruleset->set_count, "members", (json_int_t)members, "expectations",
			 (json_int_t)ruleset->expectation_count);
}

/* What the views show; "loaded" is null where the file is bad. */
static json_t *make_closing(const char *path, const struct ruleset *ruleset,
			    const struct diagnostics *diagnostics) {
	char *text = diagnostics_text(diagnostics);
	json_t *closing = json_pack("{s:o, s:o, s:I, s:I, s:o}", "file", json_text(path), "loaded",
				    ruleset ? count_ruleset(ruleset) : json_null(), "errors",
				    (json_int_t)diagnostics->errors, "warnings",
				    (json_int_t)diagnostics->warnings, "diagnostics", json_text(text));
	free(text);
	return closing;
}

static int check_status(struct output *out, void *state, const json_t *closing) {
	(void)out;
	(void)state;
	return json_is_object(json_object_get(closing, "loaded")) ? STATUS_DONE : STATUS_NO;
}

static void show_counts(struct output *out, const json_t *loaded) {
	uint64_t rules = member_number(loaded, "rules"), sets = member_number(loaded, "sets");
	uint64_t members = member_number(loaded, "members");
	uint64_t expectations = member_number(loaded, "expectations");
	char number[NUMBER_TEXT];
	fprintf(out->stream, ": %sok%s, %s rule%s", style_begin(out, STYLE_GOOD), style_end(out),
		number_print(rules, number), plural(rules));
	if (sets) {
		fprintf(out->stream, ", %s set%s", number_print(sets, number), plural(sets));
		fprintf(out->stream, " (%s member%s)", number_print(members, number), plural(members));
	}
	if (expectations)
		fprintf(out->stream, ", %s expectation%s hold%s", number_print(expectations, number),
			plural(expectations), expectations == 1 ? "s" : "");
	fputc('\n', out->stream);
}

/* Diagnostics where gcc has them, the verdict where a person looks last. */
static int check_done(struct output *out, void *state, const json_t *closing) {
	const json_t *loaded = json_object_get(closing, "loaded");
	uint64_t errors = member_number(closing, "errors");
	bool good = json_is_object(loaded);
	FILE *stream = good ? out->stream : out->errors;
	put_lines(out->errors, member_text(closing, "diagnostics"));
	put_text(stream, member_text(closing, "file"));
	if (good)
		show_counts(out, loaded);
	else
		fprintf(stream, ": bad, %llu error%s\n", (unsigned long long)errors, plural(errors));
	return check_status(out, state, closing);
}

static const struct view check_text = {.done = check_done};
static const struct view check_json = {.row = json_row, .done = check_status};

int cmd_check(struct cli *cli) {
	const char *path = cli->args.count ? cli->args.words[0] : DEFAULT_RULES_FILE;
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = ruleset_load(path, &host_world, &diagnostics);
	json_t *rows = cli->out.json ? diagnostic_rows(&diagnostics) : NULL;
	json_t *closing = make_closing(path, ruleset, &diagnostics);
	int status = show(cli, rows, closing, cli->out.json ? &check_json : &check_text);
	json_decref(rows);
	json_decref(closing);
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
	return status;
}
