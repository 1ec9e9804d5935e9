/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * First match wins: of the candidates that the index names, the earliest that holds.
 */
#include "sallyport/core/eval.h"

#include "index.h"

bool ruleset_seal(struct ruleset *ruleset) {
	struct rule_index *index = rule_index_new(ruleset);

	if (!index)
		return false;
	rule_index_free(ruleset->index);
	ruleset->index = index;
	return true;
}

/* As rule_failed_conditions() == 0, but stops at the first condition that fails. */
static bool rule_matches(const struct rule *rule, const struct question *question) {
	return rule->direction == question->direction &&
	       what_matches(&rule->what, question->protocol, question_port(question)) &&
	       addr_list_matches(&rule->from, &question->from) &&
	       addr_list_matches(&rule->to, &question->to) &&
	       question_port_in(&rule->from_ports, question, question->from_port) &&
	       question_port_in(&rule->to_ports, question, question->to_port) &&
	       interface_list_matches(&rule->on, question->interface);
}

/* The first rule of the list that matches, if it stands before `best`; else `best`. */
static size_t first_match(const struct ruleset *ruleset, const struct walk *walk,
			  const struct candidates *list, size_t best) {
	for (size_t i = 0; i < list->count; i++) {
		uint32_t number = list->rules[i] & ~RULE_CERTAIN;
		if (number >= best)
			break;
		if (list->rules[i] & RULE_CERTAIN)
			return number;
		if (walk_may_match(walk, number) && rule_matches(&ruleset->rules[number], walk->question))
			return number;
	}
	return best;
}

struct answer eval(const struct ruleset *ruleset, const struct question *question) {
	size_t best = ruleset->count;
	struct candidates list;
	struct walk walk;

	walk_start(&walk, ruleset->index, question);
	while (walk_next(&walk, &list))
		best = first_match(ruleset, &walk, &list, best);

	if (best == ruleset->count)
		return (struct answer){ruleset->defaults[question->direction], NULL};
	return (struct answer){ruleset->rules[best].action, &ruleset->rules[best]};
}
