/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON -> compact row -> sorted table.
 */
#include "connections.h"

#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "sallyport/core/rule.h"

enum { PROTO, LOCAL, REMOTE, DIR, STATE, AGE, IDLE, RULE, CELLS };

static const struct column specs[CELLS] = {
    [PROTO] = {.title = "PROTO"},
    [LOCAL] = {.title = "LOCAL"},
    [REMOTE] = {.title = "REMOTE"},
    [DIR] = {.title = "DIR"},
    [STATE] = {.title = "STATE"},
    [AGE] = {.title = "AGE", .right = true},
    [IDLE] = {.title = "IDLE", .right = true},
    [RULE] = {.title = "RULE"},
};

/* Values of one JSON row, before they are checked. */
struct raw {
	const json_t *proto, *rule;
	const char *local, *remote, *direction, *state;
	json_int_t local_port, remote_port, age, idle;
	int learned;
};

static bool unpack(const json_t *object, struct raw *raw) {
	*raw = (struct raw){0};
	return !json_unpack((json_t *)object, "{s:o, s:s, s:I, s:s, s:I, s:s, s:s, s:I, s:I, s:o, s?b}",
			    "proto", &raw->proto, "local", &raw->local, "local_port", &raw->local_port,
			    "remote", &raw->remote, "remote_port", &raw->remote_port, "direction",
			    &raw->direction, "state", &raw->state, "age", &raw->age, "idle", &raw->idle,
			    "rule", &raw->rule, "learned", &raw->learned);
}

static bool read_port(json_int_t number, uint16_t *port) {
	*port = (uint16_t)number;
	return number >= 0 && number <= UINT16_MAX;
}

static bool read_seconds(json_int_t number, uint32_t *seconds) {
	*seconds = (uint32_t)number;
	return number >= 0 && number <= UINT32_MAX;
}

static bool read_protocol(const json_t *proto, uint8_t *protocol) {
	if (json_is_string(proto))
		return protocol_parse(json_string_value(proto), protocol);
	json_int_t number = json_integer_value(proto);
	*protocol = (uint8_t)number;
	return json_is_integer(proto) && number >= 0 && number <= UINT8_MAX;
}

static bool read_rule(struct names *names, const struct raw *raw, struct connection_row *row) {
	row->origin = raw->learned ? ORIGIN_LEARNED : ORIGIN_DEFAULT;
	if (json_is_null(raw->rule))
		return true;
	const char *file;
	json_int_t line;
	if (json_unpack((json_t *)raw->rule, "{s:s, s:I}", "file", &file, "line", &line) < 0)
		return false;
	const char *slash = strrchr(file, '/');
	row->origin = ORIGIN_RULE;
	return read_seconds(line, &row->line) && names_intern(names, slash ? slash + 1 : file, &row->file);
}

static bool read_row(struct names *names, const json_t *object, struct connection_row *row) {
	struct raw raw;
	if (!unpack(object, &raw))
		return false;
	row->out = !strcmp(raw.direction, "out");
	return (row->out || !strcmp(raw.direction, "in")) && read_protocol(raw.proto, &row->protocol) &&
	       addr_parse(raw.local, &row->local) && addr_parse(raw.remote, &row->remote) &&
	       read_port(raw.local_port, &row->local_port) && read_port(raw.remote_port, &row->remote_port) &&
	       read_seconds(raw.age, &row->age) && read_seconds(raw.idle, &row->idle) &&
	       names_intern(names, raw.state, &row->state) && read_rule(names, &raw, row);
}

static bool make_room(struct connections *connections) {
	if (connections->count < connections->room)
		return true;
	size_t room = connections->room ? connections->room + connections->room / 2 : 64;
	struct connection_row *rows = reallocarray(connections->rows, room, sizeof(*rows));
	if (!rows)
		return false;
	connections->rows = rows;
	connections->room = room;
	return true;
}

bool connections_add(struct connections *connections, const json_t *object, struct error *err) {
	struct connection_row row = {0};
	if (!read_row(&connections->names, object, &row))
		return error_set(err, "the daemon sent a connection that this version cannot read; "
				      "are sallyport and sallyportd of one version?");
	if (!make_room(connections))
		return error_set(err, "out of memory");
	connections->rows[connections->count++] = row;
	return true;
}

