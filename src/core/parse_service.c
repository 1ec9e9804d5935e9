/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Service names: `service NAME = tcp PORTS, udp PORTS`, the system's database, and a few
 * names that the database commonly lacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

/* Used only where the database knows the name on neither protocol. 0: no port. */
static const struct alias {
	const char *name;
	uint16_t tcp, udp;
} aliases[] = {
    {"dns", 53, 53},       {"docker", 2375, 0},     {"elasticsearch", 9200, 0}, {"grafana", 3000, 0},
    {"imaps", 993, 0},     {"kubernetes", 6443, 0}, {"mdns", 0, 5353},          {"memcached", 11211, 11211},
    {"mongodb", 27017, 0}, {"mysql", 3306, 0},      {"node-exporter", 9100, 0}, {"openvpn", 1194, 1194},
    {"postgres", 5432, 0}, {"postgresql", 5432, 0}, {"prometheus", 9090, 0},    {"rdp", 3389, 3389},
    {"redis", 6379, 0},    {"smb", 445, 0},         {"submission", 587, 0},     {"submissions", 465, 0},
    {"vnc", 5900, 0},      {"wireguard", 0, 51820},
};

unsigned protocol_bit(uint8_t protocol) {
	return protocol == PROTOCOL_TCP ? HAS_TCP : protocol == PROTOCOL_UDP ? HAS_UDP : 0;
}

uint8_t protocol_of_kind(unsigned kind) {
	return kind == PORTS_TCP ? PROTOCOL_TCP : PROTOCOL_UDP;
}

static bool add_port(struct known_service *known, uint8_t protocol, uint16_t port) {
	struct match *match = array_add(&known->matches, &known->count, sizeof *match);

	if (match)
		*match = (struct match){protocol, {port, port}};
	return match;
}

static bool ask_aliases(struct known_service *known) {
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcmp(aliases[i].name, known->name) == 0)
			return (!aliases[i].tcp || add_port(known, PROTOCOL_TCP, aliases[i].tcp)) &&
			       (!aliases[i].udp || add_port(known, PROTOCOL_UDP, aliases[i].udp));
	return true;
}

/* Fills known->matches; false: out of memory. */
static bool ask_world(const struct world *world, struct known_service *known) {
	for (unsigned kind = 0; kind < PORTS_KINDS; kind++) {
		uint16_t port;

		if (world->service(world->context, known->name, protocol_of_kind(kind), &port) &&
		    !add_port(known, protocol_of_kind(kind), port))
			return false;
	}
	return known->count > 0 || ask_aliases(known);
}

static struct known_service *remember(struct parser *parser, const char *name, bool of_system) {
	struct known_service *known = calloc(1, sizeof *known), **added;

	if (!known)
		return NULL;
	*known = (struct known_service){.name = strdup(name), .place = parser->place, .of_system = of_system};
	added = known->name ? array_add(&parser->known, &parser->known_count, sizeof(struct known_service *))
			    : NULL;
	if (added && strmap_put(&parser->services, known->name, known))
		return *added = known;
	parser->known_count -= added != NULL;
	free(known->name);
	free(known);
	return NULL;
}

const struct known_service *find_service(struct parser *parser, const char *name) {
	struct known_service *known = strmap_get(&parser->services, name);

	if (known)
		return known;
	known = remember(parser, name, true);
	if (known && ask_world(parser->world, known))
		return known;
	fail_memory(parser);
	return NULL;
}

bool fail_service(struct parser *parser, const struct token *token, const char *name, unsigned protocols) {
	struct nearest nearest = nearest_to(name);
	const struct known_service *known = strmap_get(&parser->services, name);
	char quoted[QUOTE_TEXT], guess[HINT_TEXT];

	if (known && !known->of_system) /* its definition is in error, which was reported */
		return false;
	nearest_words(&nearest, CLAUSE_WORDS " any not port log well-known registered dynamic");
	for (const struct number_name *each = protocol_names(); !protocols && each->name; each++)
		nearest_see(each->name, &nearest);
	for (size_t i = 0; i < parser->ruleset->service_count; i++)
		nearest_see(parser->ruleset->services[i].name, &nearest);
	parser->world->each_service(parser->world->context, nearest_see, &nearest);
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		nearest_see(aliases[i].name, &nearest);
	fail_at(parser, token, "%s is no known %s%s", quote(token, quoted),
		protocols ? "port or service" : "protocol or service", hint(&nearest, guess));
	note_missing(parser, name);
	return false;
}

