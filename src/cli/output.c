/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON views, styles, and how numbers and times are written for people.
 */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { USUAL_WIDTH = 80, MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, WEEK = 7 * DAY, YEAR = 365 * DAY };

static bool wants_colour(void) {
	const char *off = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	return !(off && *off) && terminal && strcmp(terminal, "dumb") != 0;
}

static unsigned terminal_width(int fd) {
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col < USUAL_WIDTH)
		return USUAL_WIDTH;
	return size.ws_col;
}

void output_init(struct output *out, FILE *stream, FILE *errors) {
	int fd = fileno(stream);
	*out = (struct output){.stream = stream, .errors = errors, .width = USUAL_WIDTH};
	out->tty = fd >= 0 && isatty(fd);
	if (out->tty) {
		out->colour = wants_colour();
		out->width = terminal_width(fd);
	}
}

json_t *json_text(const char *text) {
	if (!text)
		return json_null();
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);
	if (!copy)
		return string;
	for (char *at = copy; *at; at++)
		if (*at & 0x80)
			*at = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

void output_json(const struct output *out, const json_t *object) {
	json_dumpf(object, out->stream, JSON_COMPACT);
	fputc('\n', out->stream);
}

bool json_row(struct output *out, void *state, const struct record *record, struct error *err) {
	(void)state;
	(void)err;
	fwrite(record->line, 1, record->length, out->stream);
	fputc('\n', out->stream);
	return true;
}

int json_done(struct output *out, void *state, const json_t *closing) {
	(void)state;
	json_t *shown = json_copy((json_t *)closing);
	json_object_del(shown, "done");
	output_json(out, shown);
	json_decref(shown);
	return 0;
}

const struct view json_rows = {.raw = true, .row = json_row};

const char *style_begin(const struct output *out, enum style style) {
	static const char *const escapes[] = {
	    [STYLE_BOLD] = "\033[1m",
	    [STYLE_DIM] = "\033[2m",
	    [STYLE_GOOD] = "\033[32m",
	    [STYLE_BAD] = "\033[31m",
	};
	return out->colour ? escapes[style] : "";
}

const char *style_end(const struct output *out) {
	return out->colour ? "\033[0m" : "";
}

void put_text(FILE *stream, const char *text) {
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		bool control = (*at < ' ' && *at != '\n' && *at != '\t') || *at == 0x7f;
		fputc(control ? '?' : *at, stream);
	}
}

void put_lines(FILE *stream, const char *text) {
	size_t length = strlen(text);
	put_text(stream, text);
	if (length && text[length - 1] != '\n')
		fputc('\n', stream);
}

const char *number_print(uint64_t number, char text[NUMBER_TEXT]) {
	char digits[NUMBER_TEXT];
	int count = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	char *to = text;
	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

const char *number_print_short(uint64_t number, char text[NUMBER_TEXT]) {
	static const char units[] = {'\0', 'k', 'M', 'G', 'T', 'P', 'E'};
	size_t unit = 0;
	if (number > 99999)
		for (unit = 1, number /= 1000; number > 9999; number /= 1000)
			unit++;
	snprintf(text, NUMBER_TEXT, "%" PRIu64 "%c", number, units[unit]);
	return text;
}

const char *age_print(uint64_t seconds, char text[AGE_TEXT]) {
	static const struct {
		uint64_t below, unit;
		char letter;
	} scale[] = {
	    {MINUTE, 1, 's'},         {HOUR, MINUTE, 'm'},        {2ull * DAY, HOUR, 'h'},
	    {100ull * DAY, DAY, 'd'}, {100ull * WEEK, WEEK, 'w'}, {UINT64_MAX, YEAR, 'y'},
	};
	size_t at = 0;
	while (seconds >= scale[at].below && scale[at].below != UINT64_MAX)
		at++;
	snprintf(text, AGE_TEXT, "%" PRIu64 "%c", seconds / scale[at].unit, scale[at].letter);
	return text;
}

const char *age_print_long(uint64_t seconds, char text[AGE_TEXT]) {
	if (seconds < MINUTE)
		snprintf(text, AGE_TEXT, "%" PRIu64 "s", seconds);
	else if (seconds < HOUR)
		snprintf(text, AGE_TEXT, "%" PRIu64 "m %" PRIu64 "s", seconds / MINUTE, seconds % MINUTE);
	else if (seconds < DAY)
		snprintf(text, AGE_TEXT, "%" PRIu64 "h %" PRIu64 "m", seconds / HOUR,
			 seconds % HOUR / MINUTE);
	else
		snprintf(text, AGE_TEXT, "%" PRIu64 "d %" PRIu64 "h", seconds / DAY, seconds % DAY / HOUR);
	return text;
}

const char *plural(uint64_t count) {
	return count == 1 ? "" : "s";
}

uint64_t member_number(const json_t *object, const char *name) {
	json_int_t number = json_integer_value(json_object_get(object, name));
	return number > 0 ? (uint64_t)number : 0;
}

const char *member_text(const json_t *object, const char *name) {
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}
