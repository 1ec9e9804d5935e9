/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which of a rule's conditions a question fails, and the rules that fail it by one.
 */
#include <string.h>

#include "index.h"
#include "sallyport/core/eval.h"

static bool is_icmp(uint8_t protocol) {
	return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

/* Port or type: with the same meaning as the question's, though the protocol is another. */
static bool port_matches_across(const struct match *match, const struct question *question) {
	uint16_t port = question_port(question);

	if (protocol_has_ports(match->protocol) && protocol_has_ports(question->protocol))
		return port >= match->ports.lo && port <= match->ports.hi;
	if (!is_icmp(match->protocol) || !is_icmp(question->protocol))
		return false;
	if (match->ports.lo == 0 && match->ports.hi >= UINT8_MAX)
		return true; /* every type */
	const char *asked = icmp_type_name(question->protocol, question->icmp_type);
	for (unsigned type = match->ports.lo; asked && type <= match->ports.hi && type <= UINT8_MAX; type++) {
		const char *name = icmp_type_name(match->protocol, type);
		if (name && strcmp(name, asked) == 0)
			return true;
	}
	return false;
}

static unsigned what_failed(const struct what *what, const struct question *question) {
	enum condition port = is_icmp(question->protocol) ? CONDITION_TYPE : CONDITION_PORT;
	bool across = false;

	if (what_matches(what, question->protocol, question_port(question)))
		return 0;
	for (size_t i = 0; i < what->count; i++) {
		if (what->matches[i].protocol == question->protocol)
			return port;
		across = across || port_matches_across(&what->matches[i], question);
	}
	return across ? CONDITION_PROTOCOL : CONDITION_PROTOCOL | port;
}

unsigned rule_failed_conditions(const struct rule *rule, const struct question *question) {
	unsigned failed = what_failed(&rule->what, question);

	if (rule->direction != question->direction)
		failed |= CONDITION_DIRECTION;
	if (!addr_list_matches(&rule->from, &question->from))
		failed |= CONDITION_FROM;
	if (!question_port_in(&rule->from_ports, question, question->from_port))
		failed |= CONDITION_FROM_PORT;
	if (!addr_list_matches(&rule->to, &question->to))
		failed |= CONDITION_TO;
	if (!question_port_in(&rule->to_ports, question, question->to_port))
		failed |= CONDITION_PORT;
	if (!interface_list_matches(&rule->on, question->interface))
		failed |= CONDITION_INTERFACE;
	return failed;
}

static bool is_one_condition(unsigned failed) {
	return failed != 0 && (failed & (failed - 1)) == 0;
}

size_t near_misses(const struct ruleset *ruleset, const struct question *question,
		   const struct answer *answer, struct near_miss *misses, size_t max) {
	/* What stands behind the deciding rule would not have answered, whatever it holds. */
	const struct rule *end = answer->rule ? answer->rule : ruleset->rules + ruleset->count;
	size_t count = 0;

	for (const struct rule *rule = ruleset->rules; rule < end && count < max; rule++) {
		if (rule->direction != question->direction || rule->essential ||
		    rule->action == answer->action)
			continue;
		unsigned failed = rule_failed_conditions(rule, question);
		if (is_one_condition(failed))
			misses[count++] = (struct near_miss){rule, failed};
	}
	return count;
}

const char *condition_text(enum condition condition) {
	switch (condition) {
	case CONDITION_DIRECTION:
		return "the direction";
	case CONDITION_PROTOCOL:
		return "the protocol";
	case CONDITION_PORT:
		return "the port";
	case CONDITION_TYPE:
		return "the ICMP type";
	case CONDITION_FROM:
		return "the source";
	case CONDITION_FROM_PORT:
		return "the source port";
	case CONDITION_TO:
		return "the destination";
	case CONDITION_INTERFACE:
		return "the interface";
	}
	return "one condition";
}