/* Words that mean something else where a service name could stand. */
static bool is_reserved(const char *name) {
	static const char *const words[] = {"any",        "from",    "to",        "on",  "not",
					    "port",       "in",      "out",       "log", "strict",
					    "well-known", "dynamic", "registered"};
	uint8_t protocol;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return protocol_parse(name, &protocol);
}

static bool may_define(struct parser *parser, const struct token *token, const char *name) {
	const struct known_service *known = strmap_get(&parser->services, name);

	if (!name_is_valid(name))
		return fail_at(parser, token,
			       "a service's name has letters, digits, `-`, `_` and `.`, a letter first, "
			       "at most %d of them",
			       NAME_MAX_BYTES);
	if (is_reserved(name))
		return fail_at(parser, token, "`%s` has a meaning of its own; choose another name", name);
	if (known && !known->of_system)
		return fail_at(parser, token, "service `%s` is already defined at %s:%u", name,
			       known->place.file, known->place.line);
	if (known && known->count)
		return fail_at(parser, token,
			       "`%s` was already used at %s:%u, with the system's port; move this line up",
			       name, known->place.file, known->place.line);
	return true;
}

/* A definition may have asked for the system's meaning of its own name: `service ssh = tcp ssh, tcp 2222`. */
static void forget_system(struct known_service *known) {
	if (known->of_system)
		free(known->matches);
	known->matches = NULL;
	known->count = 0;
	known->of_system = false;
}

static void mean(struct known_service *known, const struct service *service) {
	forget_system(known);
	known->matches = service->matches;
	known->count = service->count;
	known->place = service->place;
}

bool know_services(struct parser *parser) {
	const struct ruleset *ruleset = parser->ruleset;

	for (size_t i = 0; i < ruleset->service_count; i++) {
		struct known_service *known = remember(parser, ruleset->services[i].name, false);

		if (!known)
			return fail_memory(parser);
		mean(known, &ruleset->services[i]);
	}
	return true;
}

/* Takes `service` over. */
static bool define(struct parser *parser, struct service *service) {
	struct known_service *known = strmap_get(&parser->services, service->name);
	struct service *added;

	if (!known)
		known = remember(parser, service->name, false);
	added = known ? array_add(&parser->ruleset->services, &parser->ruleset->service_count, sizeof *added)
		      : NULL;
	if (!added)
		return fail_memory(parser);
	match_list_normalize(service->matches, &service->count);
	*added = *service;
	mean(known, added);
	memset(service, 0, sizeof *service);
	found_missing(parser, added->name);
	return true;
}

/* `tcp PORTS`; *more where a comma and another protocol follow. */
static bool parse_member(struct parser *parser, struct service *service, bool *more) {
	unsigned kind = at_word(parser, "udp") ? PORTS_UDP : PORTS_TCP;
	struct ports ports = {0};
	bool ok;

	if (!at_word(parser, "tcp") && !at_word(parser, "udp"))
		return fail_keyword(parser, "tcp udp", "`tcp` or `udp` and its ports");
	advance(parser);
	ok = parse_service_ports(parser, 1u << kind, &ports, more);
	for (size_t i = 0; ok && i < ports.by[kind].count; i++) {
		struct match *match = array_add(&service->matches, &service->count, sizeof *match);

		if (match)
			*match = (struct match){protocol_of_kind(kind), ports.by[kind].ranges[i]};
		else
			ok = fail_memory(parser);
	}
	ports_clear(&ports);
	return ok;
}

static bool parse_members(struct parser *parser, struct service *service) {
	bool more = true;

	while (more)
		if (!parse_member(parser, service, &more))
			return false;
	return expect_end(parser, "a comma or the end of the line");
}

/* So that its uses are no errors too. */
static void remember_failed(struct parser *parser, const char *name) {
	struct known_service *known = strmap_get(&parser->services, name);

	if (known)
		forget_system(known);
	else
		remember(parser, name, false);
}

bool parse_service(struct parser *parser) {
	struct token token = parser->token;
	struct service service = {.place = parser->place};
	char name[WORD_MAX_BYTES + 1];
	bool ok;

	if (token.kind != TOKEN_WORD)
		return fail_expected(parser, "a name for the service");
	if (!token_copy(parser, &token, name) || !may_define(parser, &token, name))
		return false;
	advance(parser);
	if (parser->token.kind != TOKEN_EQUALS)
		return fail_expected(parser, "`=`");
	advance(parser);
	if (!parse_members(parser, &service)) {
		service_clear(&service);
		remember_failed(parser, name);
		return false;
	}
	service.name = strdup(name);
	ok = service.name ? define(parser, &service) : fail_memory(parser);
	service_clear(&service);
	return ok;
}
