/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Aligned tables: measure every row first, then print.
 */
#ifndef SALLYPORT_CLI_COLUMNS_H
#define SALLYPORT_CLI_COLUMNS_H

#include "output.h"

enum { COLUMNS_MAX = 8 };

struct column {
	const char *title;
	bool right; /* aligned to the right */
};

struct columns {
	const struct column *specs;
	size_t count;
	unsigned widths[COLUMNS_MAX];
};

/* As wide as the titles. count <= COLUMNS_MAX; `specs` is kept. */
void columns_init(struct columns *columns, const struct column *specs, size_t count);
void columns_measure(struct columns *columns, const char *const *cells);
/* Characters of the widest row, one space between columns. */
unsigned columns_total(const struct columns *columns);
/* Nothing is ever cut off; no spaces behind the last cell. */
void columns_row(const struct columns *columns, FILE *stream, const char *const *cells);
void columns_header(const struct columns *columns, const struct output *out);

#endif
