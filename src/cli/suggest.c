/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Among a list of names, by core's edit distance.
 */
#include "suggest.h"

#include <string.h>

#include "sallyport/core/nearest.h"

const char *suggest(const char *word, const char *const *names, size_t count) {
	struct nearest nearest = nearest_to(word);

	for (size_t i = 0; i < count; i++)
		nearest_see(names[i], &nearest);
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], nearest.best) == 0)
			return names[i];
	return NULL;
}
