/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One rule of the file as nftables rules. Where a rule of the file says "one of these",
 * nftables may need several rules: one a family, a protocol, a named set, an interface.
 * All of them end alike, so their order does not matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

enum { NO_FAMILY = 0 };

/* One way in which an address list can hold. */
struct addr_case {
	const struct addr_list *list;
	const struct set *set; /* this named set; NULL: the list's own ranges */
	bool any;              /* no condition at all */
};

/* The choices made so far for one nftables rule. */
struct choice {
	const struct rule *rule;
	const char *chain;
	int family;   /* enum family, or NO_FAMILY: both */
	int protocol; /* -1: any */
	struct port_list ports;
	struct addr_case from, to;
	const char *interface; /* NULL: no positive choice */
	void (*finish)(struct compiler *, struct nftnl_rule *, const struct rule *);
};

static size_t count_family(const struct addr_range *ranges, size_t count, enum family family) {
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += addr_family(&ranges[i].lo) == family;
	return found;
}

static const struct addr_range *first_of_family(const struct addr_range *ranges, enum family family) {
	while (addr_family(&ranges->lo) != family)
		ranges++;
	return ranges;
}

void set_name(const struct set *set, enum family family, char name[80]) {
	snprintf(name, 80, "%.70s_%d", set->name, family);
}

static void put_ports_of(struct compiler *compiler, struct nftnl_rule *rule, enum end end,
			 const struct port_list *ports) {
	bool every = ports->count == 1 && ports->ranges[0].lo == 0 && ports->ranges[0].hi == UINT16_MAX;
	uint32_t id;

	if (ports->count == 0 || every)
		return;
	if (ports->count == 1) {
		expr_port(rule, end, ports->ranges[0]);
		return;
	}
	id = next_set_id(compiler);
	put_port_set(compiler->batch, id, ports->ranges, ports->count);
	expr_port_in(rule, end, ANONYMOUS_NAME, id);
}

static void put_icmp_types(struct compiler *compiler, struct nftnl_rule *rule,
			   const struct port_list *types) {
	uint32_t id;

	if (types->count == 0 ||
	    (types->count == 1 && types->ranges[0].lo == 0 && types->ranges[0].hi >= UINT8_MAX))
		return;
	if (types->count == 1) {
		expr_icmp_type(rule, types->ranges[0]);
		return;
	}
	id = next_set_id(compiler);
	put_icmp_set(compiler->batch, id, types->ranges, types->count);
	expr_icmp_type_in(rule, ANONYMOUS_NAME, id);
}

static void put_inline_ranges(struct compiler *compiler, struct nftnl_rule *rule, enum family family,
			      enum end end, const struct addr_list *list) {
	size_t count = count_family(list->ranges, list->count, family);
	uint32_t id;

	if (count == 0)
		return;
	if (count == 1 && !list->negate) {
		expr_addr(rule, end, first_of_family(list->ranges, family));
		return;
	}
	id = next_set_id(compiler);
	put_addr_set(compiler->batch, ANONYMOUS_NAME, id, family, list->ranges, list->count);
	expr_addr_in(rule, family, end, !list->negate, ANONYMOUS_NAME, id);
}

static void put_named_set(struct nftnl_rule *rule, enum family family, enum end end, const struct set *set,
			  bool equal) {
	char name[80];

	/* Nothing is in an empty set, and everything is outside of it. */
	if (count_family(set->ranges, set->count, family) == 0)
		return;
	set_name(set, family, name);
	expr_addr_in(rule, family, end, equal, name, 0);
}

static void put_addr_case(struct compiler *compiler, struct nftnl_rule *rule, enum family family,
			  enum end end, const struct addr_case *chosen) {
	if (chosen->any)
		return;
	if (chosen->set) {
		put_named_set(rule, family, end, chosen->set, true);
		return;
	}
	put_inline_ranges(compiler, rule, family, end, chosen->list);
	if (chosen->list->negate)
		for (size_t i = 0; i < chosen->list->set_count; i++)
			put_named_set(rule, family, end, chosen->list->sets[i], false);
}

static void put_interfaces(struct nftnl_rule *rule, const struct choice *choice) {
	const struct interface_list *on = &choice->rule->on;

	if (choice->interface)
		expr_interface(rule, choice->rule->direction, true, choice->interface);
	for (size_t i = 0; on->negate && i < on->count; i++)
		expr_interface(rule, choice->rule->direction, false, on->names[i]);
}

static bool choice_has_ports(const struct choice *choice) {
	return choice->protocol >= 0 && protocol_has_ports((uint8_t)choice->protocol);
}

