/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Open addressing at half load at most, FNV-1a.
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * NAMES_MAX };

static uint32_t hash(const char *text) {
	uint32_t sum = 2166136261u;
	for (; *text; text++)
		sum = (sum ^ (uint8_t)*text) * 16777619u;
	return sum;
}

static bool append(struct names *names, const char *text) {
	if (names->count == NAMES_MAX)
		return false;
	if (!names->items && !(names->items = calloc(NAMES_MAX, sizeof(*names->items))))
		return false;
	char *copy = strdup(text);
	if (!copy)
		return false;
	names->items[names->count++] = copy;
	return true;
}

bool names_intern(struct names *names, const char *text, uint16_t *number) {
	uint32_t slot = hash(text) % SLOTS;
	for (; names->slots[slot]; slot = (slot + 1) % SLOTS) {
		uint16_t candidate = names->slots[slot] - 1;
		if (!strcmp(names->items[candidate], text)) {
			*number = candidate;
			return true;
		}
	}
	if (!append(names, text))
		return false;
	names->slots[slot] = (uint16_t)names->count;
	*number = (uint16_t)(names->count - 1);
	return true;
}

void names_free(struct names *names) {
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}
