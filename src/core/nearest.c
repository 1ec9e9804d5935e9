/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Edit distance with swaps of neighbours (optimal string alignment).
 */
#include "sallyport/core/nearest.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c) {
	unsigned min = a < b ? a : b;

	return min < c ? min : c;
}

static unsigned edit_distance(const char *left, const char *right) {
	unsigned rows[3][NEAREST_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t left_length = strlen(left), right_length = strlen(right);

	for (unsigned j = 0; j <= right_length; j++)
		last[j] = j;
	for (unsigned i = 1; i <= left_length; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= right_length; j++) {
			row[j] =
			    min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left[i - 1] != right[j - 1]));
			if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[right_length];
}

/* One slip a word, two in a long one. */
static unsigned tolerance(size_t length) {
	return length < 2 ? 0 : length < 6 ? 1 : 2;
}

struct nearest nearest_to(const char *typed) {
	return (struct nearest){.typed = typed, .distance = tolerance(strlen(typed)) + 1};
}

void nearest_see(const char *name, void *argument) {
	struct nearest *nearest = argument;
	unsigned distance;

	if (strlen(name) > NEAREST_MAX || strlen(nearest->typed) > NEAREST_MAX)
		return;
	distance = edit_distance(nearest->typed, name);
	if (distance == 0 || distance >= nearest->distance)
		return;
	nearest->distance = distance;
	memcpy(nearest->best, name, strlen(name) + 1);
}
