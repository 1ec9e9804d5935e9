/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Name -> pointer. Keys are borrowed and must outlive the map; nothing is removed.
 */
#ifndef SALLYPORT_CORE_STRMAP_H
#define SALLYPORT_CORE_STRMAP_H

#include <stdbool.h>
#include <stddef.h>

struct strmap_slot {
	const char *key;
	void *value;
};

/* Starts as all zeroes. */
struct strmap {
	struct strmap_slot *slots;
	size_t count, capacity; /* a power of two, at most half full */
};

void strmap_free(struct strmap *map); /* the values are the caller's */
void *strmap_get(const struct strmap *map, const char *key);
/* The key must not be in the map. False: out of memory. */
bool strmap_put(struct strmap *map, const char *key, void *value);

#endif
