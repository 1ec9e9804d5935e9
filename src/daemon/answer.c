/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pieces that several answers are made of.
 */
#include "sallyport/daemon/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/core/print.h"

static json_t *ascii_text(const char *text) {
	char *copy = strdup(text);
	json_t *value;

	if (!copy)
		return NULL;
	for (char *byte = copy; *byte; byte++) {
		if (*byte & 0x80)
			*byte = '?';
	}
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *answer_text(const char *text) {
	json_t *value = json_string(text);

	return value ? value : ascii_text(text);
}

json_t *answer_place(const struct place *place) {
	if (!place)
		return json_null();
	return json_pack("{s:o, s:i}", "file", answer_text(place->file), "line", (int)place->line);
}

json_t *answer_rule(const struct rule *rule) {
	char *text = rule_print(rule);
	json_t *value = text ? answer_text(text) : NULL;

	free(text);
	return value;
}

json_t *answer_default(const struct ruleset *ruleset, enum direction direction) {
	char text[64];

	snprintf(text, sizeof(text), "default %s %s", direction_name(direction),
		 action_name(ruleset->defaults[direction]));
	return json_string(text);
}

json_t *answer_count(uint64_t count) {
	return json_integer((json_int_t)count);
}

json_t *answer_seconds_since(uint32_t then, uint32_t now) {
	return answer_count(now > then ? now - then : 0);
}
