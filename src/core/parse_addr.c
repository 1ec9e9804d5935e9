/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ADDRS and IFACES.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

enum { INTERFACE_MAX = 15 }; /* IFNAMSIZ - 1 */

bool count_member(struct parser *parser, const struct token *token) {
	if (++parser->members <= MEMBERS_MAX)
		return true;
	parser->stop = true;
	return fail_at(parser, token, "more than %d addresses in all sets and rules together", MEMBERS_MAX);
}

/* A prefix with bits behind its length: most likely the network is meant. */
static bool fail_host_bits(struct parser *parser, const struct token *token, const char *word) {
	char head[ADDR_TEXT], text[ADDR_RANGE_TEXT];
	size_t length = strcspn(word, "/");
	struct addr_range network;
	struct addr addr;

	memcpy(head, word, length);
	head[length] = '\0';
	if (!addr_parse(head, &addr))
		return false;
	network = addr_prefix(&addr, (unsigned)strtoul(word + length + 1, NULL, 10));
	return fail_at(parser, token, "%s has bits set behind its prefix length; the network is %s", word,
		       addr_range_print(&network, text));
}

static bool fail_range(struct parser *parser, const struct token *token, const char *word, const char *why) {
	char quoted[QUOTE_TEXT];

	if (strstr(why, "bits are set"))
		return fail_host_bits(parser, token, word);
	if (strcmp(why, "not an address") != 0)
		return fail_at(parser, token, "%s: %s", quote(token, quoted), why);
	if (strmap_get(&parser->sets, word))
		return fail_at(parser, token, "%s is no address; did you mean `@%s`, the set?",
			       quote(token, quoted), word);
	return fail_at(parser, token, "%s is no address, prefix (a/len) or range (a-b)",
		       quote(token, quoted));
}

bool parse_range(struct parser *parser, const struct token *token, struct addr_range *range) {
	char word[WORD_MAX_BYTES + 1];
	const char *why;

	if (!token_copy(parser, token, word) || !count_member(parser, token))
		return false;
	return addr_range_parse(word, range, &why) || fail_range(parser, token, word, why);
}

static bool fail_set(struct parser *parser, const struct token *token, const char *name) {
	struct nearest nearest = nearest_to(name);
	char quoted[QUOTE_TEXT], guess[HINT_TEXT];

	for (size_t i = 0; i < parser->ruleset->set_count; i++) {
		char known[NAME_MAX_BYTES + 2];

		snprintf(known, sizeof known, "@%s", parser->ruleset->sets[i]->name);
		nearest_see(known, &nearest);
	}
	fail_at(parser, token, "there is no set %s%s", quote(token, quoted), hint(&nearest, guess));
	note_missing(parser, name);
	return false;
}

static bool add_set(struct parser *parser, struct addr_list *list) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1];
	const struct set *set, **added;

	if (!token_copy(parser, &token, word))
		return false;
	set = strmap_get(&parser->sets, word + 1);
	if (!set)
		return fail_set(parser, &token, word);
	advance(parser);
	for (size_t i = 0; i < list->set_count; i++)
		if (list->sets[i] == set)
			return true;
	added = array_add(&list->sets, &list->set_count, sizeof(struct set *));
	if (!added)
		return fail_memory(parser);
	*added = set;
	return true;
}

static bool add_range(struct parser *parser, struct addr_list *list) {
	struct addr_range range, *added;

	if (!parse_range(parser, &parser->token, &range))
		return false;
	advance(parser);
	added = array_add(&list->ranges, &list->count, sizeof *added);
	if (!added)
		return fail_memory(parser);
	*added = range;
	return true;
}

static bool parse_item(struct parser *parser, struct addr_list *list) {
	if (parser->token.kind != TOKEN_WORD)
		return fail_expected(parser, "an address, a prefix, a range or `@` and a set's name");
	if (at_word(parser, "any"))
		return fail_at(parser, &parser->token, "`any` must stand alone");
	return parser->token.text[0] == '@' ? add_set(parser, list) : add_range(parser, list);
}

bool parse_addr_list(struct parser *parser, struct addr_list *list) {
	if (accept_word(parser, "any"))
		return parser->token.kind != TOKEN_COMMA ||
		       fail_at(parser, &parser->token, "`any` must stand alone");
	list->negate = accept_word(parser, "not");
	do {
		if (!parse_item(parser, list))
			return false;
	} while (accept_comma(parser));
	list->count = addr_ranges_normalize(list->ranges, list->count);
	array_trim(&list->ranges, list->count, sizeof *list->ranges);
	return true;
}

static bool parse_interface(struct parser *parser, struct interface_list *list) {
	const struct token *token = &parser->token;
	const char *star;
	char **added;

	if (token->kind != TOKEN_WORD)
		return fail_expected(parser, "the name of a network interface");
	if (token->length > INTERFACE_MAX)
		return fail_at(parser, token, "an interface's name has at most %d characters", INTERFACE_MAX);
	star = memchr(token->text, '*', token->length);
	if (star && star + 1 != token->text + token->length)
		return fail_at(parser, token, "a `*` can stand only at the end of an interface's name");
	if (list->negate && token->length == 1 && star)
		return fail_at(parser, token, "`not *` leaves no interface");
	if (memchr(token->text, '/', token->length) || memchr(token->text, ':', token->length))
		return fail_at(parser, token, "no `/` or `:` can stand in an interface's name");
	added = array_add(&list->names, &list->count, sizeof *added);
	if (added)
		*added = strndup(token->text, token->length);
	if (!added || !*added)
		return fail_memory(parser);
	advance(parser);
	return true;
}

bool parse_interfaces(struct parser *parser, struct interface_list *list) {
	list->negate = accept_word(parser, "not");
	do {
		if (!parse_interface(parser, list))
			return false;
	} while (accept_comma(parser));
	return true;
}
