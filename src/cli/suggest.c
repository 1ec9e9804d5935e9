/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Optimal string alignment distance: insert, delete, replace, swap of neighbours.
 */
#include "suggest.h"

#include <string.h>

enum { LONGEST = 32 };

static unsigned min3(unsigned a, unsigned b, unsigned c) {
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

static unsigned distance(const char *left, size_t left_length, const char *right, size_t right_length) {
	unsigned rows[LONGEST + 1][LONGEST + 1];
	for (size_t i = 0; i <= left_length; i++)
		rows[i][0] = (unsigned)i;
	for (size_t j = 0; j <= right_length; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= left_length; i++) {
		for (size_t j = 1; j <= right_length; j++) {
			unsigned differs = left[i - 1] != right[j - 1];
			rows[i][j] =
			    min3(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + differs);
			if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] &&
			    rows[i - 2][j - 2] + 1 < rows[i][j])
				rows[i][j] = rows[i - 2][j - 2] + 1;
		}
	}
	return rows[left_length][right_length];
}

const char *suggest(const char *word, const char *const *names, size_t count) {
	size_t length = strlen(word);
	if (!length || length > LONGEST)
		return NULL;
	const char *nearest = NULL;
	unsigned least = length < 5 ? 1 : 2;
	for (size_t i = 0; i < count; i++) {
		size_t name_length = strlen(names[i]);
		if (name_length > LONGEST)
			continue;
		unsigned slips = distance(word, length, names[i], name_length);
		if (slips < least || (slips == least && !nearest)) {
			least = slips;
			nearest = names[i];
		}
	}
	return nearest;
}
