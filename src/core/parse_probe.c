/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Probes: DIRECTION PROTO [TYPE] [from ADDRESS[:PORT]] [to [ADDRESS:]PORT | to ADDRESS] [on INTERFACE],
 * and the `expect` statement.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

struct endpoint {
	struct token token; /* text NULL: not given */
	bool has_addr, has_port;
	struct addr addr;
	uint16_t port;
};

static bool service_port(struct parser *parser, const struct token *token, const char *name, uint8_t protocol,
			 uint16_t *port) {
	const struct known_service *known = find_service(parser, name);

	if (!known)
		return false;
	for (size_t i = 0; i < known->count; i++)
		if (known->matches[i].protocol == protocol) {
			*port = known->matches[i].ports.lo;
			return true;
		}
	if (known->count)
		return fail_at(parser, token, "service `%s` has no port on %s", name,
			       protocol_name(protocol));
	return fail_service(parser, token, name, protocol_bit(protocol));
}

static bool parse_port(struct parser *parser, const char *text, uint8_t protocol, struct endpoint *endpoint) {
	uint32_t number;

	if (!protocol_has_ports(protocol))
		return fail_at(parser, &endpoint->token,
			       "this protocol has no ports; write the address alone");
	endpoint->has_port = true;
	if (text[strspn(text, "0123456789")] != '\0')
		return service_port(parser, &endpoint->token, text, protocol, &endpoint->port);
	if (!number_parse(text, 65535, &number))
		return fail_at(parser, &endpoint->token, "not a port: 0 to 65535");
	endpoint->port = (uint16_t)number;
	return true;
}

/* "[ADDRESS]" or "[ADDRESS]:PORT" */
static bool parse_bracketed(struct parser *parser, char *word, uint8_t protocol, struct endpoint *endpoint) {
	char *close = strchr(word, ']');

	if (!close)
		return fail_at(parser, &endpoint->token, "the closing ] is missing");
	*close = '\0';
	if (!addr_parse(word + 1, &endpoint->addr) || addr_family(&endpoint->addr) != FAMILY_IPV6)
		return fail_at(parser, &endpoint->token, "not an IPv6 address within [ ]");
	endpoint->has_addr = true;
	if (close[1] == '\0')
		return true;
	if (close[1] != ':')
		return fail_at(parser, &endpoint->token, "behind the ] only :PORT can follow");
	return parse_port(parser, close + 2, protocol, endpoint);
}

/* `bare_port`: a word without an address is a port (`to 22`). */
static bool parse_endpoint(struct parser *parser, uint8_t protocol, bool bare_port,
			   struct endpoint *endpoint) {
	char word[WORD_MAX_BYTES + 1], *colon;
	char quoted[QUOTE_TEXT];

	endpoint->token = parser->token;
	if (parser->token.kind != TOKEN_WORD)
		return fail_expected(parser, bare_port ? "a port, or an address and a port" : "an address");
	if (!token_copy(parser, &parser->token, word))
		return false;
	advance(parser);
	if (word[0] == '[')
		return parse_bracketed(parser, word, protocol, endpoint);
	if (addr_parse(word, &endpoint->addr))
		return endpoint->has_addr = true;
	colon = strchr(word, ':');
	if (colon && colon == strrchr(word, ':')) {
		*colon = '\0';
		if (!addr_parse(word, &endpoint->addr))
			return fail_at(parser, &endpoint->token, "not an address before the :");
		endpoint->has_addr = true;
		return parse_port(parser, colon + 1, protocol, endpoint);
	}
	if (bare_port && !colon && protocol_has_ports(protocol))
		return parse_port(parser, word, protocol, endpoint);
	return fail_at(parser, &endpoint->token, "%s is no address%s", quote(&endpoint->token, quoted),
		       colon ? " (IPv6 stands in brackets where a port follows)" : "");
}

static bool parse_interface(struct parser *parser, struct question *question) {
	struct interface_list list = {0};
	struct token token = parser->token;

	if (question->interface)
		return fail_at(parser, &token, "`on` stands here twice");
	if (!parse_interfaces(parser, &list) || list.count != 1 || list.negate ||
	    strchr(list.names[0], '*')) {
		if (list.count)
			fail_at(parser, &token, "a probe comes by one interface, written in full");
		strings_free(list.names, list.count);
		return false;
	}
	question->interface = list.names[0];
	free(list.names);
	return true;
}

static bool parse_protocol(struct parser *parser, uint8_t *protocol) {
	char word[WORD_MAX_BYTES + 1];
	struct nearest nearest;
	char quoted[QUOTE_TEXT], guess[HINT_TEXT];

	if (parser->token.kind != TOKEN_WORD)
		return fail_expected(parser, "a protocol such as `tcp`");
	if (!token_copy(parser, &parser->token, word))
		return false;
	if (protocol_parse(word, protocol)) {
		advance(parser);
		return true;
	}
	nearest = nearest_to(word);
	for (const struct number_name *each = protocol_names(); each->name; each++)
		nearest_see(each->name, &nearest);
	return fail_at(parser, &parser->token, "found %s, expected a protocol such as `tcp`%s",
		       quote(&parser->token, quoted), hint(&nearest, guess));
}

static bool parse_icmp_type(struct parser *parser, struct question *question) {
	struct port_list types = {0};
	struct token token = parser->token;
	bool ok;

	question->icmp_type = question->protocol == PROTOCOL_ICMP ? 8 : 128;
	if (at_end(parser) || at_word(parser, "from") || at_word(parser, "to") || at_word(parser, "on"))
		return true;
	ok = parse_types(parser, question->protocol, &types);
	if (ok && (types.count != 1 || types.ranges[0].lo != types.ranges[0].hi))
		ok = fail_at(parser, &token, "a probe has one message type");
	if (ok)
		question->icmp_type = (uint8_t)types.ranges[0].lo;
	free(types.ranges);
	return ok;
}

