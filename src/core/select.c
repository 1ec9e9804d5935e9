/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words behind `list` and `kill`: which connections are meant.
 */
#include "sallyport/core/select.h"

#include <stdio.h>
#include <string.h>

#include "names.h"
#include "sallyport/core/nearest.h"

/* ---- words that want a value behind them ---- */

static bool parse_port(const char *text, uint16_t *port) {
	uint32_t number;

	if (!number_parse(text, UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

/* "22" or "8000-8999". */
static bool parse_ports(const char *text, struct port_range *ports, struct error *err) {
	const char *dash = strchr(text, '-');
	size_t length = dash ? (size_t)(dash - text) : strlen(text);
	char lo[8];

	if (length < sizeof(lo)) {
		memcpy(lo, text, length);
		lo[length] = '\0';
		if (parse_port(lo, &ports->lo) && parse_port(dash ? dash + 1 : lo, &ports->hi) &&
		    ports->lo <= ports->hi)
			return true;
	}
	return error_set(err, "\"%s\" is not a port (0 to 65535) or a range of ports (like 8000-8999)", text);
}

static bool parse_range(const char *text, struct addr_range *range, struct error *err) {
	const char *why;

	if (addr_range_parse(text, range, &why))
		return true;
	return error_set(err, "\"%s\": %s (an address, ADDRESS/LENGTH or ADDRESS-ADDRESS is expected)", text,
			 why);
}

static bool take_port(struct selection *selection, const char *value, struct error *err) {
	selection->has_port = true;
	return parse_ports(value, &selection->port, err);
}

static bool take_local_port(struct selection *selection, const char *value, struct error *err) {
	selection->has_local_port = true;
	return parse_ports(value, &selection->local_port, err);
}

static bool take_remote_port(struct selection *selection, const char *value, struct error *err) {
	selection->has_remote_port = true;
	return parse_ports(value, &selection->remote_port, err);
}

static bool take_address(struct selection *selection, const char *value, struct error *err) {
	selection->has_address = true;
	return parse_range(value, &selection->address, err);
}

static bool take_local(struct selection *selection, const char *value, struct error *err) {
	selection->has_local = true;
	return parse_range(value, &selection->local, err);
}

static bool take_remote(struct selection *selection, const char *value, struct error *err) {
	selection->has_remote = true;
	return parse_range(value, &selection->remote, err);
}

/* As states are printed: SYN_SENT. */
static char upper_state(char c) {
	if (c == '-')
		return '_';
	return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

/* NEW and REPLIED are states of several protocols. */
static bool shares_an_earlier_name(unsigned state) {
	return states_named(state_name(state)) & ((1u << state) - 1);
}

static bool unknown_state(const char *name, struct error *err) {
	char names[160] = "", upper[NEAREST_MAX + 1] = "";
	struct nearest nearest;

	for (size_t i = 0; i < NEAREST_MAX && name[i]; i++)
		upper[i] = upper_state(name[i]);
	nearest = nearest_to(upper);
	for (unsigned state = 0; state < STATES; state++) {
		size_t length = strlen(names);
		if (shares_an_earlier_name(state))
			continue;
		nearest_see(state_name(state), &nearest);
		snprintf(names + length, sizeof(names) - length, "%s%s", state ? ", " : "",
			 state_name(state));
	}
	if (nearest.best[0])
		return error_set(err, "\"%s\" is not a state: did you mean %s?", name, nearest.best);
	return error_set(err, "\"%s\" is not a state (%s)", name, names);
}

static bool take_state(struct selection *selection, const char *value, struct error *err) {
	for (const char *at = value; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		size_t length = strcspn(at, ",");
		char name[32];
		uint32_t states;

		snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name) - 1),
			 at);
		states = length < sizeof(name) ? states_named(name) : 0;
		if (states == 0)
			return unknown_state(name, err);
		selection->states |= states;
	}
	return true;
}

/* "7", "web.rules:7", "default". */
static bool take_rule(struct selection *selection, const char *value, struct error *err) {
	const char *colon = strrchr(value, ':');
	const char *line = colon ? colon + 1 : value;
	size_t length = colon ? (size_t)(colon - value) : 0;
	uint32_t number;

	selection->has_rule = true;
	if (strcmp(value, "default") == 0) {
		selection->rule_default = true;
		return true;
	}
	if (!number_parse(line, INT32_MAX, &number) || number == 0 || (colon && length == 0))
		return error_set(err, "\"%s\" does not name a rule (LINE, FILE:LINE or default is expected)",
				 value);
	if (length >= sizeof(selection->rule_file))
		return error_set(err, "the file name in \"%.40s...\" is too long", value);
	selection->rule_line = number;
	memcpy(selection->rule_file, value, length);
	selection->rule_file[length] = '\0';
	return true;
}

static bool take_protocol(struct selection *selection, const char *value, struct error *err) {
	selection->has_protocol = true;
	if (protocol_parse(value, &selection->protocol))
		return true;
	return error_set(err, "\"%s\" is not a protocol (a name or 0 to 255 is expected)", value);
}

enum kind { KIND_DIRECTION, KIND_PROTOCOL, KIND_ALL, KIND_VALUES };

static const struct value_word {
	const char *name;
	const char *wants;
	bool (*take)(struct selection *selection, const char *value, struct error *err);
} value_words[] = {
    {"protocol", "a name or number", take_protocol},
    {"state", "a state, or several with commas", take_state},
    {"port", "a port or range", take_port},
    {"local-port", "a port or range", take_local_port},
    {"remote-port", "a port or range", take_remote_port},
    {"address", "an address, prefix or range", take_address},
    {"local", "an address, prefix or range", take_local},
    {"remote", "an address, prefix or range", take_remote},
    {"rule", "LINE, FILE:LINE or default", take_rule},
};

enum { VALUE_WORDS = sizeof(value_words) / sizeof(*value_words) };

static const struct value_word *value_word(const char *name) {
	for (size_t i = 0; i < VALUE_WORDS; i++)
		if (strcmp(value_words[i].name, name) == 0)
			return &value_words[i];
	return NULL;
}

/* ---- words that stand alone ---- */

static bool unknown_word(const char *word, struct error *err) {
	struct nearest nearest = nearest_to(word);
	struct addr_range range;
	const char *why;

	if (word[0] != '\0' && strspn(word, "0123456789-") == strlen(word))
		return error_set(err, "%s: a number of what? Write \"port %s\" or \"rule %s\"", word, word,
				 word);
	if (addr_range_parse(word, &range, &why))
		return error_set(err, "%s: write \"address %s\"", word, word);
	nearest_see("in", &nearest);
	nearest_see("out", &nearest);
	nearest_see("all", &nearest);
	for (size_t i = 0; i < VALUE_WORDS; i++)
		nearest_see(value_words[i].name, &nearest);
	for (const struct number_name *name = protocol_names(); name->name; name++)
		nearest_see(name->name, &nearest);
	if (nearest.best[0])
		return error_set(err, "%s: did you mean %s?", word, nearest.best);
	return error_set(err,
			 "%s: not understood; in, out, a protocol, state, port, local-port, remote-port, "
			 "address, local, remote, rule or all is expected",
			 word);
}

static bool is_direction(const char *word, enum direction *direction) {
	if (strcmp(word, direction_name(DIRECTION_IN)) == 0)
		*direction = DIRECTION_IN;
	else if (strcmp(word, direction_name(DIRECTION_OUT)) == 0)
		*direction = DIRECTION_OUT;
	else
		return false;
	return true;
}

static bool is_protocol_name(const char *word, uint8_t *protocol) {
	return word[strspn(word, "0123456789")] != '\0' && protocol_parse(word, protocol);
}

/* What a word is about, so that nothing stands twice: a bit. 0: unknown. */
static unsigned word_kind(const char *word) {
	const struct value_word *value = value_word(word);
	enum direction direction;
	uint8_t protocol;

	if (is_direction(word, &direction))
		return 1u << KIND_DIRECTION;
	if (is_protocol_name(word, &protocol) || (value && value->take == take_protocol))
		return 1u << KIND_PROTOCOL;
	if (strcmp(word, "all") == 0)
		return 1u << KIND_ALL;
	return value ? 1u << (KIND_VALUES + (value - value_words)) : 0;
}

/* Takes one word, and its value where it wants one. Returns how many words that were; 0: *err. */
static size_t take_word(struct selection *selection, const char *const *words, size_t left,
			struct error *err) {
	const struct value_word *value = value_word(words[0]);

	if (value && left < 2) {
		error_set(err, "%s: %s is expected behind it", value->name, value->wants);
		return 0;
	}
	if (value)
		return value->take(selection, words[1], err) ? 2 : 0;
	if (is_direction(words[0], &selection->direction))
		selection->has_direction = true;
	else if (is_protocol_name(words[0], &selection->protocol))
		selection->has_protocol = true;
	else
		selection->everything = true;
	return 1;
}

bool selection_parse(const char *const *words, size_t count, struct selection *selection, struct error *err) {
	struct selection parsed = {.everything = count == 0};
	unsigned seen = 0;

	for (size_t at = 0, taken; at < count; at += taken) {
		unsigned kind = word_kind(words[at]);
		if (kind == 0)
			return unknown_word(words[at], err);
		if (seen & kind)
			return error_set(err, "%s: there is one %s already", words[at],
					 kind == 1u << KIND_DIRECTION  ? "direction"
					 : kind == 1u << KIND_PROTOCOL ? "protocol"
								       : words[at]);
		seen |= kind;
		taken = take_word(&parsed, words + at, count - at, err);
		if (taken == 0)
			return false;
	}
	if (parsed.everything && count > 1)
		return error_set(err, "all: means every connection, so nothing else may stand beside it");
	*selection = parsed;
	return true;
}

/* ---- matching ---- */

static bool in_ports(const struct port_range *range, uint16_t port) {
	return range->lo <= port && port <= range->hi;
}

/* The key of an ICMP query has an identifier where the ports stand; nobody means that. */
static bool ports_match(const struct selection *selection, const struct key *key) {
	if (!selection->has_port && !selection->has_local_port && !selection->has_remote_port)
		return true;
	if (key->protocol != PROTOCOL_TCP && key->protocol != PROTOCOL_UDP)
		return false;
	if (selection->has_port && !in_ports(&selection->port, key->local_port) &&
	    !in_ports(&selection->port, key->remote_port))
		return false;
	if (selection->has_local_port && !in_ports(&selection->local_port, key->local_port))
		return false;
	return !selection->has_remote_port || in_ports(&selection->remote_port, key->remote_port);
}

static bool addresses_match(const struct selection *selection, const struct key *key) {
	if (selection->has_address && !addr_range_contains(&selection->address, &key->local) &&
	    !addr_range_contains(&selection->address, &key->remote))
		return false;
	if (selection->has_local && !addr_range_contains(&selection->local, &key->local))
		return false;
	return !selection->has_remote || addr_range_contains(&selection->remote, &key->remote);
}

static bool file_matches(const char *wanted, const char *file) {
	const char *slash = strrchr(file, '/');

	return wanted[0] == '\0' || strcmp(wanted, file) == 0 || (slash && strcmp(wanted, slash + 1) == 0);
}

static bool rule_matches(const struct selection *selection, const struct connection *connection,
			 const struct place *place) {
	if (!selection->has_rule)
		return true;
	if (selection->rule_default) /* address translation was not allowed by the default either */
		return !place && !(connection->flags & CONNECTION_LEARNED);
	return place && place->line == selection->rule_line &&
	       file_matches(selection->rule_file, place->file);
}

bool selection_matches(const struct selection *selection, const struct key *key,
		       const struct connection *connection, const struct place *place) {
	if (selection->has_direction && connection->direction != selection->direction)
		return false;
	if (selection->has_protocol && key->protocol != selection->protocol)
		return false;
	/* What was cut is shown only where it is asked for. */
	if (!selection->states && connection->state == STATE_CUT)
		return false;
	if (selection->states && !(selection->states & 1u << connection->state))
		return false;
	return ports_match(selection, key) && addresses_match(selection, key) &&
	       rule_matches(selection, connection, place);
}
