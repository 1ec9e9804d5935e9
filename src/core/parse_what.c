/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * WHAT: `any`, protocols with their ports or types, or services.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

static bool starts_clause(const struct parser *parser) {
	return at_word(parser, "from") || at_word(parser, "to") || at_word(parser, "on") ||
	       at_word(parser, "strict");
}

static bool add_protocol(struct what *what, uint8_t protocol) {
	uint8_t *added;

	for (size_t i = 0; i < what->protocol_count; i++)
		if (what->protocols[i] == protocol)
			return true;
	added = array_add(&what->protocols, &what->protocol_count, sizeof *added);
	if (added)
		*added = protocol;
	return added;
}

static bool add_service_name(struct what *what, const char *name) {
	char **added;

	for (size_t i = 0; i < what->service_count; i++)
		if (strcmp(what->services[i], name) == 0)
			return true;
	added = array_add(&what->services, &what->service_count, sizeof *added);
	if (added)
		*added = strdup(name);
	return added && *added;
}

unsigned what_protocols(const struct what *what) {
	unsigned mask = 0;

	for (size_t i = 0; i < what->protocol_count; i++) {
		unsigned bit = protocol_bit(what->protocols[i]);

		if (!bit)
			return 0;
		mask |= bit;
	}
	for (size_t i = 0; what->service_count && i < what->count; i++)
		mask |= protocol_bit(what->matches[i].protocol);
	return mask;
}

static bool is_number(const char *word) {
	return word[0] && word[strspn(word, "0123456789")] == '\0';
}

/* A port written where a protocol belongs is the commonest slip. */
static bool check_number(struct parser *parser, const struct token *token, const char *word,
			 const struct what *what) {
	uint8_t protocol;

	if (!is_number(word))
		return true;
	if (!protocol_parse(word, &protocol))
		return fail_at(parser, token,
			       "a number alone is a protocol, 0 to 255; for the port write `tcp %s`", word);
	if (!protocol_name(protocol) && what_protocols(what))
		return fail_at(parser, token, "a port after a comma; write it after a blank, as in `tcp %s`",
			       word);
	if (!protocol_name(protocol))
		warn_at(parser, token, "this is the protocol number %s; for the port write `tcp %s`", word,
			word);
	return true;
}

static bool add_service_matches(struct parser *parser, const struct token *token, const char *name,
				struct what *what) {
	const struct known_service *known = find_service(parser, name);

	if (!known)
		return false;
	if (known->count == 0)
		return fail_service(parser, token, name, 0);
	for (size_t i = 0; i < known->count; i++) {
		struct match *match = array_add(&what->matches, &what->count, sizeof *match);

		if (!match)
			return fail_memory(parser);
		*match = known->matches[i];
	}
	return add_service_name(what, name) || fail_memory(parser);
}

/* One item of the list; the first decides of what kind the list is. */
static bool parse_item(struct parser *parser, struct what *what) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1];
	uint8_t protocol;

	if (token.kind != TOKEN_WORD)
		return fail_keyword(parser, "", "a protocol, a service or `any`");
	if (!token_copy(parser, &token, word))
		return false;
	if (strcmp(word, "any") == 0)
		return fail_at(parser, &token, "`any` must stand alone");
	if (strcmp(word, "strict") == 0)
		return fail_at(parser, &token, "`strict` stands at the end, as in `allow in tcp 21 strict`");
	if (!check_number(parser, &token, word, what))
		return false;
	if (protocol_parse(word, &protocol)) {
		if (what->service_count)
			return fail_at(parser, &token,
				       "`%s` is a protocol; a list has protocols or services, not both",
				       word);
		advance(parser);
		return add_protocol(what, protocol) || fail_memory(parser);
	}
	if (what->protocol_count && find_service(parser, word) && find_service(parser, word)->count)
		return fail_at(parser, &token,
			       "`%s` is a service; a list has protocols or services, not both", word);
	advance(parser);
	return add_service_matches(parser, &token, word, what);
}

static bool is_icmp(const struct what *what) {
	return what->protocol_count == 1 &&
	       (what->protocols[0] == PROTOCOL_ICMP || what->protocols[0] == PROTOCOL_ICMPV6);
}

bool fail_log(struct parser *parser) {
	return fail_at(parser, &parser->token,
		       "`log` stands behind the direction, as in `drop in log telnet`");
}

static bool fail_port_word(struct parser *parser) {
	return fail_at(parser, &parser->token,
		       "no `%.*s` is written here; the port follows the protocol, as in `tcp 22`",
		       (int)parser->token.length, parser->token.text);
}

static bool fail_no_ports(struct parser *parser, const struct what *what) {
	if (parser->token.kind != TOKEN_WORD)
		return fail_keyword(parser, "", CLAUSES);
	if (what->service_count)
		return fail_keyword(parser, CLAUSE_WORDS, CLAUSES " (a service has its ports already)");
	if (what->protocol_count > 1)
		return fail_keyword(parser, CLAUSE_WORDS,
				    CLAUSES " (ports can follow a list only of tcp and udp)");
	if (what->any)
		return fail_keyword(parser, CLAUSE_WORDS, CLAUSES " (ports need tcp or udp)");
	return fail_keyword(parser, CLAUSE_WORDS, CLAUSES " (this protocol has no ports)");
}

bool parse_what(struct parser *parser, struct what *what, struct ports *ports) {
	if (accept_word(parser, "any")) {
		what->any = true;
		if (parser->token.kind == TOKEN_COMMA)
			return fail_at(parser, &parser->token, "`any` must stand alone");
	} else {
		do {
			if (!parse_item(parser, what))
				return false;
		} while (accept_comma(parser));
	}
	if (at_end(parser) || starts_clause(parser))
		return true;
	if (at_word(parser, "log"))
		return fail_log(parser);
	if (what->protocol_count &&
	    (at_word(parser, "port") || at_word(parser, "dport") || at_word(parser, "ports")))
		return fail_port_word(parser);
	if (is_icmp(what))
		return parse_types(parser, what->protocols[0], &what->ports);
	if (what->protocol_count && what_protocols(what))
		return parse_ports(parser, what_protocols(what), ports);
	return fail_no_ports(parser, what);
}

static bool add_match(struct what *what, uint8_t protocol, struct port_range range) {
	struct match *added = array_add(&what->matches, &what->count, sizeof *added);

	if (added)
		*added = (struct match){protocol, range};
	return added;
}

bool what_resolve(struct parser *parser, struct what *what) {
	static const struct port_range whole = {0, 65535};

	for (size_t i = 0; i < what->protocol_count; i++) {
		if (what->ports.count == 0 && !add_match(what, what->protocols[i], whole))
			return fail_memory(parser);
		for (size_t j = 0; j < what->ports.count; j++)
			if (!add_match(what, what->protocols[i], what->ports.ranges[j]))
				return fail_memory(parser);
	}
	match_list_normalize(what->matches, &what->count);
	array_trim(&what->matches, what->count, sizeof *what->matches);
	return true;
}
