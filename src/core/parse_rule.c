/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A rule: its clauses in any order, and what becomes of a port name that stands for other
 * ports on TCP than on UDP: one rule each.
 */
#include <stdlib.h>
#include <string.h>

#include "parser.h"

/* A rule being read. `what` holds the ports after the protocol. */
struct draft {
	struct rule rule;
	struct ports what, from, to;
	struct token from_token, to_token, on_token, strict_token; /* text NULL: not given */
};

static void draft_clear(struct draft *draft) {
	rule_clear(&draft->rule);
	ports_clear(&draft->what);
	ports_clear(&draft->from);
	ports_clear(&draft->to);
}

static bool once(struct parser *parser, struct token *seen) {
	if (seen->text)
		return fail_at(parser, &parser->token, "`%.*s` stands here twice", (int)parser->token.length,
			       parser->token.text);
	*seen = parser->token;
	advance(parser);
	return true;
}

/* ADDRS [port PORTS], or `port PORTS` alone. */
static bool parse_side(struct parser *parser, const struct what *what, struct addr_list *addrs,
		       struct ports *ports) {
	unsigned protocols = what_protocols(what);

	if (!at_word(parser, "port") && !parse_addr_list(parser, addrs))
		return false;
	if (!at_word(parser, "port"))
		return true;
	if (!protocols)
		return fail_at(parser, &parser->token, "`port` needs a rule about tcp, udp or services");
	advance(parser);
	return parse_ports(parser, protocols, ports);
}

static bool parse_strict(struct parser *parser, struct draft *draft) {
	struct rule *rule = &draft->rule;

	if (rule->action != ACTION_ALLOW)
		return fail_at(parser, &parser->token,
			       "`strict` is for `allow` rules: what a rule %ss is no connection to inspect; "
			       "leave it out",
			       action_name(rule->action));
	return rule->strict = once(parser, &draft->strict_token);
}

static bool parse_clause(struct parser *parser, struct draft *draft) {
	struct rule *rule = &draft->rule;

	if (at_word(parser, "from"))
		return once(parser, &draft->from_token) &&
		       parse_side(parser, &rule->what, &rule->from, &draft->from);
	if (at_word(parser, "to"))
		return once(parser, &draft->to_token) &&
		       parse_side(parser, &rule->what, &rule->to, &draft->to);
	if (at_word(parser, "on"))
		return once(parser, &draft->on_token) && parse_interfaces(parser, &rule->on);
	if (at_word(parser, "strict"))
		return parse_strict(parser, draft);
	if (at_word(parser, "log"))
		return fail_log(parser);
	if (at_word(parser, "port") && (draft->from_token.text || draft->to_token.text))
		return fail_expected(parser, CLAUSES " (`port` follows the addresses of `from` or `to`)");
	return fail_keyword(parser, CLAUSE_WORDS " port", CLAUSES);
}

static bool port_lists_equal(const struct port_list *left, const struct port_list *right) {
	return left->count == right->count &&
	       (left->count == 0 ||
		memcmp(left->ranges, right->ranges, left->count * sizeof *left->ranges) == 0);
}

static bool differs(const struct ports *ports) {
	return ports->given && !port_lists_equal(&ports->by[PORTS_TCP], &ports->by[PORTS_UDP]);
}

/* Moves the list of one protocol into the rule. */
static struct port_list take_ports(struct ports *ports, unsigned kind) {
	struct port_list list = ports->by[kind];

	ports->by[kind] = (struct port_list){0};
	array_trim(&list.ranges, list.count, sizeof *list.ranges);
	return list;
}

static bool ports_meet(const struct rule *rule) {
	for (size_t i = 0; i < rule->what.count; i++)
		for (size_t j = 0; j < rule->to_ports.count; j++)
			if (rule->what.matches[i].ports.lo <= rule->to_ports.ranges[j].hi &&
			    rule->to_ports.ranges[j].lo <= rule->what.matches[i].ports.hi)
				return true;
	return rule->to_ports.count == 0;
}

static bool add_rule(struct parser *parser, const struct rule *rule) {
	struct ruleset *ruleset = parser->ruleset;
	struct rule *added;

	if (ruleset->count >= RULES_MAX) {
		parser->stop = true;
		return fail_at(parser, &parser->token, "more than %d rules", RULES_MAX);
	}
	added = array_add(&ruleset->rules, &ruleset->count, sizeof *added);
	if (!added)
		return fail_memory(parser);
	*added = *rule;
	return true;
}

