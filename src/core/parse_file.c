/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files, includes, and the loop over statements.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

static const char statement_words[] =
    "allow drop reject default set service include expect essentials pickup inspect on-failure busy "
    "mark connections timeout";

static bool parse_statement(struct parser *parser) {
	static const struct {
		const char *keyword;
		bool (*parse)(struct parser *);
	} statements[] = {
	    {"default", parse_default}, {"set", parse_set},
	    {"service", parse_service}, {"include", parse_include},
	    {"expect", parse_expect},   {"essentials", parse_essentials},
	    {"pickup", parse_pickup},   {"mark", parse_mark},
	    {"timeout", parse_timeout}, {"connections", parse_connections},
	    {"inspect", parse_inspect}, {"on-failure", parse_on_failure},
	    {"busy", parse_busy},
	};

	if (accept_word(parser, "allow"))
		return parse_rule(parser, ACTION_ALLOW);
	if (accept_word(parser, "drop"))
		return parse_rule(parser, ACTION_DROP);
	if (accept_word(parser, "reject"))
		return parse_rule(parser, ACTION_REJECT);
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		if (accept_word(parser, statements[i].keyword))
			return statements[i].parse(parser);
	return fail_keyword(parser, statement_words,
			    "a rule (`allow`, `drop` or `reject`) or another statement (`default`, `set`, "
			    "`service`, `include`, `expect` or a setting)");
}

static void skip_statement(struct parser *parser) {
	while (!at_end(parser) && !parser->stop) {
		if (parser->token.kind == TOKEN_BAD && parser->token.fatal)
			parser->lexer.at_end = true;
		advance(parser);
	}
}

void parse_statements(struct parser *parser, const char *file, const char *text, size_t length,
		      unsigned first_line) {
	struct lexer outer_lexer = parser->lexer;
	struct token outer_token = parser->token;
	struct place outer_place = parser->place;

	lexer_open(&parser->lexer, text, length, first_line);
	parser->place.file = file;
	for (;;) {
		advance(parser);
		if (parser->token.kind == TOKEN_FILE_END || parser->stop)
			break;
		if (parser->token.kind == TOKEN_END)
			continue;
		parser->place.line = parser->token.line;
		if (!parse_statement(parser))
			skip_statement(parser);
	}
	parser->lexer = outer_lexer;
	parser->token = outer_token;
	parser->place = outer_place;
}

char *path_beside(const char *file, const char *path) {
	const char *slash = strrchr(file, '/');
	struct text joined = {0};

	if (path[0] == '/' || !slash)
		return strdup(path);
	text_put(&joined, file, (size_t)(slash + 1 - file));
	text_puts(&joined, path);
	return text_take(&joined);
}

char *parse_path(struct parser *parser) {
	const struct token *token = &parser->token;
	char *path;
	size_t length = 0;

	if (token->kind == TOKEN_WORD) {
		fail_expected(parser, "a path in quotes (\"...\")");
		return NULL;
	}
	if (token->kind != TOKEN_STRING || token->length == 2) {
		fail_expected(parser, "a path in quotes");
		return NULL;
	}
	path = malloc(token->length);
	if (!path) {
		fail_memory(parser);
		return NULL;
	}
	for (size_t i = 1; i + 1 < token->length; i++) {
		if (token->text[i] == '\\')
			i++;
		path[length++] = token->text[i];
	}
	path[length] = '\0';
	advance(parser);
	return path;
}

const char *intern_file(struct parser *parser, const char *path) {
	struct ruleset *ruleset = parser->ruleset;
	char *copy, **added;

	for (size_t i = 0; i < ruleset->file_count; i++)
		if (strcmp(ruleset->files[i], path) == 0)
			return ruleset->files[i];
	copy = strdup(path);
	added = copy ? array_add(&ruleset->files, &ruleset->file_count, sizeof *added) : NULL;
	if (added)
		return *added = copy;
	free(copy);
	return NULL;
}

static bool fail_loop(struct parser *parser, const char *path, struct error *err) {
	struct text chain = {0};
	char *names;

	for (const struct open_file *file = parser->open; file; file = file->outer) {
		text_printf(&chain, " <- %s", file->path);
		if (strcmp(file->path, path) == 0)
			break;
	}
	names = text_take(&chain);
	error_set(err, "the includes form a loop: %s%s", path, names ? names : "");
	free(names);
	return false;
}

static bool may_open(struct parser *parser, const char *path, struct error *err) {
	for (const struct open_file *file = parser->open; file; file = file->outer)
		if (strcmp(file->path, path) == 0)
			return fail_loop(parser, path, err);
	if (parser->depth > INCLUDES_DEEP)
		return error_set(err, "%s: includes stand more than %d deep", path, INCLUDES_DEEP);
	if (parser->source_count >= FILES_MAX)
		return error_set(err, "%s: more than %d files are included", path, FILES_MAX);
	return true;
}

/* Reads the file and keeps its text in parser->sources. */
static struct source *read_source(struct parser *parser, const char *path, struct error *err) {
	struct error why = {""};
	const char *file = intern_file(parser, path);
	struct source *source;
	size_t length = 0;
	char *text;

	if (!file) {
		error_set(err, "out of memory");
		return NULL;
	}
	text = parser->world->read(parser->world->context, path, &length, &why);
	if (!text) {
		error_set(err, "cannot read %s: %s", path, why.text);
		return NULL;
	}
	source = array_add(&parser->sources, &parser->source_count, sizeof *source);
	if (!source) {
		free(text);
		error_set(err, "out of memory");
		return NULL;
	}
	*source = (struct source){file, text, length};
	return source;
}

bool parse_file(struct parser *parser, const char *path, struct error *err) {
	struct open_file file = {parser->open, path};
	const struct source *source;

	if (!may_open(parser, path, err))
		return false;
	source = read_source(parser, path, err);
	if (!source)
		return false;
	parser->open = &file;
	parser->depth++;
	parse_statements(parser, source->file, source->text, source->length, 1);
	parser->depth--;
	parser->open = file.outer;
	return true;
}

static bool include_one(struct parser *parser, const struct token *token, const char *path) {
	struct error err;

	return parse_file(parser, path, &err) || fail_at(parser, token, "%s", err.text);
}

static bool include_matches(struct parser *parser, const struct token *token, const char *pattern) {
	struct error err;
	char **paths;
	size_t count;
	bool ok = true;

	if (!parser->world->glob(parser->world->context, pattern, &paths, &count, &err))
		return fail_at(parser, token, "cannot expand %s: %s", pattern, err.text);
	for (size_t i = 0; i < count && !parser->stop; i++)
		ok = include_one(parser, token, paths[i]) && ok;
	strings_free(paths, count);
	return ok;
}

bool parse_include(struct parser *parser) {
	struct token token = parser->token;
	char *path = parse_path(parser), *full;
	bool ok;

	if (!path)
		return false;
	full = path_beside(parser->place.file, path);
	if (!full)
		ok = fail_memory(parser);
	else if (!expect_end(parser, "the end of the line"))
		ok = false;
	else if (strpbrk(path, "*?["))
		ok = include_matches(parser, &token, full);
	else
		ok = include_one(parser, &token, full);
	free(path);
	free(full);
	return ok;
}
