/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Statements that set something: default, essentials, pickup, inspect, on-failure,
 * busy, mark, connections, timeout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

enum { CONNECTIONS_MIN = 64, CONNECTIONS_MAX = 67108864, MARK_BITS_MIN = 4 };
enum { BUSY_RATE_MAX = 1000000 };
enum { DURATION_MAX = 365 * 24 * 3600 };

/* Reports where the setting stands twice: two lines that disagree are an accident. */
static bool give(struct parser *parser, const struct token *token, enum setting setting) {
	struct place *given = &parser->given[setting];

	if (given->file)
		return fail_at(parser, token, "this was already set at %s:%u; keep one of the two",
			       given->file, given->line);
	*given = parser->place;
	return true;
}

bool parse_direction(struct parser *parser, enum direction *direction) {
	if (at_word(parser, "in"))
		*direction = DIRECTION_IN;
	else if (at_word(parser, "out"))
		*direction = DIRECTION_OUT;
	else
		return fail_keyword(parser, "in out", "`in` or `out`");
	advance(parser);
	return true;
}

bool parse_action(struct parser *parser, enum action *action) {
	for (enum action each = ACTION_ALLOW; each <= ACTION_REJECT; each++)
		if (accept_word(parser, action_name(each))) {
			*action = each;
			return true;
		}
	return fail_keyword(parser, "allow drop reject", "`allow`, `drop` or `reject`");
}

bool parse_default(struct parser *parser) {
	struct token token = parser->token;
	enum direction direction = DIRECTION_IN;
	enum action action = ACTION_DROP;

	if (!parse_direction(parser, &direction) || !parse_action(parser, &action) ||
	    !expect_end(parser, "the end of the line") ||
	    !give(parser, &token, direction == DIRECTION_IN ? SETTING_DEFAULT_IN : SETTING_DEFAULT_OUT))
		return false;
	parser->ruleset->defaults[direction] = action;
	return true;
}

/* One of two words. */
static bool parse_choice(struct parser *parser, enum setting setting, const char *yes, const char *no,
			 bool *chosen) {
	struct token token = parser->token;
	char words[32], expected[32];

	snprintf(words, sizeof words, "%s %s", yes, no);
	snprintf(expected, sizeof expected, "`%s` or `%s`", yes, no);
	if (!at_word(parser, yes) && !at_word(parser, no))
		return fail_keyword(parser, words, expected);
	advance(parser);
	if (!expect_end(parser, "the end of the line") || !give(parser, &token, setting))
		return false;
	*chosen = token_is(&token, yes);
	return true;
}

bool parse_essentials(struct parser *parser) {
	return parse_choice(parser, SETTING_ESSENTIALS, "on", "off", &parser->ruleset->settings.essentials);
}

bool parse_pickup(struct parser *parser) {
	return parse_choice(parser, SETTING_PICKUP, "on", "off", &parser->ruleset->settings.pickup);
}

bool parse_inspect(struct parser *parser) {
	return parse_choice(parser, SETTING_INSPECT, "all", "new", &parser->ruleset->settings.inspect_all);
}

bool parse_on_failure(struct parser *parser) {
	return parse_choice(parser, SETTING_ON_FAILURE, "closed", "guard",
			    &parser->ruleset->settings.failure_closed);
}

/* "1000/s" */
static bool parse_rate(const char *word, uint32_t *rate) {
	char number[WORD_MAX_BYTES + 1];
	size_t length = strlen(word);

	if (length < 3 || strcmp(word + length - 2, "/s") != 0)
		return false;
	memcpy(number, word, length - 2);
	number[length - 2] = '\0';
	return number_parse(number, BUSY_RATE_MAX, rate) && *rate > 0;
}

bool parse_busy(struct parser *parser) {
	struct token setting = parser->token, token;
	char word[WORD_MAX_BYTES + 1], expected[80];
	uint32_t rate = 0;

	snprintf(expected, sizeof expected, "new connections a second, such as 1000/s, at most %d/s",
		 BUSY_RATE_MAX);
	if (!accept_word(parser, "never")) {
		if (!accept_word(parser, "above"))
			return fail_keyword(parser, "above never", "`above` or `never`");
		token = parser->token;
		if (token.kind != TOKEN_WORD)
			return fail_expected(parser, expected);
		if (!token_copy(parser, &token, word))
			return false;
		if (!parse_rate(word, &rate))
			return fail_expected(parser, expected);
		advance(parser);
	}
	if (!expect_end(parser, "the end of the line") || !give(parser, &setting, SETTING_BUSY))
		return false;
	parser->ruleset->settings.busy_rate = rate;
	return true;
}

