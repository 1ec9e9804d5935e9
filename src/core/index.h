/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a question to the few rules that may match it.
 *
 * The index only narrows: it never leaves a matching rule out where no earlier one
 * decides, but it may name rules that do not match, so the caller checks each. For
 * each direction and protocol, the rules hang in a segment tree over the service's
 * port (or ICMP type); where a node has many rules that name remote addresses,
 * those hang in a second one over the address. A question walks from its leaf
 * to the root of either: at most 17 short lists a tree, whatever the number of rules.
 * Memory is linear in the rules' port and address ranges, with a logarithmic factor; rules
 * that name thousands of ports, negated lists and large sets stay in plain lists.
 */
#ifndef SALLYPORT_CORE_INDEX_H
#define SALLYPORT_CORE_INDEX_H

#include "sallyport/core/rule.h"
#include "span_tree.h"

/* NULL: out of memory. Owner: the ruleset, rule_index_free. */
struct rule_index *rule_index_new(const struct ruleset *ruleset);

/* A look at the remote address that needs no other memory of the rule: outside of lo..hi, as
 * index.c counts, the rule cannot match; inside it may. */
struct gate {
	uint64_t lo, hi;
};

struct port_tree;

/* On the caller's stack; members are private to index.c. */
struct walk {
	const struct question *question;
	const struct gate *gates; /* by rule */
	uint64_t key;             /* of the remote address */
	uint16_t port;
	const struct port_tree *trees[2];
	unsigned next_tree;
	const struct port_tree *ports;
	uint32_t port_node;
	const struct tree *addresses;
	uint32_t address_node;
};

void walk_start(struct walk *walk, const struct rule_index *index, const struct question *question);
/* The next list, in no order among lists; lists may be empty. False: no more. */
bool walk_next(struct walk *walk, struct candidates *list);

/* False: the rule of this list entry cannot match. */
static inline bool walk_may_match(const struct walk *walk, uint32_t number) {
	return walk->gates[number].lo <= walk->key && walk->key <= walk->gates[number].hi;
}

/* What stands in the place of the service's port: port, ICMP type, or 0. */
uint16_t question_port(const struct question *question);
/* Whether the question's `port` is in the list: never, where its protocol has no ports to name. */
bool question_port_in(const struct port_list *list, const struct question *question, uint16_t port);

#endif
