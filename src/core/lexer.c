/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The lexer. Works a physical line at a time, so that every search is bounded.
 */
#include "lexer.h"

#include <string.h>

static void start_line(struct lexer *lexer, const char *text) {
	const char *newline = memchr(text, '\n', (size_t)(lexer->end - text));

	lexer->line_text = lexer->cursor = text;
	lexer->line_end = newline ? newline : lexer->end;
	lexer->line_too_long = lexer->line_end - text > LINE_MAX_BYTES;
}

static void next_line(struct lexer *lexer) {
	if (lexer->line_end >= lexer->end) {
		lexer->at_end = true;
		return;
	}
	lexer->line++;
	start_line(lexer, lexer->line_end + 1);
}

void lexer_open(struct lexer *lexer, const char *text, size_t length, unsigned first_line) {
	*lexer = (struct lexer){.end = text + length, .line = first_line};
	start_line(lexer, text);
}

static void skip_blanks(struct lexer *lexer) {
	while (lexer->cursor < lexer->line_end) {
		bool carriage_return = *lexer->cursor == '\r' && lexer->cursor + 1 == lexer->line_end;

		if (*lexer->cursor != ' ' && *lexer->cursor != '\t' && !carriage_return)
			return;
		lexer->cursor++;
	}
}

static bool is_control(char byte) {
	return ((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7f;
}

static bool in_word(char byte) {
	return !is_control(byte) && !strchr(" \t,=\"#\\", byte);
}

static void take(struct lexer *lexer, struct token *token, enum token_kind kind, size_t length) {
	token->kind = kind;
	token->text = lexer->cursor;
	token->length = length;
	token->line = lexer->line;
	token->line_text = lexer->line_text;
	token->line_length = (size_t)(lexer->line_end - lexer->line_text);
	token->problem = NULL;
	token->fatal = false;
	lexer->cursor += length;
}

static void take_bad(struct lexer *lexer, struct token *token, size_t length, const char *problem) {
	take(lexer, token, TOKEN_BAD, length);
	token->problem = problem;
}

static void take_word(struct lexer *lexer, struct token *token) {
	const char *end = lexer->cursor;

	while (end < lexer->line_end && in_word(*end))
		end++;
	take(lexer, token, TOKEN_WORD, (size_t)(end - lexer->cursor));
}

static void take_string(struct lexer *lexer, struct token *token) {
	const char *end = lexer->cursor + 1;

	while (end < lexer->line_end && *end != '"' && !is_control(*end))
		end += *end == '\\' && end + 1 < lexer->line_end && !is_control(end[1]) ? 2 : 1;
	if (end < lexer->line_end && *end == '"')
		take(lexer, token, TOKEN_STRING, (size_t)(end + 1 - lexer->cursor));
	else
		take_bad(lexer, token, (size_t)(end - lexer->cursor), "the closing \" is missing");
}

/* Moves over a backslash at the end of a line; false: it stands elsewhere. */
static bool continue_line(struct lexer *lexer) {
	const char *rest = lexer->cursor + 1;

	if (rest < lexer->line_end && *rest == '\r')
		rest++;
	if (rest != lexer->line_end)
		return false;
	next_line(lexer);
	return true;
}

static void take_control(struct lexer *lexer, struct token *token) {
	bool nul = *lexer->cursor == '\0';

	take_bad(lexer, token, 1,
		 nul ? "a NUL byte: this is not a text file"
		     : "a control character: this is not a plain text file");
	token->fatal = true;
}

void lexer_next(struct lexer *lexer, struct token *token) {
	for (;;) {
		if (lexer->at_end) {
			take(lexer, token, TOKEN_FILE_END, 0);
			return;
		}
		if (lexer->line_too_long) {
			take_bad(lexer, token, 1, "the line is longer than 65536 bytes");
			lexer->line_too_long = false;
			lexer->cursor = lexer->line_end;
			return;
		}
		skip_blanks(lexer);
		if (lexer->cursor == lexer->line_end || *lexer->cursor == '#') {
			take(lexer, token, TOKEN_END, 0);
			next_line(lexer);
			return;
		}
		if (*lexer->cursor != '\\' || !continue_line(lexer))
			break;
	}
	if (*lexer->cursor == '\\')
		take_bad(lexer, token, 1, "a backslash that does not end the line");
	else if (*lexer->cursor == ',')
		take(lexer, token, TOKEN_COMMA, 1);
	else if (*lexer->cursor == '=')
		take(lexer, token, TOKEN_EQUALS, 1);
	else if (*lexer->cursor == '"')
		take_string(lexer, token);
	else if (is_control(*lexer->cursor))
		take_control(lexer, token);
	else
		take_word(lexer, token);
}
