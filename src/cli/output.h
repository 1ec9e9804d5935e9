/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where answers go. Every kind of answer zero or more rows and then a closing object, and
 * one vtable, struct view, shows it: the text views stand beside their commands, JSON is the same
 * for all.
 */
#ifndef SALLYPORT_CLI_OUTPUT_H
#define SALLYPORT_CLI_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include "session.h"

struct output {
	FILE *stream, *errors;
	bool json;
	bool tty;
	bool colour;
	bool everything; /* --all: zero counters too */
	unsigned width;  /* columns to keep within; 80 where it is no terminal */
};

void output_init(struct output *out, FILE *stream, FILE *errors);

struct view {
	size_t state_size; /* zeroed before the first call */
	bool raw;          /* rows are taken as text: record->object is NULL */
	/* NULL: there are no rows, one is an error. */
	bool (*row)(struct output *out, void *state, const struct record *record, struct error *err);
	/* The whole answer is there; returns the exit status. NULL: nothing to show, done. */
	int (*done)(struct output *out, void *state, const json_t *closing);
	/* The answer is no. NULL: the error's text is shown. Returns the exit status. */
	int (*refused)(struct output *out, void *state, const json_t *closing);
	void (*release)(void *state); /* NULL: nothing to free */
};

/* The JSON side: a row as it came; the closing line without its "done". */
bool json_row(struct output *out, void *state, const struct record *record, struct error *err);
int json_done(struct output *out, void *state, const json_t *closing);
extern const struct view json_rows; /* every row, the closing line not */

/* A JSON string; text that is not UTF-8 has its bytes above ASCII replaced by '?'. NULL stays null. */
json_t *json_text(const char *text);
/* One object, one line. */
void output_json(const struct output *out, const json_t *object);

enum style { STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_BAD };
/* Escape sequence to begin or end a style; "" where colours are off. */
const char *style_begin(const struct output *out, enum style style);
const char *style_end(const struct output *out);

/* Text from the daemon: control characters but newline and tab become '?'. */
void put_text(FILE *stream, const char *text);
/* Likewise whole lines: a newline follows where the text has none at its end. "": nothing. */
void put_lines(FILE *stream, const char *text);

enum { NUMBER_TEXT = 32, AGE_TEXT = 32 };

const char *number_print(uint64_t number, char text[NUMBER_TEXT]);       /* "1,204" */
const char *number_print_short(uint64_t number, char text[NUMBER_TEXT]); /* at most 5: "99999", "1204k" */
/* At most 3 characters up to 99 years: "12s", "3m", "2h", "5d", "14w", "2y". */
const char *age_print(uint64_t seconds, char text[AGE_TEXT]);
/* Two units: "2h 4m", "5d 3h". */
const char *age_print_long(uint64_t seconds, char text[AGE_TEXT]);
/* "s" but for one. */
const char *plural(uint64_t count);

/* Members of an object from the daemon, forgiving: 0 or "" where missing or of another type. */
uint64_t member_number(const json_t *object, const char *name);
const char *member_text(const json_t *object, const char *name);

#endif