static bool parse_hex(const char *text, uint32_t *number) {
	unsigned long value;
	char *end;

	if (text[0] != '0' || text[1] != 'x' || strlen(text) < 3 || strlen(text) > 10 ||
	    strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
		return false;
	value = strtoul(text, &end, 16);
	*number = (uint32_t)value;
	return true;
}

static bool mask_is_good(uint32_t mask) {
	uint32_t bits = mask ? mask / (mask & -mask) : 0; /* moved down to bit 0 */

	return bits >= (1u << MARK_BITS_MIN) - 1 && (bits & (bits + 1)) == 0;
}

bool parse_mark(struct parser *parser) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1];
	uint32_t mask;

	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, "a mask such as 0xf0000000");
	if (!token_copy(parser, &token, word))
		return false;
	if (!parse_hex(word, &mask))
		return fail_expected(parser, "a mask of 32 bits in hexadecimal, such as 0xf0000000");
	if (!mask_is_good(mask))
		return fail_at(parser, &token, "the mask must have at least %d bits, all adjoining",
			       MARK_BITS_MIN);
	advance(parser);
	if (!expect_end(parser, "the end of the line") || !give(parser, &token, SETTING_MARK))
		return false;
	parser->ruleset->settings.mark_mask = mask;
	return true;
}

bool parse_connections(struct parser *parser) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1], expected[64];
	uint32_t number;

	snprintf(expected, sizeof expected, "a number from %d to %d", CONNECTIONS_MIN, CONNECTIONS_MAX);
	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, expected);
	if (!token_copy(parser, &token, word))
		return false;
	if (!number_parse(word, CONNECTIONS_MAX, &number) || number < CONNECTIONS_MIN)
		return fail_expected(parser, expected);
	advance(parser);
	if (!expect_end(parser, "the end of the line") || !give(parser, &token, SETTING_CONNECTIONS))
		return false;
	parser->ruleset->settings.connections = number;
	return true;
}

/* Seconds in the unit, 0: no such unit. */
static uint32_t unit_seconds(char unit) {
	switch (unit) {
	case 'd':
		return 24 * 3600;
	case 'h':
		return 3600;
	case 'm':
		return 60;
	case 's':
		return 1;
	default:
		return 0;
	}
}

bool duration_parse(const char *text, uint32_t *seconds) {
	uint32_t last_unit = UINT32_MAX, number;
	uint64_t total = 0;

	if (number_parse(text, DURATION_MAX, &number) && number > 0) {
		*seconds = number;
		return true;
	}
	while (*text) {
		size_t digits = strspn(text, "0123456789");
		uint32_t unit = unit_seconds(text[digits]);

		if (digits == 0 || digits > 8 || unit == 0 || unit >= last_unit)
			return false;
		total += strtoul(text, NULL, 10) * (uint64_t)unit;
		last_unit = unit;
		text += digits + 1;
	}
	if (total == 0 || total > DURATION_MAX)
		return false;
	*seconds = (uint32_t)total;
	return true;
}

static bool find_timeout(const struct token *token, enum timeout *timeout) {
	for (unsigned each = 0; each < TIMEOUTS; each++)
		if (token_is(token, timeout_name((enum timeout)each))) {
			*timeout = (enum timeout)each;
			return true;
		}
	return false;
}

static bool fail_timeout(struct parser *parser) {
	struct text names = {0}, sentence = {0};
	char *words, *expected;

	for (unsigned each = 0; each < TIMEOUTS; each++)
		text_printf(&names, "%s%s", each ? " " : "", timeout_name((enum timeout)each));
	words = text_take(&names);
	text_printf(&sentence, "the name of a timeout (%s)", words ? words : "");
	expected = text_take(&sentence);
	if (!words || !expected)
		fail_memory(parser);
	else
		fail_keyword(parser, words, expected);
	free(words);
	free(expected);
	return false;
}

bool parse_timeout(struct parser *parser) {
	static const char expected[] = "a time such as 90, 90s, 5m, 2h or 1d, at most 365 days";
	struct token name = parser->token, token;
	char word[WORD_MAX_BYTES + 1];
	enum timeout timeout;
	uint32_t seconds;

	if (!find_timeout(&name, &timeout))
		return fail_timeout(parser);
	advance(parser);
	token = parser->token;
	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, expected);
	if (!token_copy(parser, &token, word))
		return false;
	if (!duration_parse(word, &seconds))
		return fail_expected(parser, expected);
	advance(parser);
	if (!expect_end(parser, "the end of the line") ||
	    !give(parser, &name, (enum setting)(SETTING_TIMEOUT + (unsigned)timeout)))
		return false;
	parser->ruleset->settings.timeouts.seconds[timeout] = seconds;
	return true;
}
