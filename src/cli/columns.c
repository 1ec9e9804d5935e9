/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Widths are counted in characters (UTF-8), not in bytes.
 */
#include "columns.h"

static unsigned width_of(const char *text) {
	unsigned width = 0;
	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

void columns_init(struct columns *columns, const struct column *specs, size_t count) {
	*columns = (struct columns){.specs = specs, .count = count};
	for (size_t i = 0; i < count; i++)
		columns->widths[i] = width_of(specs[i].title);
}

void columns_measure(struct columns *columns, const char *const *cells) {
	for (size_t i = 0; i < columns->count; i++) {
		unsigned width = width_of(cells[i]);
		if (width > columns->widths[i])
			columns->widths[i] = width;
	}
}

unsigned columns_total(const struct columns *columns) {
	unsigned total = columns->count ? (unsigned)columns->count - 1 : 0;
	for (size_t i = 0; i < columns->count; i++)
		total += columns->widths[i];
	return total;
}

static void pad(FILE *stream, unsigned width) {
	fprintf(stream, "%*s", (int)width, "");
}

void columns_row(const struct columns *columns, FILE *stream, const char *const *cells) {
	unsigned owed = 0;
	for (size_t i = 0; i < columns->count; i++) {
		unsigned width = width_of(cells[i]);
		unsigned rest = columns->widths[i] > width ? columns->widths[i] - width : 0;
		bool right = columns->specs[i].right;
		pad(stream, owed + (right ? rest : 0));
		put_text(stream, cells[i]);
		owed = 1 + (right ? 0 : rest);
	}
	fputc('\n', stream);
}

void columns_header(const struct columns *columns, const struct output *out) {
	const char *titles[COLUMNS_MAX];
	for (size_t i = 0; i < columns->count; i++)
		titles[i] = columns->specs[i].title;
	fputs(style_begin(out, STYLE_BOLD), out->stream);
	columns_row(columns, out->stream, titles);
	fputs(style_end(out), out->stream);
}
