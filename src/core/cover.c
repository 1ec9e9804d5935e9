/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Warnings for rules that can never match because earlier ones take all they could get.
 *
 * A rule's ports are walked from the lowest up: at each point the index names the
 * earlier rules that hold there, and the one that covers the rule in all other respects and
 * reaches furthest carries the walk on. So several rules may cover one by their ports together, but
 * not by their addresses. Where something is hard to tell, the answer is "not covered": a warning
 * is always true, and the work is bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "index.h"
#include "inside.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"

enum {
	MAX_CANDIDATES = 256, /* looked at for one point */
	MAX_WORK = 20000000,  /* and for the whole ruleset */
	MAX_NAMED = 4,        /* covering rules in one message */
	MAX_QUOTED = 120,     /* bytes of a rule that a message shows */
	UNCOVERED = -1,
};

struct cover {
	const struct ruleset *ruleset;
	uint32_t number; /* the rule that may be covered */
	const struct rule *rule;
	const struct rule *by[MAX_NAMED];
	size_t by_count; /* may be larger than MAX_NAMED */
	size_t work;
};

/* The highest value that can stand in the place of the port. */
static uint16_t max_port(uint8_t protocol) {
	if (protocol_has_ports(protocol))
		return UINT16_MAX;
	return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6 ? UINT8_MAX : 0;
}

static int range_end(const struct port_range *ranges, size_t count, uint16_t at) {
	for (size_t i = 0; i < count; i++)
		if (ranges[i].lo <= at && at <= ranges[i].hi)
			return ranges[i].hi;
	return UNCOVERED;
}

/* How far the rule's ports reach from `at` on without a gap in one term. */
static int ports_reach(const struct rule *rule, uint8_t protocol, uint16_t at) {
	int end = rule->what.any ? UINT16_MAX : UNCOVERED;

	for (size_t i = 0; i < rule->what.count && !rule->what.any; i++) {
		const struct match *match = &rule->what.matches[i];
		int reach = match->protocol == protocol ? range_end(&match->ports, 1, at) : UNCOVERED;
		if (reach > end)
			end = reach;
	}
	if (rule->to_ports.count == 0)
		return end;
	if (!protocol_has_ports(protocol))
		return UNCOVERED;
	int narrow = range_end(rule->to_ports.ranges, rule->to_ports.count, at);
	return narrow < end ? narrow : end;
}

/* Everything but protocol and port. */
static bool covers_the_rest(struct cover *cover, const struct rule *earlier) {
	const struct rule *rule = cover->rule;

	if (!interfaces_inside(&rule->on, &earlier->on) ||
	    !ports_inside(&rule->from_ports, &earlier->from_ports))
		return false;
	cover->work += addrs_work(&rule->from, &earlier->from) + addrs_work(&rule->to, &earlier->to);
	return addrs_inside(&rule->from, &earlier->from) && addrs_inside(&rule->to, &earlier->to);
}

static struct addr sample_addr(const struct addr_list *list) {
	struct addr addr = {0}; /* as good as any: only rules for all addresses cover such a list */

	if (!list->negate && list->count > 0)
		return list->ranges[0].lo;
	for (size_t i = 0; i < list->set_count && !list->negate; i++)
		if (list->sets[i]->count > 0)
			return list->sets[i]->ranges[0].lo;
	return addr;
}

static struct question sample_question(const struct rule *rule, uint8_t protocol, uint16_t at) {
	return (struct question){
	    .direction = rule->direction,
	    .from = sample_addr(&rule->from),
	    .to = sample_addr(&rule->to),
	    .protocol = protocol,
	    .to_port = at,
	    .icmp_type = at <= UINT8_MAX ? at : 0,
	};
}

static void remember(struct cover *cover, const struct rule *by) {
	for (size_t i = 0; i < cover->by_count && i < MAX_NAMED; i++)
		if (cover->by[i] == by)
			return;
	if (cover->by_count < MAX_NAMED)
		cover->by[cover->by_count] = by;
	cover->by_count++;
}

/* NULL: it does not stand before the rule, nor does what is listed behind it. */
static const struct rule *candidate(const struct cover *cover, uint32_t entry) {
	uint32_t number = entry & ~RULE_CERTAIN;

	return number < cover->number ? &cover->ruleset->rules[number] : NULL;
}

/* The furthest point up to which one earlier rule covers from `at` on; UNCOVERED: none does. */
static int covered_until(struct cover *cover, uint8_t protocol, uint16_t at, uint16_t wanted) {
	struct question question = sample_question(cover->rule, protocol, at);
	const struct rule *best = NULL;
	struct candidates list;
	struct walk walk;
	size_t seen = 0;
	int end = UNCOVERED;

	walk_start(&walk, cover->ruleset->index, &question);
	while (end < wanted && walk_next(&walk, &list)) {
		for (size_t i = 0; i < list.count && end < wanted; i++) {
			const struct rule *earlier = candidate(cover, list.rules[i]);
			if (!earlier || ++seen > MAX_CANDIDATES)
				break;
			int reach = ports_reach(earlier, protocol, at);
			if (reach > end && covers_the_rest(cover, earlier)) {
				end = reach;
				best = earlier;
			}
		}
	}
	cover->work += seen + 1;
	if (best)
		remember(cover, best);
	return end;
}

