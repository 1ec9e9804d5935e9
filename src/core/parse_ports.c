/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PORTS: numbers, ranges, classes and service names, and their complement; ICMP types.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

static const struct port_class {
	const char *name;
	struct port_range range;
} classes[] = {
    {"well-known", {0, 1023}},
    {"registered", {1024, 49151}},
    {"dynamic", {49152, 65535}},
};

void ports_clear(struct ports *ports) {
	for (unsigned kind = 0; kind < PORTS_KINDS; kind++)
		free(ports->by[kind].ranges);
	memset(ports, 0, sizeof *ports);
}

static bool add_to_all(struct parser *parser, unsigned protocols, struct ports *ports,
		       struct port_range range) {
	for (unsigned kind = 0; kind < PORTS_KINDS; kind++)
		if ((protocols & 1u << kind) && !port_list_add(&ports->by[kind], range))
			return fail_memory(parser);
	return true;
}

/* "N" or "N-M" with digits alone. */
static bool looks_like_numbers(const char *word) {
	size_t digits = strspn(word, "0123456789");

	if (digits == 0)
		return false;
	return word[digits] == '\0' ||
	       (word[digits] == '-' && word[digits + 1 + strspn(word + digits + 1, "0123456789")] == '\0');
}

static bool parse_numbers(struct parser *parser, const struct token *token, char *word, uint32_t max,
			  struct port_range *range) {
	char *dash = strchr(word, '-');
	uint32_t lo, hi;

	if (dash)
		*dash = '\0';
	if (!number_parse(word, max, &lo) || !number_parse(dash ? dash + 1 : word, max, &hi))
		return fail_at(parser, token, "not a number or range within 0 to %u", max);
	if (lo > hi)
		return fail_at(parser, token, "the range runs from high to low");
	*range = (struct port_range){(uint16_t)lo, (uint16_t)hi};
	return true;
}

static bool add_service(struct parser *parser, const struct token *token, const char *name,
			unsigned protocols, struct ports *ports) {
	const struct known_service *known = find_service(parser, name);
	unsigned found = 0;

	if (!known)
		return false;
	if (known->count == 0)
		return fail_service(parser, token, name, protocols);
	for (size_t i = 0; i < known->count; i++) {
		unsigned bit = protocol_bit(known->matches[i].protocol) & protocols;

		found |= bit;
		if (bit && !add_to_all(parser, bit, ports, known->matches[i].ports))
			return false;
	}
	if (!found)
		return fail_at(parser, token, "service `%s` has no port on %s, only on %s", name,
			       protocols & HAS_TCP ? "tcp" : "udp", protocols & HAS_TCP ? "udp" : "tcp");
	if (found != protocols)
		warn_at(parser, token, "service `%s` has no port on %s; this matches %s alone", name,
			found & HAS_TCP ? "udp" : "tcp", found & HAS_TCP ? "tcp" : "udp");
	return true;
}

static bool parse_port(struct parser *parser, unsigned protocols, struct ports *ports) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1];
	struct port_range range = {0, 0};

	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, "a port, a range of ports, a service name or a port class");
	if (!token_copy(parser, &token, word))
		return false;
	advance(parser);
	if (looks_like_numbers(word))
		return parse_numbers(parser, &token, word, 65535, &range) &&
		       add_to_all(parser, protocols, ports, range);
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strcmp(classes[i].name, word) == 0)
			return add_to_all(parser, protocols, ports, classes[i].range);
	return add_service(parser, &token, word, protocols, ports);
}

static bool invert(struct parser *parser, const struct token *token, struct port_list *list, uint16_t max) {
	if (!port_list_invert(list, max))
		return fail_memory(parser);
	return list->count > 0 || fail_at(parser, token, "nothing is left: every one is excluded");
}

static bool finish_ports(struct parser *parser, const struct token *token, unsigned protocols, bool negate,
			 struct ports *ports) {
	ports->given = true;
	for (unsigned kind = 0; kind < PORTS_KINDS; kind++) {
		if (!(protocols & 1u << kind))
			continue;
		port_list_normalize(&ports->by[kind]);
		if (negate && !invert(parser, token, &ports->by[kind], 65535))
			return false;
	}
	return true;
}

bool parse_service_ports(struct parser *parser, unsigned protocols, struct ports *ports, bool *more) {
	struct token token = parser->token;
	bool negate = accept_word(parser, "not");

	*more = false;
	do {
		if (!parse_port(parser, protocols, ports))
			return false;
		if (!accept_comma(parser))
			break;
		*more = at_word(parser, "tcp") || at_word(parser, "udp");
	} while (!*more);
	return finish_ports(parser, &token, protocols, negate, ports);
}

bool parse_ports(struct parser *parser, unsigned protocols, struct ports *ports) {
	struct token token = parser->token;
	bool negate = accept_word(parser, "not");

	do {
		if (!parse_port(parser, protocols, ports))
			return false;
	} while (accept_comma(parser));
	return finish_ports(parser, &token, protocols, negate, ports);
}

static bool fail_type(struct parser *parser, const struct token *token, uint8_t protocol, const char *word) {
	struct nearest nearest = nearest_to(word);
	char quoted[QUOTE_TEXT], guess[HINT_TEXT];

	nearest_words(&nearest, CLAUSE_WORDS " not");
	for (const struct number_name *each = icmp_type_names(protocol); each->name; each++)
		nearest_see(each->name, &nearest);
	return fail_at(parser, token, "%s is no known %s type%s", quote(token, quoted),
		       protocol_name(protocol), hint(&nearest, guess));
}

static bool parse_type(struct parser *parser, uint8_t protocol, struct port_list *types) {
	struct token token = parser->token;
	char word[WORD_MAX_BYTES + 1];
	struct port_range range = {0, 0};
	uint8_t type;

	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, "a message type by name or number");
	if (!token_copy(parser, &token, word))
		return false;
	if (looks_like_numbers(word)) {
		if (!parse_numbers(parser, &token, word, 255, &range))
			return false;
	} else if (icmp_type_parse(protocol, word, &type)) {
		range = (struct port_range){type, type};
	} else {
		return fail_type(parser, &token, protocol, word);
	}
	advance(parser);
	return port_list_add(types, range) || fail_memory(parser);
}

bool parse_types(struct parser *parser, uint8_t protocol, struct port_list *types) {
	struct token token = parser->token;
	bool negate = accept_word(parser, "not");

	do {
		if (!parse_type(parser, protocol, types))
			return false;
	} while (accept_comma(parser));
	port_list_normalize(types);
	return !negate || invert(parser, &token, types, 255);
}