static bool parse_clause(struct parser *parser, struct question *question, struct endpoint *from,
			 struct endpoint *to) {
	struct token token = parser->token;

	if ((at_word(parser, "from") && from->token.text) || (at_word(parser, "to") && to->token.text))
		return fail_at(parser, &token, "`%.*s` stands here twice", (int)token.length, token.text);
	if (accept_word(parser, "from"))
		return parse_endpoint(parser, question->protocol, false, from);
	if (accept_word(parser, "to"))
		return parse_endpoint(parser, question->protocol, true, to);
	if (accept_word(parser, "on"))
		return parse_interface(parser, question);
	return fail_keyword(parser, "from to on", "`from`, `to`, `on` or the end of the probe");
}

/* The family that the addresses and the protocol ask for; a side without an address takes
 * the unspecified one of that family. */
static bool settle_family(struct parser *parser, uint8_t protocol, struct endpoint *from,
			  struct endpoint *to) {
	static const uint8_t zeroes[16];
	const struct endpoint *named = from->has_addr ? from : to->has_addr ? to : NULL;
	enum family family = named                         ? addr_family(&named->addr)
			     : protocol == PROTOCOL_ICMPV6 ? FAMILY_IPV6
							   : FAMILY_IPV4;
	struct addr unspecified = family == FAMILY_IPV4 ? addr_from_ipv4(zeroes) : addr_from_ipv6(zeroes);

	if (from->has_addr && to->has_addr && addr_family(&to->addr) != family)
		return fail_at(parser, &to->token, "`from` and `to` mix IPv4 and IPv6");
	if (named && protocol == (family == FAMILY_IPV4 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP))
		return fail_at(parser, &named->token, "%s does not go with this address; write %s",
			       protocol_name(protocol), family == FAMILY_IPV4 ? "icmp" : "icmpv6");
	if (!from->has_addr)
		from->addr = unspecified;
	if (!to->has_addr)
		to->addr = unspecified;
	return true;
}

static bool parse_question(struct parser *parser, struct question *question) {
	struct endpoint from = {0}, to = {0};

	if (!parse_direction(parser, &question->direction) || !parse_protocol(parser, &question->protocol))
		return false;
	if ((question->protocol == PROTOCOL_ICMP || question->protocol == PROTOCOL_ICMPV6) &&
	    !parse_icmp_type(parser, question))
		return false;
	while (!at_end(parser))
		if (!parse_clause(parser, question, &from, &to))
			return false;
	if (protocol_has_ports(question->protocol) && !to.has_port)
		return to.token.text
			   ? fail_at(parser, &to.token, "a port must follow the address: %s",
				     addr_family(&to.addr) == FAMILY_IPV4 ? "ADDRESS:PORT" : "[ADDRESS]:PORT")
			   : fail_expected(parser, "`to PORT`");
	if (!settle_family(parser, question->protocol, &from, &to))
		return false;
	question->from = from.addr;
	question->to = to.addr;
	question->from_port = from.port;
	question->to_port = to.port;
	return true;
}

bool parse_probe_words(struct parser *parser, struct question *question) {
	struct question parsed = {0};

	if (!parse_question(parser, &parsed)) {
		free((char *)parsed.interface);
		return false;
	}
	*question = parsed;
	return true;
}

/* The probe's words from here to the end, one blank apart. Reads ahead with a lexer of its own. */
static char *probe_text(const struct parser *parser) {
	struct lexer lexer = parser->lexer;
	struct token token = parser->token;
	struct text text = {0};

	while (token.kind == TOKEN_WORD) {
		if (text.length)
			text_puts(&text, " ");
		text_put(&text, token.text, token.length);
		lexer_next(&lexer, &token);
	}
	return text_take(&text);
}

bool parse_expect(struct parser *parser) {
	struct expectation expectation = {.place = parser->place}, *added;

	if (!parse_action(parser, &expectation.action))
		return false;
	expectation.text = probe_text(parser);
	if (!expectation.text)
		return fail_memory(parser);
	if (!parse_probe_words(parser, &expectation.question)) {
		free(expectation.text);
		return false;
	}
	added = array_add(&parser->ruleset->expectations, &parser->ruleset->expectation_count, sizeof *added);
	if (!added) {
		free(expectation.text);
		free((char *)expectation.question.interface);
		return fail_memory(parser);
	}
	*added = expectation;
	return true;
}

bool probe_parse(const char *text, const struct ruleset *ruleset, const struct world *world,
		 struct question *question, struct error *err) {
	struct diagnostics diagnostics = {0};
	struct ruleset names = {.services = ruleset ? ruleset->services : NULL,
				.service_count = ruleset ? ruleset->service_count : 0};
	struct parser parser = {.world = world, .diagnostics = &diagnostics, .ruleset = &names};
	bool ok;

	if (strchr(text, '\n'))
		return error_set(err, "probe: more than one line");
	lexer_open(&parser.lexer, text, strlen(text), 1);
	parser.place = (struct place){"probe", 1};
	advance(&parser);
	ok = know_services(&parser) && parse_probe_words(&parser, question);
	if (!ok)
		error_set(err, "probe: %s",
			  diagnostics.count ? diagnostics.items[0].message : "out of memory");
	diagnostics_free(&diagnostics);
	parser_free(&parser);
	return ok;
}
