/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Open addressing with linear probing; FNV-1a.
 */
#include "strmap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *key) {
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
	return hash;
}

/* The slot of `key`, or the free one where it would stand. */
static struct strmap_slot *slot_of(const struct strmap *map, const char *key) {
	size_t at = hash_of(key) & (map->capacity - 1);

	while (map->slots[at].key && strcmp(map->slots[at].key, key) != 0)
		at = (at + 1) & (map->capacity - 1);
	return &map->slots[at];
}

static bool strmap_double(struct strmap *map) {
	struct strmap bigger = {.count = map->count, .capacity = map->capacity ? map->capacity * 2 : 16};

	bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots);
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->slots[i].key)
			*slot_of(&bigger, map->slots[i].key) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return true;
}

void strmap_free(struct strmap *map) {
	free(map->slots);
	memset(map, 0, sizeof *map);
}

void *strmap_get(const struct strmap *map, const char *key) {
	return map->capacity ? slot_of(map, key)->value : NULL;
}

bool strmap_put(struct strmap *map, const char *key, void *value) {
	if (map->count * 2 >= map->capacity && !strmap_double(map))
		return false;
	*slot_of(map, key) = (struct strmap_slot){key, value};
	map->count++;
	return true;
}
