/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * explain: what would happen to a connection, by which rule, and which rules came near.
 * Asks the daemon about the rules in force, or reads --rules FILE itself.
 */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"
#include "sallyport/host/world.h"

enum { NEAR_MAX = 16 };

static json_t *place_object(const struct place *place) {
	return json_pack("{s:o, s:I}", "file", json_text(place->file), "line", (json_int_t)place->line);
}

static json_t *rule_text(const struct rule *rule) {
	char *text = rule_print(rule);
	json_t *string = json_text(text);
	free(text);
	return string;
}

static json_t *near_objects(const struct ruleset *ruleset, const struct question *question,
			    const struct answer *answer) {
	struct near_miss misses[NEAR_MAX];
	size_t count = near_misses(ruleset, question, answer, misses, NEAR_MAX);
	json_t *near = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct rule *rule = misses[i].rule;
		json_array_append_new(near,
				      json_pack("{s:o, s:o, s:s, s:s}", "rule", place_object(&rule->place),
						"text", rule_text(rule), "verdict", action_name(rule->action),
						"but", condition_text(misses[i].condition)));
	}
	return near;
}

static json_t *default_text(const struct ruleset *ruleset, enum direction direction) {
	return json_sprintf("default %s %s", direction_name(direction),
			    action_name(ruleset->defaults[direction]));
}

static json_t *explanation(const struct ruleset *ruleset, const struct question *question,
			   const char *probe) {
	struct answer answer = eval(ruleset, question);
	const struct rule *rule = answer.rule;
	return json_pack("{s:o, s:s, s:o, s:o, s:o}", "probe", json_text(probe), "verdict",
			 action_name(answer.action), "rule", rule ? place_object(&rule->place) : json_null(),
			 "text", rule ? rule_text(rule) : default_text(ruleset, question->direction), "near",
			 near_objects(ruleset, question, &answer));
}

static bool same_file(const json_t *left, const json_t *right) {
	return !strcmp(member_text(left, "file"), member_text(right, "file"));
}

/* "line 12" says enough where all rules that are shown stand in one file. */
static bool one_file(const json_t *rule, const json_t *near) {
	for (size_t i = 0; i < json_array_size(near); i++) {
		const json_t *other = json_object_get(json_array_get(near, i), "rule");
		if (json_is_null(rule))
			rule = other;
		if (!same_file(rule, other))
			return false;
	}
	return true;
}

static void show_verdict(struct output *out, const json_t *object) {
	const json_t *rule = json_object_get(object, "rule");
	const char *verdict = member_text(object, "verdict");
	bool allows = !strcmp(verdict, "allow");
	fputs(style_begin(out, allows ? STYLE_GOOD : STYLE_BAD), out->stream);
	put_text(out->stream, verdict);
	fprintf(out->stream, "%s: ", style_end(out));
	if (json_is_object(rule)) {
		put_text(out->stream, member_text(rule, "file"));
		fprintf(out->stream, ":%llu: ", (unsigned long long)member_number(rule, "line"));
	} else {
		fputs("no rule matches: ", out->stream);
	}
	put_text(out->stream, member_text(object, "text"));
	fputc('\n', out->stream);
}

static void show_miss(struct output *out, const json_t *miss, bool by_line) {
	const json_t *rule = json_object_get(miss, "rule");
	fputs(by_line ? "  line " : "  ", out->stream);
	if (!by_line) {
		put_text(out->stream, member_text(rule, "file"));
		fputc(':', out->stream);
	}
	fprintf(out->stream, "%llu would ", (unsigned long long)member_number(rule, "line"));
	put_text(out->stream, member_text(miss, "verdict"));
	fputs(" it but for ", out->stream);
	put_text(out->stream, member_text(miss, "but"));
	fputs(": ", out->stream);
	put_text(out->stream, member_text(miss, "text"));
	fputc('\n', out->stream);
}

static bool explain_row(struct output *out, void *state, const struct record *record, struct error *err) {
	const json_t *near = json_object_get(record->object, "near");
	bool by_line = one_file(json_object_get(record->object, "rule"), near);
	(void)state;
	(void)err;
	show_verdict(out, record->object);
	for (size_t i = 0; i < json_array_size(near); i++)
		show_miss(out, json_array_get(near, i), by_line);
	return true;
}

static const struct view explain_text = {.row = explain_row};

static char *join_words(const struct arguments *args) {
	size_t size = 1;
	for (size_t i = 0; i < args->count; i++)
		size += strlen(args->words[i]) + 1;
	char *text = calloc(1, size);
	char *end = text;
	for (size_t i = 0; text && i < args->count; i++) {
		if (i)
			*end++ = ' ';
		end = stpcpy(end, args->words[i]);
	}
	return text;
}

static const struct view *explain_view(const struct cli *cli) {
	return cli->out.json ? &json_rows : &explain_text;
}

static int explain_by(struct cli *cli, const struct ruleset *ruleset, const char *probe) {
	struct question question;
	struct error err;
	if (!probe_parse(probe, ruleset, &host_world, &question, &err))
		return complain(cli, STATUS_USAGE, "%s", err.text);
	json_t *rows = json_pack("[o]", explanation(ruleset, &question, probe));
	int status = show(cli, rows, NULL, explain_view(cli));
	json_decref(rows);
	free((char *)question.interface);
	return status;
}

static int explain_file(struct cli *cli, const char *probe) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = ruleset_load(cli->args.rules, &host_world, &diagnostics);
	int status;
	if (ruleset) {
		status = explain_by(cli, ruleset, probe);
	} else {
		char *text = diagnostics_text(&diagnostics);
		put_lines(cli->out.errors, text ? text : "");
		free(text);
		status = complain(cli, STATUS_NO, "explain: the rules file is bad, so it decides nothing");
	}
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
	return status;
}

static bool any_service(void *context, const char *name, uint8_t protocol, uint16_t *port) {
	(void)context;
	(void)name;
	(void)protocol;
	*port = 0;
	return true;
}

/* A slip in the form of the probe is wrong usage; which services there are the daemon knows,
 * whose rules may have their own. */
static bool check_form(const char *probe, struct error *err) {
	struct world world = host_world;
	struct question question;
	world.service = any_service;
	if (!probe_parse(probe, NULL, &world, &question, err))
		return false;
	free((char *)question.interface);
	return true;
}

static int explain_running(struct cli *cli, const char *probe) {
	struct error err;
	if (!check_form(probe, &err))
		return complain(cli, STATUS_USAGE, "%s", err.text);
	json_t *object = json_pack("{s:s, s:s}", "command", "explain", "probe", probe);
	return ask(cli, (struct request){.object = object}, explain_view(cli));
}

int cmd_explain(struct cli *cli) {
	char *probe = join_words(&cli->args);
	if (!probe)
		return complain(cli, STATUS_NO, "out of memory");
	int status = cli->args.rules ? explain_file(cli, probe) : explain_running(cli, probe);
	free(probe);
	return status;
}