static void put_choice(struct compiler *compiler, const struct choice *choice) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, choice->chain);

	put_interfaces(rule, choice);
	if (choice->family != NO_FAMILY) {
		expr_family(rule, (enum family)choice->family);
		put_addr_case(compiler, rule, (enum family)choice->family, END_SOURCE, &choice->from);
		put_addr_case(compiler, rule, (enum family)choice->family, END_DESTINATION, &choice->to);
	}
	if (choice->protocol >= 0)
		expr_protocol(rule, (uint8_t)choice->protocol);
	if (choice_has_ports(choice)) {
		put_ports_of(compiler, rule, END_DESTINATION, &choice->ports);
		put_ports_of(compiler, rule, END_SOURCE, &choice->rule->from_ports);
		put_ports_of(compiler, rule, END_DESTINATION, &choice->rule->to_ports);
	} else if (choice->protocol == PROTOCOL_ICMP || choice->protocol == PROTOCOL_ICMPV6) {
		put_icmp_types(compiler, rule, &choice->ports);
	}
	choice->finish(compiler, rule, choice->rule);
	place_comment(rule, &choice->rule->place);
	rule_finish(compiler, rule);
}

static void choose_interface(struct compiler *compiler, struct choice *choice) {
	const struct interface_list *on = &choice->rule->on;

	choice->interface = NULL;
	if (on->count == 0 || on->negate)
		put_choice(compiler, choice);
	for (size_t i = 0; !on->negate && i < on->count; i++) {
		choice->interface = on->names[i];
		put_choice(compiler, choice);
	}
}

/* Calls `next` for every way in which the list can hold for the family. */
static void choose_addr(struct compiler *compiler, struct choice *choice, const struct addr_list *list,
			struct addr_case *chosen, void (*next)(struct compiler *, struct choice *)) {
	*chosen = (struct addr_case){.list = list, .any = addr_list_is_any(list)};
	if (chosen->any || list->negate ||
	    count_family(list->ranges, list->count, (enum family)choice->family) > 0)
		next(compiler, choice);
	if (list->negate)
		return;
	for (size_t i = 0; i < list->set_count; i++) {
		*chosen = (struct addr_case){.list = list, .set = list->sets[i]};
		if (count_family(list->sets[i]->ranges, list->sets[i]->count, (enum family)choice->family) >
		    0)
			next(compiler, choice);
	}
}

static void choose_to(struct compiler *compiler, struct choice *choice) {
	choose_addr(compiler, choice, &choice->rule->to, &choice->to, choose_interface);
}

static bool names_ports(const struct rule *rule) {
	return rule->from_ports.count > 0 || rule->to_ports.count > 0;
}

static void choose_families(struct compiler *compiler, struct choice *choice) {
	const struct rule *rule = choice->rule;

	if (names_ports(rule) && !choice_has_ports(choice))
		return; /* asks for ports that the protocol has not: never matches */
	if (addr_list_is_any(&rule->from) && addr_list_is_any(&rule->to)) {
		choice->family = NO_FAMILY;
		choose_interface(compiler, choice);
		return;
	}
	choice->family = FAMILY_IPV4;
	choose_addr(compiler, choice, &rule->from, &choice->from, choose_to);
	choice->family = FAMILY_IPV6;
	choose_addr(compiler, choice, &rule->from, &choice->from, choose_to);
}

/* All ranges that the rule has for this protocol. The room is the caller's. */
static struct port_list ports_for(const struct what *what, uint8_t protocol, struct port_range *room) {
	struct port_list list = {.ranges = room};

	for (size_t i = 0; i < what->count; i++)
		if (what->matches[i].protocol == protocol)
			room[list.count++] = what->matches[i].ports;
	port_list_normalize(&list);
	return list;
}

static bool seen_before(const struct what *what, size_t index) {
	for (size_t i = 0; i < index; i++)
		if (what->matches[i].protocol == what->matches[index].protocol)
			return true;
	return false;
}

static void choose_any_protocol(struct compiler *compiler, struct choice *choice) {
	static const int with_ports[] = {PROTOCOL_TCP, PROTOCOL_UDP};

	choice->ports = (struct port_list){0};
	if (!names_ports(choice->rule)) {
		choice->protocol = -1;
		choose_families(compiler, choice);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		choice->protocol = with_ports[i];
		choose_families(compiler, choice);
	}
}

void put_rule(struct compiler *compiler, const char *chain, const struct rule *rule,
	      void (*finish)(struct compiler *, struct nftnl_rule *, const struct rule *)) {
	struct choice choice = {.rule = rule, .chain = chain, .finish = finish};
	struct port_range *room;

	if (rule->what.any) {
		choose_any_protocol(compiler, &choice);
		return;
	}
	room = malloc((rule->what.count + 1) * sizeof(*room));
	if (!room)
		abort();
	for (size_t i = 0; i < rule->what.count; i++) {
		if (seen_before(&rule->what, i))
			continue;
		choice.protocol = rule->what.matches[i].protocol;
		choice.ports = ports_for(&rule->what, rule->what.matches[i].protocol, room);
		choose_families(compiler, &choice);
	}
	free(room);
}