void connections_free(struct connections *connections) {
	free(connections->rows);
	names_free(&connections->names);
}

static int compare_numbers(unsigned left, unsigned right) {
	return (left > right) - (left < right);
}

static int compare_rows(const void *left_row, const void *right_row) {
	const struct connection_row *left = left_row, *right = right_row;
	int order = compare_numbers(left->protocol, right->protocol);
	if (!order)
		order = compare_numbers(left->local_port, right->local_port);
	if (!order)
		order = addr_compare(&left->local, &right->local);
	if (!order)
		order = addr_compare(&left->remote, &right->remote);
	return order ? order : compare_numbers(left->remote_port, right->remote_port);
}

void connections_sort(struct connections *connections) {
	if (connections->count)
		qsort(connections->rows, connections->count, sizeof(*connections->rows), compare_rows);
}

/* The text of one row; `cells` point into the rest. */
struct row_text {
	char proto[8], local[ENDPOINT_TEXT], remote[ENDPOINT_TEXT], age[AGE_TEXT], idle[AGE_TEXT], rule[320];
	const char *cells[CELLS];
};

/* What has no port shows none: protocols without, and the side that an ICMP query went to. */
static void print_side(const struct connection_row *row, const struct addr *addr, uint16_t port,
		       char text[ENDPOINT_TEXT]) {
	bool has_port = port || row->protocol == PROTOCOL_TCP || row->protocol == PROTOCOL_UDP;
	if (has_port)
		endpoint_print(addr, port, text);
	else
		addr_print(addr, text);
}

static void print_rule(const struct connections *connections, const struct connection_row *row,
		       bool with_file, char *text, size_t size) {
	static const char *const origins[] = {[ORIGIN_DEFAULT] = "default", [ORIGIN_LEARNED] = "learned"};
	if (row->origin != ORIGIN_RULE)
		snprintf(text, size, "%s", with_file ? origins[row->origin] : "-");
	else if (with_file)
		snprintf(text, size, "%s:%u", connections->names.items[row->file], row->line);
	else
		snprintf(text, size, "%u", row->line);
}

static void print_row(const struct connections *connections, const struct connection_row *row, bool with_file,
		      struct row_text *text) {
	const char *name = protocol_name(row->protocol);
	snprintf(text->proto, sizeof(text->proto), "%u", row->protocol);
	print_side(row, &row->local, row->local_port, text->local);
	print_side(row, &row->remote, row->remote_port, text->remote);
	age_print(row->age, text->age);
	age_print(row->idle, text->idle);
	print_rule(connections, row, with_file, text->rule, sizeof(text->rule));
	text->cells[PROTO] = name ? name : text->proto;
	text->cells[LOCAL] = text->local;
	text->cells[REMOTE] = text->remote;
	text->cells[DIR] = row->out ? "out" : "in";
	text->cells[STATE] = connections->names.items[row->state];
	text->cells[AGE] = text->age;
	text->cells[IDLE] = text->idle;
	text->cells[RULE] = text->rule;
}

/* Measures both ways of naming the rule, and takes the long one unless only the short one fits. */
static bool choose_layout(const struct connections *connections, unsigned width, struct columns *columns) {
	struct columns shorter;
	columns_init(columns, specs, CELLS);
	columns_init(&shorter, specs, CELLS);
	for (size_t i = 0; i < connections->count; i++) {
		struct row_text text = {0};
		print_row(connections, &connections->rows[i], true, &text);
		columns_measure(columns, text.cells);
		print_rule(connections, &connections->rows[i], false, text.rule, sizeof(text.rule));
		columns_measure(&shorter, text.cells);
	}
	if (columns_total(columns) <= width || columns_total(&shorter) > width)
		return true;
	*columns = shorter;
	return false;
}

void connections_print(const struct connections *connections, const struct output *out) {
	struct columns columns;
	bool with_file = choose_layout(connections, out->width, &columns);
	columns_header(&columns, out);
	for (size_t i = 0; i < connections->count && !ferror(out->stream); i++) {
		struct row_text text = {0};
		print_row(connections, &connections->rows[i], with_file, &text);
		columns_row(&columns, out->stream, text.cells);
	}
}
