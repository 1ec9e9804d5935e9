/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Collected errors and warnings, and how people read them.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "sallyport/core/parse.h"

enum { SOURCE_MAX = 200 };

static void diagnostic_clear(struct diagnostic *diagnostic) {
	free(diagnostic->file);
	free(diagnostic->source);
	free(diagnostic->message);
}

void diagnostics_free(struct diagnostics *diagnostics) {
	for (size_t i = 0; i < diagnostics->count; i++)
		diagnostic_clear(&diagnostics->items[i]);
	free(diagnostics->items);
	memset(diagnostics, 0, sizeof *diagnostics);
}

/* The first line of `source`; a terminal must not obey what stands in a file. */
static char *copy_source(const char *source) {
	size_t length = strcspn(source, "\n");
	char *copy;

	if (length > 0 && source[length - 1] == '\r')
		length--;
	copy = strndup(source, length < SOURCE_MAX ? length : SOURCE_MAX);
	for (char *at = copy; at && *at; at++)
		if (*at != '\t' && (*at < 0x20 || *at > 0x7e))
			*at = '?';
	return copy;
}

static bool fill(struct diagnostic *diagnostic, const struct place *place, const char *source,
		 const char *message) {
	diagnostic->file = strdup(place && place->file ? place->file : "");
	diagnostic->line = place ? place->line : 0;
	diagnostic->message = strdup(message);
	if (source && diagnostic->line)
		diagnostic->source = copy_source(source);
	return diagnostic->file && diagnostic->message;
}

void diagnostics_add(struct diagnostics *diagnostics, enum severity severity, const struct place *place,
		     unsigned column, unsigned length, const char *source, const char *message) {
	size_t *counter = severity == SEVERITY_ERROR ? &diagnostics->errors : &diagnostics->warnings;
	struct diagnostic *added;

	if (*counter >= (severity == SEVERITY_ERROR ? (size_t)MAX_ERRORS : (size_t)MAX_WARNINGS)) {
		diagnostics->more = true;
		return;
	}
	++*counter; /* even where memory fails below: an error must not get lost */
	added = array_add(&diagnostics->items, &diagnostics->count, sizeof *added);
	if (added && fill(added, place, source, message)) {
		added->severity = severity;
		added->column = column;
		added->length = length ? length : 1;
		return;
	}
	diagnostics->lost = true;
	if (added) {
		diagnostic_clear(added);
		diagnostics->count--;
	}
}

/* Blanks as wide as what stands before the column, then ^~~~. */
static void put_caret(struct text *text, const struct diagnostic *diagnostic) {
	size_t width = strlen(diagnostic->source), start = diagnostic->column - 1;

	if (diagnostic->column == 0 || start > width)
		return;
	text_puts(text, "  ");
	for (size_t i = 0; i < start; i++)
		text_put(text, diagnostic->source[i] == '\t' ? "\t" : " ", 1);
	text_puts(text, "^");
	for (size_t i = 1; i < diagnostic->length && start + i < width; i++)
		text_puts(text, "~");
	text_puts(text, "\n");
}

static void put_diagnostic(struct text *text, const struct diagnostic *diagnostic) {
	text_puts(text, diagnostic->file);
	if (diagnostic->line)
		text_printf(text, ":%u", diagnostic->line);
	if (diagnostic->line && diagnostic->column)
		text_printf(text, ":%u", diagnostic->column);
	text_printf(text, ": %s: ", diagnostic->severity == SEVERITY_ERROR ? "error" : "warning");
	text_puts(text, diagnostic->message);
	text_puts(text, "\n");
	if (!diagnostic->source)
		return;
	text_puts(text, "  ");
	text_puts(text, diagnostic->source);
	text_puts(text, "\n");
	put_caret(text, diagnostic);
}

char *diagnostics_text(const struct diagnostics *diagnostics) {
	struct text text = {0};

	for (size_t i = 0; i < diagnostics->count; i++)
		put_diagnostic(&text, &diagnostics->items[i]);
	if (diagnostics->more)
		text_puts(&text, "There is more; only the first of it is shown.\n");
	if (diagnostics->lost)
		text_puts(&text, "Out of memory: there was none to say all that is wrong.\n");
	return text_take(&text);
}
