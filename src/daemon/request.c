/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A line of a client -> a command. Bytes from outside: everything is checked here.
 */
#include "sallyport/daemon/request.h"

#include <stdlib.h>
#include <string.h>

static const struct command commands[] = {
    {"status", RIGHT_READ, command_status},   {"list", RIGHT_READ, command_list},
    {"kill", RIGHT_CHANGE, command_kill},     {"rules", RIGHT_READ, command_rules},
    {"stats", RIGHT_READ, command_stats},     {"explain", RIGHT_READ, command_explain},
    {"reload", RIGHT_CHANGE, command_reload},
};

static const struct command *command_find(const char *name) {
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

const struct command *request_parse(const char *line, size_t length, json_t **request, struct error *err) {
	const struct command *command;
	json_error_t problem;
	const char *name;
	json_t *parsed;

	/* jansson bounds the depth, refuses NUL bytes and what is not UTF-8. */
	parsed = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(parsed)) {
		json_decref(parsed);
		error_set(err, "the request is no JSON object on one line: %s",
			  parsed ? "it is something else" : problem.text);
		return NULL;
	}
	name = request_text(parsed, "command", err);
	command = name ? command_find(name) : NULL;
	if (name && !command)
		error_set(err, "unknown command \"%.40s\"", name);
	if (!command) {
		json_decref(parsed);
		return NULL;
	}
	*request = parsed;
	return command;
}

const char *request_text(const json_t *request, const char *name, struct error *err) {
	const char *text = json_string_value(json_object_get(request, name));

	if (!text)
		error_set(err, "the request has no text \"%s\"", name);
	return text;
}

bool request_selection(const json_t *request, struct selection *selection, size_t *words, struct error *err) {
	const json_t *select = json_object_get(request, "select");
	size_t count = json_array_size(select);
	const char **texts;
	bool good = true;

	if (select && !json_is_array(select))
		return error_set(err, "\"select\" is no array of words");
	texts = calloc(count + 1, sizeof(*texts));
	if (!texts)
		return error_set(err, "out of memory");
	for (size_t i = 0; i < count && good; i++) {
		texts[i] = json_string_value(json_array_get(select, i));
		good = texts[i] != NULL;
	}
	if (!good)
		error_set(err, "\"select\" is no array of words");
	good = good && selection_parse(texts, count, selection, err);
	if (good)
		*words = count;
	free(texts);
	return good;
}
