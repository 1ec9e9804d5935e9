/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A rules file from its path to the sealed ruleset.
 */
#include "sallyport/core/parse.h"

#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "sallyport/core/eval.h"

static const struct settings default_settings = {
    .essentials = true,
    .mark_mask = 0xf0000000,
    .connections = 1000000,
    .busy_rate = BUSY_RATE_DEFAULT,
};

static struct ruleset *ruleset_new(void) {
	struct ruleset *ruleset = calloc(1, sizeof *ruleset);

	if (!ruleset)
		return NULL;
	ruleset->defaults[DIRECTION_IN] = ACTION_DROP;
	ruleset->defaults[DIRECTION_OUT] = ACTION_ALLOW;
	ruleset->settings = default_settings;
	ruleset->settings.timeouts = default_timeouts;
	return ruleset;
}

static void fail_whole(struct parser *parser, const char *path, const char *message) {
	struct place place = {path, 0};

	diagnostics_add(parser->diagnostics, SEVERITY_ERROR, &place, 0, 0, NULL, message);
}

static unsigned count_lines(const char *text) {
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void parse_essential_rules(struct parser *parser, const char *text, unsigned first_line) {
	parser->essential = true;
	parse_statements(parser, "essentials", text, strlen(text), first_line);
	parser->essential = false;
}

/* `essentials off` can stand anywhere in the file, so they are in until the end. */
static void remove_essential_rules(struct ruleset *ruleset) {
	size_t kept = 0;

	for (size_t i = 0; i < ruleset->count; i++) {
		if (ruleset->rules[i].essential)
			rule_clear(&ruleset->rules[i]);
		else
			ruleset->rules[kept++] = ruleset->rules[i];
	}
	ruleset->count = kept;
}

static void parse_all(struct parser *parser, const char *path) {
	struct error err;

	parse_essential_rules(parser, essentials_first, 1);
	if (!parse_file(parser, path, &err))
		fail_whole(parser, path, err.text);
	parse_essential_rules(parser, essentials_last, count_lines(essentials_first) + 1);
	if (!parser->ruleset->settings.essentials)
		remove_essential_rules(parser->ruleset);
	array_trim(&parser->ruleset->rules, parser->ruleset->count, sizeof *parser->ruleset->rules);
}

static const struct source *find_source(const struct parser *parser, const char *file) {
	for (size_t i = 0; i < parser->source_count; i++)
		if (strcmp(parser->sources[i].file, file) == 0)
			return &parser->sources[i];
	return NULL;
}

static const char *find_line(const struct source *source, unsigned number, size_t *length) {
	const char *line = source->text, *end = source->text + source->length, *newline;

	for (unsigned at = 1; line < end; at++, line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			newline = end;
		if (at == number) {
			*length = (size_t)(newline - line);
			return line;
		}
	}
	return NULL;
}

/* What is found only when all is read knows its line by number alone. Shows it as it stands in
 * the file, underlined from the first word to the comment. */
static void show_line(const struct parser *parser, struct diagnostic *diagnostic) {
	const struct source *source = find_source(parser, diagnostic->file);
	struct diagnostics copy = {0};
	size_t length, start, end;
	const char *line = source ? find_line(source, diagnostic->line, &length) : NULL;
	char *text = line ? strndup(line, length) : NULL;

	if (!text)
		return;
	start = strspn(text, " \t");
	end = strcspn(text, "#\r\\");
	while (end > start && (text[end - 1] == ' ' || text[end - 1] == '\t'))
		end--;
	diagnostics_add(&copy, diagnostic->severity, &(struct place){diagnostic->file, diagnostic->line},
			(unsigned)start + 1, end > start ? (unsigned)(end - start) : 1, text,
			diagnostic->message);
	if (copy.count) {
		struct diagnostic shown = copy.items[0];

		copy.items[0] = *diagnostic;
		*diagnostic = shown;
	}
	diagnostics_free(&copy);
	free(text);
}

static void seal_and_check(struct parser *parser, const char *path) {
	size_t known = parser->diagnostics->count;

	if (!ruleset_seal(parser->ruleset)) {
		fail_whole(parser, path, "out of memory");
		return;
	}
	warn_covered(parser->ruleset, parser->diagnostics);
	check_expectations(parser->ruleset, parser->diagnostics);
	for (size_t i = known; i < parser->diagnostics->count; i++)
		show_line(parser, &parser->diagnostics->items[i]);
}

struct ruleset *ruleset_load(const char *path, const struct world *world, struct diagnostics *diagnostics) {
	struct parser parser = {.world = world, .diagnostics = diagnostics, .ruleset = ruleset_new()};
	struct ruleset *ruleset = parser.ruleset;

	memset(diagnostics, 0, sizeof *diagnostics);
	if (!ruleset) {
		fail_whole(&parser, path, "out of memory");
		return NULL;
	}
	parse_all(&parser, path);
	if (diagnostics->errors == 0)
		seal_and_check(&parser, path);
	parser_free(&parser);
	if (diagnostics->errors == 0)
		return ruleset;
	ruleset_free(ruleset);
	return NULL;
}
