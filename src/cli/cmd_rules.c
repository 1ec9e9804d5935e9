/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * rules: what is in force, in the order of evaluation, with what each has matched.
 */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "columns.h"

enum { NUMBER, PACKETS, CONNS, LAST, PLACE, TEXT, CELLS };

static const struct column specs[CELLS] = {
    [NUMBER] = {.title = "#", .right = true},
    [PACKETS] = {.title = "PACKETS", .right = true},
    [CONNS] = {.title = "CONNS", .right = true},
    [LAST] = {.title = "LAST", .right = true},
    [PLACE] = {.title = "PLACE"},
    [TEXT] = {.title = "RULE"},
};

enum group { GROUP_ESSENTIAL, GROUP_FILE, GROUP_DEFAULT };

struct rule_row {
	enum group group;
	uint64_t packets, connections, last;
	bool hit;
	char *place, *text;
};

struct rules {
	struct rule_row *rows;
	size_t count, room;
};

static bool make_room(struct rules *rules) {
	if (rules->count < rules->room)
		return true;
	size_t room = rules->room ? rules->room * 2 : 64;
	struct rule_row *rows = reallocarray(rules->rows, room, sizeof(*rows));
	if (!rows)
		return false;
	rules->rows = rows;
	rules->room = room;
	return true;
}

static char *place_of(const json_t *rule, enum group group) {
	if (group == GROUP_ESSENTIAL)
		return strdup("essential");
	if (group == GROUP_DEFAULT)
		return strdup("default");
	const char *file = member_text(rule, "file");
	const char *slash = strrchr(file, '/');
	char *text;
	if (asprintf(&text, "%s:%llu", slash ? slash + 1 : file,
		     (unsigned long long)member_number(rule, "line")) < 0)
		return NULL;
	return text;
}

static bool rules_row(struct output *out, void *state, const struct record *record, struct error *err) {
	struct rules *rules = state;
	const json_t *object = record->object;
	const json_t *rule = json_object_get(object, "rule");
	const json_t *last = json_object_get(object, "last_hit");
	(void)out;
	if (!rule || !json_is_string(json_object_get(object, "text")))
		return error_set(err, "the daemon sent a rule that this version cannot read; "
				      "are sallyport and sallyportd of one version?");
	struct rule_row row = {
	    .group = json_is_null(rule)                                   ? GROUP_DEFAULT
		     : json_is_true(json_object_get(object, "essential")) ? GROUP_ESSENTIAL
									  : GROUP_FILE,
	    .packets = member_number(object, "packets"),
	    .connections = member_number(object, "connections"),
	    .hit = json_is_integer(last),
	    .last = member_number(object, "last_hit"),
	};
	if (!make_room(rules))
		return error_set(err, "out of memory");
	row.place = place_of(rule, row.group);
	row.text = strdup(member_text(object, "text"));
	rules->rows[rules->count++] = row;
	return (row.place && row.text) || error_set(err, "out of memory");
}

struct row_text {
	char number[NUMBER_TEXT], packets[NUMBER_TEXT], connections[NUMBER_TEXT], last[AGE_TEXT];
	const char *cells[CELLS];
};

static void print_row(const struct rule_row *row, size_t number, struct row_text *text) {
	snprintf(text->number, sizeof(text->number), "%zu", number);
	number_print_short(row->packets, text->packets);
	number_print_short(row->connections, text->connections);
	age_print(row->last, text->last);
	text->cells[NUMBER] = row->group == GROUP_DEFAULT ? "" : text->number;
	text->cells[PACKETS] = text->packets;
	text->cells[CONNS] = text->connections;
	text->cells[LAST] = row->hit ? text->last : "-";
	text->cells[PLACE] = row->place;
	text->cells[TEXT] = row->text;
}

static int rules_done(struct output *out, void *state, const json_t *closing) {
	const struct rules *rules = state;
	struct columns columns;
	struct row_text text = {0};
	(void)closing;
	columns_init(&columns, specs, CELLS);
	for (size_t i = 0; i < rules->count; i++) {
		print_row(&rules->rows[i], i + 1, &text);
		columns_measure(&columns, text.cells);
	}
	columns_header(&columns, out);
	for (size_t i = 0; i < rules->count; i++) {
		bool dim = rules->rows[i].group == GROUP_ESSENTIAL;
		print_row(&rules->rows[i], i + 1, &text);
		fputs(dim ? style_begin(out, STYLE_DIM) : "", out->stream);
		columns_row(&columns, out->stream, text.cells);
		fputs(dim ? style_end(out) : "", out->stream);
	}
	return STATUS_DONE;
}

static void rules_release(void *state) {
	struct rules *rules = state;
	for (size_t i = 0; i < rules->count; i++) {
		free(rules->rows[i].place);
		free(rules->rows[i].text);
	}
	free(rules->rows);
}

static const struct view rules_text = {
    .state_size = sizeof(struct rules),
    .row = rules_row,
    .done = rules_done,
    .release = rules_release,
};

int cmd_rules(struct cli *cli) {
	return ask(cli, (struct request){.object = request_new("rules")},
		   cli->out.json ? &json_rows : &rules_text);
}