static bool range_covered(struct cover *cover, uint8_t protocol, struct port_range range) {
	int hi = range.hi < max_port(protocol) ? range.hi : max_port(protocol);

	for (int at = range.lo; at <= hi; at++) {
		at = covered_until(cover, protocol, at, hi);
		if (at == UNCOVERED || cover->work > MAX_WORK)
			return false;
	}
	return true;
}

/* One term of the rule, narrowed by its `to` ports. */
static bool match_covered(struct cover *cover, const struct match *match) {
	const struct port_list *narrow = &cover->rule->to_ports;

	if (narrow->count == 0)
		return range_covered(cover, match->protocol, match->ports);
	for (size_t i = 0; i < narrow->count; i++) {
		struct port_range range = narrow->ranges[i];
		range.lo = range.lo > match->ports.lo ? range.lo : match->ports.lo;
		range.hi = range.hi < match->ports.hi ? range.hi : match->ports.hi;
		if (range.lo <= range.hi && !range_covered(cover, match->protocol, range))
			return false;
	}
	return true;
}

/* A rule of `any` is covered only by one of `any` (protocol 0 has no rules of its own). */
static bool any_covered(struct cover *cover) {
	struct question question = sample_question(cover->rule, 0, 0);
	struct candidates list;
	struct walk walk;
	size_t seen = 0;

	walk_start(&walk, cover->ruleset->index, &question);
	while (walk_next(&walk, &list)) {
		for (size_t i = 0; i < list.count; i++) {
			const struct rule *earlier = candidate(cover, list.rules[i]);
			if (!earlier)
				break;
			if (++cover->work, ++seen > MAX_CANDIDATES)
				return false;
			if (earlier->what.any && ports_inside(&cover->rule->to_ports, &earlier->to_ports) &&
			    covers_the_rest(cover, earlier)) {
				remember(cover, earlier);
				return true;
			}
		}
	}
	return false;
}

/* Its sets hold nothing (yet), which has a warning of its own. */
static bool names_nothing(const struct addr_list *list) {
	size_t count = list->count;

	for (size_t i = 0; i < list->set_count; i++)
		count += list->sets[i]->count;
	return count == 0 && !list->negate && !addr_list_is_any(list);
}

static bool is_covered(struct cover *cover) {
	const struct what *what = &cover->rule->what;

	if (cover->rule->essential || names_nothing(&cover->rule->from) || names_nothing(&cover->rule->to))
		return false;
	if (what->any)
		return any_covered(cover);
	for (size_t i = 0; i < what->count; i++)
		if (!match_covered(cover, &what->matches[i]))
			return false;
	return cover->by_count > 0;
}

/* ---- the message ---- */

/* "line 4", "extra.rules:4" where it stands in another file, "an essential rule". */
static void put_place(struct text *text, const struct rule *rule, const struct rule *by) {
	if (by->essential)
		text_puts(text, "an essential rule");
	else if (strcmp(rule->place.file, by->place.file) == 0)
		text_printf(text, "line %u", by->place.line);
	else
		text_printf(text, "%s:%u", by->place.file, by->place.line);
}

static void put_one(struct text *text, const struct rule *rule, const struct rule *by) {
	char *printed = rule_print(by);

	put_place(text, rule, by);
	if (printed)
		text_printf(text, " (`%.*s%s`)", MAX_QUOTED, printed,
			    strlen(printed) > MAX_QUOTED ? "..." : "");
	free(printed);
	text_puts(text, by->essential ? " covers it; `essentials off` removes that" : " covers it");
}

static void put_several(struct text *text, const struct cover *cover) {
	bool others = cover->by_count > MAX_NAMED;
	size_t named = others ? MAX_NAMED : cover->by_count;

	for (size_t i = 0; i < named; i++) {
		if (i > 0)
			text_puts(text, i + 1 == named && !others ? " and " : ", ");
		put_place(text, cover->rule, cover->by[i]);
	}
	text_puts(text, others ? " and others cover it together" : " cover it together");
}

static void warn(const struct cover *cover, struct diagnostics *diagnostics) {
	char *source = rule_print(cover->rule), *message;
	struct text text = {0};

	text_puts(&text, "this rule can never match: ");
	if (cover->by_count == 1)
		put_one(&text, cover->rule, cover->by[0]);
	else
		put_several(&text, cover);
	message = text_take(&text);
	if (message)
		diagnostics_add(diagnostics, SEVERITY_WARNING, &cover->rule->place, 1,
				source && *source ? strlen(source) : 1, source, message);
	free(message);
	free(source);
}

void warn_covered(const struct ruleset *ruleset, struct diagnostics *diagnostics) {
	size_t work = 0;

	for (size_t i = 0; i < ruleset->count && work <= MAX_WORK && !diagnostics->more; i++) {
		struct cover cover = {
		    .ruleset = ruleset, .number = i, .rule = &ruleset->rules[i], .work = work};
		if (is_covered(&cover))
			warn(&cover, diagnostics);
		work = cover.work;
	}
}
