/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parser's tools: the current token, errors and warnings, names that are missing.
 */
#include "parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void parser_free(struct parser *parser) {
	for (size_t i = 0; i < parser->known_count; i++) {
		if (parser->known[i]->of_system)
			free(parser->known[i]->matches);
		free(parser->known[i]->name);
		free(parser->known[i]);
	}
	free(parser->known);
	for (size_t i = 0; i < parser->missing_count; i++)
		free(parser->missing[i].name);
	free(parser->missing);
	for (size_t i = 0; i < parser->source_count; i++)
		free(parser->sources[i].text);
	free(parser->sources);
	strmap_free(&parser->sets);
	strmap_free(&parser->services);
}

void advance(struct parser *parser) {
	lexer_next(&parser->lexer, &parser->token);
}

bool token_is(const struct token *token, const char *word) {
	return token->kind == TOKEN_WORD && strlen(word) == token->length &&
	       memcmp(word, token->text, token->length) == 0;
}

bool at_word(const struct parser *parser, const char *word) {
	return token_is(&parser->token, word);
}

bool at_end(const struct parser *parser) {
	return parser->token.kind == TOKEN_END || parser->token.kind == TOKEN_FILE_END;
}

bool accept_word(struct parser *parser, const char *word) {
	if (!at_word(parser, word))
		return false;
	advance(parser);
	return true;
}

bool accept_comma(struct parser *parser) {
	if (parser->token.kind != TOKEN_COMMA)
		return false;
	advance(parser);
	return true;
}

bool token_copy(struct parser *parser, const struct token *token, char copy[WORD_MAX_BYTES + 1]) {
	if (token->length > WORD_MAX_BYTES)
		return fail_at(parser, token, "a word of %zu bytes; the longest is %d", token->length,
			       WORD_MAX_BYTES);
	memcpy(copy, token->text, token->length);
	copy[token->length] = '\0';
	return true;
}

const char *quote(const struct token *token, char text[QUOTE_TEXT]) {
	char word[QUOTE_TEXT / 2 + 1];
	size_t length = token->length < sizeof word ? token->length : sizeof word - 1;

	if (token->kind == TOKEN_END || token->kind == TOKEN_FILE_END) {
		snprintf(text, QUOTE_TEXT, "the end of the line");
		return text;
	}
	for (size_t i = 0; i < length; i++)
		word[i] = token->text[i] >= 0x20 && token->text[i] < 0x7f ? token->text[i] : '?';
	word[length] = '\0';
	snprintf(text, QUOTE_TEXT, "`%s%s`", word, length < token->length ? "..." : "");
	return text;
}

static void report(struct parser *parser, enum severity severity, const struct token *token,
		   const char *message) {
	struct place place = {parser->place.file, token->line};
	unsigned column = (unsigned)(token->text - token->line_text) + 1;
	char *source = strndup(token->line_text, token->line_length);

	diagnostics_add(parser->diagnostics, severity, &place, column, (unsigned)token->length, source,
			message);
	free(source);
	if (severity == SEVERITY_ERROR && parser->diagnostics->errors >= MAX_ERRORS &&
	    parser->diagnostics->more)
		parser->stop = true;
}

bool fail_at(struct parser *parser, const struct token *token, const char *format, ...) {
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	report(parser, SEVERITY_ERROR, token, message);
	return false;
}

void warn_at(struct parser *parser, const struct token *token, const char *format, ...) {
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	report(parser, SEVERITY_WARNING, token, message);
}

bool fail_memory(struct parser *parser) {
	parser->stop = true;
	return fail_at(parser, &parser->token, "out of memory");
}

bool fail_expected(struct parser *parser, const char *expected) {
	return fail_keyword(parser, "", expected);
}

void nearest_words(struct nearest *nearest, const char *words) {
	char word[NEAREST_MAX + 1];

	while (*words) {
		size_t length = strcspn(words, " ");

		if (length < sizeof word) {
			memcpy(word, words, length);
			word[length] = '\0';
			nearest_see(word, nearest);
		}
		words += length + strspn(words + length, " ");
	}
}

const char *hint(const struct nearest *nearest, char text[HINT_TEXT]) {
	text[0] = '\0';
	if (nearest->best[0])
		snprintf(text, HINT_TEXT, "; did you mean `%s`?", nearest->best);
	return text;
}

bool fail_keyword(struct parser *parser, const char *words, const char *expected) {
	const struct token *token = &parser->token;
	char found[QUOTE_TEXT], guess[HINT_TEXT], word[NEAREST_MAX + 1] = "";
	struct nearest nearest;

	if (token->kind == TOKEN_BAD)
		return fail_at(parser, token, "%s", token->problem);
	if (token->kind == TOKEN_WORD && token->length < sizeof word)
		memcpy(word, token->text, token->length);
	nearest = nearest_to(word);
	nearest_words(&nearest, words);
	return fail_at(parser, token, "found %s, expected %s%s", quote(token, found), expected,
		       hint(&nearest, guess));
}

bool expect_end(struct parser *parser, const char *expected) {
	return at_end(parser) || fail_expected(parser, expected);
}

void note_missing(struct parser *parser, const char *name) {
	struct missing_name *missing;
	const struct diagnostics *diagnostics = parser->diagnostics;

	if (parser->stop || !diagnostics->count ||
	    diagnostics->items[diagnostics->count - 1].severity != SEVERITY_ERROR)
		return;
	missing = array_add(&parser->missing, &parser->missing_count, sizeof *missing);
	if (!missing)
		return;
	missing->diagnostic = parser->diagnostics->count - 1;
	missing->name = strdup(name);
}

void found_missing(struct parser *parser, const char *name) {
	char message[512];

	for (size_t i = 0; i < parser->missing_count; i++) {
		struct diagnostic *diagnostic = &parser->diagnostics->items[parser->missing[i].diagnostic];
		char *copy;

		if (!parser->missing[i].name || strcmp(parser->missing[i].name, name) != 0)
			continue;
		snprintf(message, sizeof message, "`%s` is defined only later, at %s:%u; move that line up",
			 name, parser->place.file, parser->place.line);
		copy = strdup(message);
		if (!copy)
			return;
		free(diagnostic->message);
		diagnostic->message = copy;
	}
}

bool name_is_valid(const char *name) {
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] = "0123456789-_.";
	size_t length = strlen(name);

	if (length == 0 || length > NAME_MAX_BYTES || !strchr(letters, name[0]))
		return false;
	for (size_t i = 1; i < length; i++)
		if (!strchr(letters, name[i]) && !strchr(others, name[i]))
			return false;
	return true;
}