/* The usual end: one statement, one rule. */
static bool finish(struct parser *parser, struct draft *draft) {
	struct rule *rule = &draft->rule;
	unsigned kind = what_protocols(&rule->what) & HAS_TCP ? PORTS_TCP : PORTS_UDP;

	if (draft->what.given)
		rule->what.ports = take_ports(&draft->what, kind);
	rule->from_ports = take_ports(&draft->from, kind);
	rule->to_ports = take_ports(&draft->to, kind);
	if (!what_resolve(parser, &rule->what))
		return false;
	if (!ports_meet(rule))
		return fail_at(
		    parser, &draft->to_token,
		    "no port is both behind the protocol and behind `to ... port`; keep one of them");
	if (draft->from_token.text || draft->to_token.text)
		warn_families(parser, rule, draft->to_token.text ? &draft->to_token : &draft->from_token);
	if (!add_rule(parser, rule))
		return false;
	memset(rule, 0, sizeof *rule); /* the ruleset owns it now */
	return true;
}

static bool copy_addrs(const struct addr_list *from, struct addr_list *to) {
	*to = (struct addr_list){.negate = from->negate, .count = from->count, .set_count = from->set_count};
	to->ranges = from->count ? reallocarray(NULL, from->count, sizeof *to->ranges) : NULL;
	to->sets = from->set_count ? reallocarray(NULL, from->set_count, sizeof(struct set *)) : NULL;
	if ((from->count && !to->ranges) || (from->set_count && !to->sets))
		return false;
	if (from->count)
		memcpy(to->ranges, from->ranges, from->count * sizeof *to->ranges);
	if (from->set_count)
		memcpy(to->sets, from->sets, from->set_count * sizeof(struct set *));
	return true;
}

static bool copy_interfaces(const struct interface_list *from, struct interface_list *to) {
	to->negate = from->negate;
	for (size_t i = 0; i < from->count; i++) {
		char **added = array_add(&to->names, &to->count, sizeof *added);

		if (!added || !(*added = strdup(from->names[i])))
			return false;
	}
	return true;
}

/* The part of the draft that is about one protocol, without ports. */
static bool copy_for(const struct draft *draft, unsigned kind, struct rule *copy) {
	const struct rule *rule = &draft->rule;

	*copy = (struct rule){.action = rule->action,
			      .direction = rule->direction,
			      .log = rule->log,
			      .strict = rule->strict,
			      .essential = rule->essential,
			      .place = rule->place};
	copy->what.protocols = malloc(1);
	if (!copy->what.protocols)
		return false;
	copy->what.protocols[copy->what.protocol_count++] = protocol_of_kind(kind);
	return copy_addrs(&rule->from, &copy->from) && copy_addrs(&rule->to, &copy->to) &&
	       copy_interfaces(&rule->on, &copy->on);
}

/* What a service means on one protocol. */
static bool service_ports(const struct what *what, unsigned kind, struct port_list *list) {
	for (size_t i = 0; what->service_count && i < what->count; i++)
		if (what->matches[i].protocol == protocol_of_kind(kind) &&
		    !port_list_add(list, what->matches[i].ports))
			return false;
	port_list_normalize(list);
	return true;
}

static bool leaves_none(const struct ports *ports, unsigned kind) {
	return ports->given && ports->by[kind].count == 0;
}

static bool add_part(struct parser *parser, struct draft *draft, unsigned kind) {
	struct draft part = {.from_token = draft->from_token, .to_token = draft->to_token};
	bool ok =
	    copy_for(draft, kind, &part.rule) && service_ports(&draft->rule.what, kind, &part.what.by[kind]);

	if (draft->what.given)
		part.what.by[kind] = take_ports(&draft->what, kind);
	part.what.given = part.what.by[kind].count > 0;
	part.from.by[kind] = take_ports(&draft->from, kind);
	part.to.by[kind] = take_ports(&draft->to, kind);
	ok = ok ? finish(parser, &part) : fail_memory(parser);
	draft_clear(&part);
	return ok;
}

static bool finish_apart(struct parser *parser, struct draft *draft) {
	unsigned parts = 0;

	for (unsigned kind = 0; kind < PORTS_KINDS; kind++) {
		if (leaves_none(&draft->what, kind) || leaves_none(&draft->from, kind) ||
		    leaves_none(&draft->to, kind))
			continue;
		if (!add_part(parser, draft, kind))
			return false;
		parts++;
	}
	return parts || fail_at(parser, draft->from_token.text ? &draft->from_token : &draft->to_token,
				"no protocol has all these ports");
}

static bool parse_draft(struct parser *parser, struct draft *draft) {
	struct rule *rule = &draft->rule;

	if (!parse_direction(parser, &rule->direction))
		return false;
	rule->log = accept_word(parser, "log");
	if (!parse_what(parser, &rule->what, &draft->what))
		return false;
	while (!at_end(parser))
		if (!parse_clause(parser, draft))
			return false;
	if (what_protocols(&rule->what) == (HAS_TCP | HAS_UDP) &&
	    (differs(&draft->what) || differs(&draft->from) || differs(&draft->to)))
		return finish_apart(parser, draft);
	return finish(parser, draft);
}

bool parse_rule(struct parser *parser, enum action action) {
	struct draft draft = {
	    .rule = {.action = action, .essential = parser->essential, .place = parser->place}};
	bool ok = parse_draft(parser, &draft);

	draft_clear(&draft);
	return ok;
}
