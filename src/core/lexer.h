/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text -> tokens. A statement is a line; a backslash at its end continues it. Tokens
 * point into the text.
 */
#ifndef SALLYPORT_CORE_LEXER_H
#define SALLYPORT_CORE_LEXER_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_MAX_BYTES = 65536 };

enum token_kind {
	TOKEN_WORD,
	TOKEN_STRING, /* with its quotes */
	TOKEN_COMMA,
	TOKEN_EQUALS,
	TOKEN_END, /* of the statement */
	TOKEN_FILE_END,
	TOKEN_BAD, /* `problem` says what */
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t length;
	unsigned line;
	const char *line_text; /* the line it stands in */
	size_t line_length;
	const char *problem;
	bool fatal; /* no use in reading on in this file */
};

struct lexer {
	const char *end, *cursor;
	const char *line_text, *line_end;
	unsigned line;
	bool at_end, line_too_long;
};

void lexer_open(struct lexer *lexer, const char *text, size_t length, unsigned first_line);
void lexer_next(struct lexer *lexer, struct token *token);

#endif
