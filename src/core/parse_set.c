/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `set NAME = ...` and `set NAME from file "PATH"`. A file can hold a million lines, so it is
 * read without the lexer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

static bool add_range(struct parser *parser, struct set *set, const struct token *token) {
	struct addr_range range, *added;

	if (!parse_range(parser, token, &range))
		return false;
	added = array_add(&set->ranges, &set->count, sizeof *added);
	if (!added)
		return fail_memory(parser);
	*added = range;
	return true;
}

static bool parse_members(struct parser *parser, struct set *set) {
	if (at_end(parser))
		return true;
	do {
		if (parser->token.kind != TOKEN_WORD)
			return fail_expected(parser, "an address, a prefix or a range");
		if (parser->token.text[0] == '@')
			return fail_at(parser, &parser->token, "a set cannot hold another set");
		if (!add_range(parser, set, &parser->token))
			return false;
		advance(parser);
	} while (accept_comma(parser));
	return expect_end(parser, "a comma or the end of the line");
}

static bool is_blank(char byte) {
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The word on one line of a set's file; kind TOKEN_END where there is none. */
static struct token line_token(const char *line, size_t length, unsigned number) {
	const char *comment, *start = line, *end;
	struct token token = {
	    .kind = TOKEN_END, .text = line, .line = number, .line_text = line, .line_length = length};

	comment = memchr(line, '#', length);
	end = comment ? comment : line + length;
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	if (start == end)
		return token;
	token.kind = TOKEN_WORD;
	token.text = start;
	token.length = (size_t)(end - start);
	return token;
}

static bool has_blank(const struct token *token) {
	for (size_t i = 0; i < token->length; i++)
		if (is_blank(token->text[i]) || token->text[i] == ',')
			return true;
	return false;
}

static bool parse_line(struct parser *parser, struct set *set, const char *line, size_t length,
		       unsigned number) {
	struct token token;

	if (length > LINE_MAX_BYTES) {
		token = line_token(line, 1, number);
		return fail_at(parser, &token, "the line is longer than %d bytes", LINE_MAX_BYTES);
	}
	token = line_token(line, length, number);
	if (token.kind == TOKEN_END)
		return true;
	if (memchr(token.text, '\0', token.length)) {
		parser->stop = true;
		return fail_at(parser, &token, "a NUL byte: this is not a text file");
	}
	if (has_blank(&token))
		return fail_at(parser, &token, "one address, prefix or range a line, please");
	return add_range(parser, set, &token);
}

static bool parse_lines(struct parser *parser, struct set *set, const char *text, size_t length) {
	const char *end = text + length, *line = text;
	bool ok = true;

	for (unsigned number = 1; line < end && !parser->stop; number++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		const char *line_end = newline ? newline : end;

		ok = parse_line(parser, set, line, (size_t)(line_end - line), number) && ok;
		line = line_end + 1;
	}
	return ok;
}

static bool read_members(struct parser *parser, struct set *set, const struct token *token) {
	const char *outer = parser->place.file, *file = intern_file(parser, set->file);
	struct error err = {""};
	size_t length = 0;
	char *text;
	bool ok;

	if (!file)
		return fail_memory(parser);
	text = parser->world->read(parser->world->context, set->file, &length, &err);
	if (!text)
		return fail_at(parser, token, "cannot read %s: %s", set->file, err.text);
	parser->place.file = file; /* errors are about the set's file now */
	ok = parse_lines(parser, set, text, length);
	parser->place.file = outer;
	free(text);
	return ok;
}

static bool parse_file_members(struct parser *parser, struct set *set) {
	struct token token;
	char *path;

	if (!accept_word(parser, "file"))
		return fail_keyword(parser, "file", "`file` and a path in quotes");
	token = parser->token;
	path = parse_path(parser);
	if (!path)
		return false;
	set->file = path_beside(parser->place.file, path);
	free(path);
	if (!set->file)
		return fail_memory(parser);
	return expect_end(parser, "the end of the line") && read_members(parser, set, &token);
}

static bool check_name(struct parser *parser, const struct token *token, const char *name) {
	const struct set *other = strmap_get(&parser->sets, name);

	if (name[0] == '@')
		return fail_at(parser, token, "the name of a set is written without `@` where it is defined");
	if (!name_is_valid(name))
		return fail_at(parser, token,
			       "a set's name has letters, digits, `-`, `_` and `.`, a letter first, "
			       "at most %d of them",
			       NAME_MAX_BYTES);
	if (strcmp(name, "any") == 0 || strcmp(name, "not") == 0)
		return fail_at(parser, token, "`%s` has a meaning of its own; choose another name", name);
	if (other)
		return fail_at(parser, token, "set `%s` is already defined at %s:%u", name, other->place.file,
			       other->place.line);
	return true;
}

static bool parse_body(struct parser *parser, struct set *set) {
	if (accept_word(parser, "from"))
		return parse_file_members(parser, set);
	if (parser->token.kind != TOKEN_EQUALS)
		return fail_keyword(parser, "from", "`=` or `from file`");
	advance(parser);
	return parse_members(parser, set);
}

/* Takes the set over. Even one with errors in it is kept, so that its uses are no errors too. */
static bool define(struct parser *parser, struct set *set) {
	struct set **added;
	char name[NAME_MAX_BYTES + 2];

	set->count = addr_ranges_normalize(set->ranges, set->count);
	array_trim(&set->ranges, set->count, sizeof *set->ranges);
	added = array_add(&parser->ruleset->sets, &parser->ruleset->set_count, sizeof(struct set *));
	if (!added || !strmap_put(&parser->sets, set->name, set)) {
		parser->ruleset->set_count -= added != NULL;
		set_free(set);
		return fail_memory(parser);
	}
	*added = set;
	snprintf(name, sizeof name, "@%s", set->name);
	found_missing(parser, name);
	return true;
}

bool parse_set(struct parser *parser) {
	struct token token = parser->token;
	char name[WORD_MAX_BYTES + 1];
	struct set *set;
	bool ok;

	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, "a name for the set");
	if (!token_copy(parser, &token, name) || !check_name(parser, &token, name))
		return false;
	advance(parser);
	set = calloc(1, sizeof *set);
	if (!set)
		return fail_memory(parser);
	set->place = parser->place;
	set->name = strdup(name);
	if (!set->name)
		return set_free(set), fail_memory(parser);
	ok = parse_body(parser, set);
	if (ok && set->count == 0)
		warn_at(parser, &token, "set `%s` is empty: no address is in it", name);
	return define(parser, set) && ok;
}
