/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Builds and walks the rule index (see index.h). Built once by ruleset_seal, read by
 * any thread, freed with the ruleset.
 */
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "addr_split.h"
#include "array.h"
#include "sallyport/core/eval.h"

enum {
	ANY_PROTOCOL = 256, /* rules of `any`, and those with too many ports to spread */
	TREES,
	MAX_PORT = 65535,
	FEW_TERMS = 16,     /* a rule with no more port ranges is always spread */
	MANY_TERMS = 65536, /* what all larger rules may take together, and 16 more a rule */
	MIN_SPLIT = 12,     /* fewer rules that name addresses are faster read in a row */
	SHARE_WINDOW = 16,  /* how many address trees back to look for an equal one */
};

struct port_tree {
	uint16_t *bounds; /* the first port of each leaf */
	size_t bound_count;
	struct tree tree;
	struct split **splits; /* by node; NULL: not divided */
};

struct rule_index {
	struct port_tree *trees[2][TREES]; /* by direction and protocol; NULL: no rule */
	struct split **splits;             /* owned here, shared by port nodes */
	size_t split_count;
	struct gate *gates; /* by rule */
};

/* What a build needs and throws away. */
struct builder {
	const struct ruleset *ruleset;
	struct rule_index *index;
	struct spans spans[TREES];
	size_t spare_terms, spare_ranges;
	size_t first_shareable; /* splits before this one are of another kind */
};

uint16_t question_port(const struct question *question) {
	if (protocol_has_ports(question->protocol))
		return question->to_port;
	if (question->protocol == PROTOCOL_ICMP || question->protocol == PROTOCOL_ICMPV6)
		return question->icmp_type;
	return 0;
}

bool question_port_in(const struct port_list *list, const struct question *question, uint16_t port) {
	return list->count == 0 || (protocol_has_ports(question->protocol) && port_list_contains(list, port));
}

/* The side that is not this host. */
static const struct addr *question_remote(const struct question *question) {
	return question->direction == DIRECTION_IN ? &question->from : &question->to;
}

/* ---- gates ---- */

/* An IPv4 address, or the upper half of an IPv6 one: ascending within a family. */
static uint64_t gate_key(const struct addr *addr) {
	bool ipv4 = addr_family(addr) == FAMILY_IPV4;
	uint64_t key = 0;

	for (size_t i = ipv4 ? 12 : 0; i < (ipv4 ? 16 : 8); i++)
		key = key << 8 | addr->bytes[i];
	return key;
}

/* Opens the gate as far as these normalized ranges reach. */
static void gate_widen(struct gate *gate, const struct addr_range *ranges, size_t count) {
	if (count == 0)
		return;
	const struct addr *lo = &ranges[0].lo, *hi = &ranges[count - 1].hi;
	bool mixed = addr_family(lo) != addr_family(hi);
	uint64_t lo_key = mixed ? 0 : gate_key(lo), hi_key = mixed ? UINT64_MAX : gate_key(hi);

	gate->lo = lo_key < gate->lo ? lo_key : gate->lo;
	gate->hi = hi_key > gate->hi ? hi_key : gate->hi;
}

static struct gate gate_of(const struct rule *rule) {
	const struct addr_list *remote = rule_remote(rule);
	struct gate gate = {UINT64_MAX, 0};

	if (remote->negate || addr_list_is_any(remote))
		return (struct gate){0, UINT64_MAX};
	gate_widen(&gate, remote->ranges, remote->count);
	for (size_t i = 0; i < remote->set_count; i++)
		gate_widen(&gate, remote->sets[i]->ranges, remote->sets[i]->count);
	return gate;
}

static bool build_gates(struct rule_index *index, const struct ruleset *ruleset) {
	index->gates = array_new(ruleset->count, sizeof(*index->gates));
	for (size_t i = 0; i < ruleset->count && index->gates; i++)
		index->gates[i] = gate_of(&ruleset->rules[i]);
	return index->gates != NULL;
}

/* ---- long lists ---- */

/* Neighbouring ports often have the very same rules. */
static struct split *split_find(const struct builder *builder, const struct candidates *whole) {
	const struct rule_index *index = builder->index;

	for (size_t i = index->split_count, seen = 0; i > builder->first_shareable && seen < SHARE_WINDOW;
	     seen++) {
		struct split *split = index->splits[--i];
		if (split->whole.count == whole->count &&
		    memcmp(split->whole.rules, whole->rules, whole->count * sizeof(*whole->rules)) == 0)
			return split;
	}
	return NULL;
}

static bool index_own(struct rule_index *index, struct split *split) {
	struct split **added = array_add(&index->splits, &index->split_count, sizeof(struct split *));

	if (added)
		*added = split;
	return added != NULL;
}

/* Divides one port node's list where that pays and the bound on memory allows it: *split stays
 * NULL where not. */
static bool node_split(struct builder *builder, struct candidates whole, bool any_protocol,
		       struct split **split) {
	size_t named = 0, ranges = 0;

	for (size_t i = 0; i < whole.count; i++) {
		size_t count = remote_ranges(&builder->ruleset->rules[whole.rules[i] & ~RULE_CERTAIN]);
		named += count > 0;
		ranges += count;
	}
	if (named < MIN_SPLIT)
		return true;
	*split = split_find(builder, &whole);
	if (*split || ranges > builder->spare_ranges)
		return true;
	builder->spare_ranges -= ranges;

	struct split *made = split_new(builder->ruleset, whole, any_protocol);
	if (!made || !index_own(builder->index, made)) {
		split_free(made);
		return false;
	}
	*split = made;
	return true;
}

/* ---- the service's port ---- */

static uint32_t port_leaf(const uint16_t *bounds, size_t count, uint16_t port) {
	size_t at = 0;

	while (count > 1) {
		size_t half = count / 2;
		at = bounds[at + half] <= port ? at + half : at;
		count -= half;
	}
	return at;
}

static void port_tree_free(struct port_tree *ports) {
	if (!ports)
		return;
	free(ports->bounds);
	tree_free(&ports->tree);
	free(ports->splits);
	free(ports);
}

static int compare_ports(const void *left, const void *right) {
	return *(const uint16_t *)left - *(const uint16_t *)right;
}

static size_t sort_unique_ports(uint16_t *ports, size_t count) {
	size_t kept = 1;

	qsort(ports, count, sizeof(*ports), compare_ports);
	for (size_t i = 1; i < count; i++)
		if (ports[i] != ports[kept - 1])
			ports[kept++] = ports[i];
	return kept;
}

/* Cuts the ports at every end of a span; then the spans speak of leaves. */
static bool port_bounds(struct port_tree *ports, struct spans *spans) {
	uint16_t *bounds = ports->bounds = array_new(2 * spans->count + 1, sizeof(*bounds));
	size_t count = 1; /* bounds[0] is port 0 */

	if (!bounds)
		return false;
	for (size_t i = 0; i < spans->count; i++) {
		bounds[count++] = spans->items[i].lo;
		if (spans->items[i].hi < MAX_PORT)
			bounds[count++] = spans->items[i].hi + 1;
	}
	ports->bound_count = sort_unique_ports(bounds, count);
	array_trim(&ports->bounds, ports->bound_count, sizeof(*bounds));
	bounds = ports->bounds;
	for (size_t i = 0; i < spans->count; i++) {
		struct span *span = &spans->items[i];
		span->lo = port_leaf(bounds, ports->bound_count, span->lo);
		span->hi = port_leaf(bounds, ports->bound_count, span->hi);
	}
	return true;
}

static bool port_splits(struct builder *builder, struct port_tree *ports, bool any_protocol) {
	size_t nodes = 2 * (size_t)ports->tree.leaves;

	ports->splits = array_new(nodes, sizeof(struct split *));
	if (!ports->splits)
		return false;
	for (size_t node = 1; node < nodes; node++)
		if (!node_split(builder, tree_list(&ports->tree, node), any_protocol, &ports->splits[node]))
			return false;
	return true;
}

/* False: out of memory; *out may then be half built, and is freed with the index. */
static bool port_tree_build(struct builder *builder, struct spans *spans, bool any_protocol,
			    struct port_tree **out) {
	if (spans->count == 0)
		return true;
	struct port_tree *ports = *out = calloc(1, sizeof(*ports));
	return ports && port_bounds(ports, spans) && tree_build(&ports->tree, spans, ports->bound_count) &&
	       port_splits(builder, ports, any_protocol);
}

/* ---- from rules to spans ---- */

static bool add_any(struct builder *builder, uint32_t number) {
	const struct rule *rule = &builder->ruleset->rules[number];
	bool final = rule_asks_no_more(rule, true) && addr_list_is_any(rule_remote(rule));
	struct span span = {.lo = 0, .hi = MAX_PORT, .rule = number, .final = final};

	return spans_add(&builder->spans[ANY_PROTOCOL], span);
}

static bool add_match(struct builder *builder, uint32_t number, const struct match *match) {
	const struct rule *rule = &builder->ruleset->rules[number];
	const struct port_list *narrow = &rule->to_ports;
	struct spans *spans = &builder->spans[match->protocol];
	struct span span = {.lo = match->ports.lo, .hi = match->ports.hi, .rule = number};

	span.final = rule_asks_no_more(rule, false) && addr_list_is_any(rule_remote(rule));
	if (narrow->count == 0)
		return spans_add(spans, span);
	if (!protocol_has_ports(match->protocol))
		return true; /* asks for a port that the protocol has not */
	for (size_t i = 0; i < narrow->count; i++) {
		const struct port_range *range = &narrow->ranges[i];
		span.lo = range->lo > match->ports.lo ? range->lo : match->ports.lo;
		span.hi = range->hi < match->ports.hi ? range->hi : match->ports.hi;
		if (span.lo <= span.hi && !spans_add(spans, span))
			return false;
	}
	return true;
}

static bool add_rule(struct builder *builder, uint32_t number) {
	const struct rule *rule = &builder->ruleset->rules[number];
	size_t terms = rule->what.count * (rule->to_ports.count ? rule->to_ports.count : 1);

	if (rule->what.any)
		return add_any(builder, number);
	if (terms > FEW_TERMS) {
		if (terms > builder->spare_terms)
			return add_any(builder, number);
		builder->spare_terms -= terms;
	}
	for (size_t i = 0; i < rule->what.count; i++)
		if (!add_match(builder, number, &rule->what.matches[i]))
			return false;
	return true;
}

static bool build_direction(struct builder *builder, enum direction direction) {
	const struct ruleset *ruleset = builder->ruleset;
	struct port_tree **trees = builder->index->trees[direction];

	for (size_t i = 0; i < TREES; i++)
		spans_clear(&builder->spans[i]);
	for (size_t i = 0; i < ruleset->count; i++)
		if (ruleset->rules[i].direction == direction && !add_rule(builder, i))
			return false;

	builder->first_shareable = builder->index->split_count;
	for (size_t i = 0; i < ANY_PROTOCOL; i++)
		if (!port_tree_build(builder, &builder->spans[i], false, &trees[i]))
			return false;
	builder->first_shareable = builder->index->split_count;
	return port_tree_build(builder, &builder->spans[ANY_PROTOCOL], true, &trees[ANY_PROTOCOL]);
}

struct rule_index *rule_index_new(const struct ruleset *ruleset) {
	struct rule_index *index = calloc(1, sizeof(*index));
	struct builder builder = {
	    .ruleset = ruleset,
	    .index = index,
	    .spare_terms = MANY_TERMS + FEW_TERMS * ruleset->count,
	    .spare_ranges = MANY_TERMS + MAX_RANGES * ruleset->count,
	};

	if (!index)
		return NULL;
	bool ok = build_gates(index, ruleset) && build_direction(&builder, DIRECTION_IN) &&
		  build_direction(&builder, DIRECTION_OUT);
	for (size_t i = 0; i < TREES; i++)
		spans_clear(&builder.spans[i]);
	if (ok)
		return index;
	rule_index_free(index);
	return NULL;
}

void rule_index_free(struct rule_index *index) {
	if (!index)
		return;
	for (size_t i = 0; i < TREES; i++) {
		port_tree_free(index->trees[DIRECTION_IN][i]);
		port_tree_free(index->trees[DIRECTION_OUT][i]);
	}
	for (size_t i = 0; i < index->split_count; i++)
		split_free(index->splits[i]);
	free(index->splits);
	free(index->gates);
	free(index);
}

/* ---- the walk ---- */

void walk_start(struct walk *walk, const struct rule_index *index, const struct question *question) {
	*walk = (struct walk){
	    .question = question,
	    .gates = index->gates,
	    .key = gate_key(question_remote(question)),
	    .port = question_port(question),
	    .trees = {index->trees[question->direction][question->protocol],
		      index->trees[question->direction][ANY_PROTOCOL]},
	};
}

/* Sets walk->ports and walk->port_node to the next place that lists rules. */
static bool walk_next_port(struct walk *walk) {
	while (walk->port_node == 0) {
		if (walk->next_tree == 2)
			return false;
		walk->ports = walk->trees[walk->next_tree++];
		if (walk->ports)
			walk->port_node =
			    tree_first(&walk->ports->tree,
				       port_leaf(walk->ports->bounds, walk->ports->bound_count, walk->port));
	}
	return true;
}

/* Goes on with the split's plain list and then its tree. */
static void walk_enter(struct walk *walk, const struct split *split, struct candidates *list) {
	const struct addr *remote = question_remote(walk->question);
	const struct addr_tree *addresses = split_tree(split, remote);

	*list = (struct candidates){split->plain, split->plain_count};
	walk->addresses = &addresses->tree;
	walk->address_node = tree_first(&addresses->tree, addr_tree_leaf(addresses, remote));
}

bool walk_next(struct walk *walk, struct candidates *list) {
	if (walk->address_node) {
		*list = tree_list(walk->addresses, walk->address_node);
		walk->address_node = tree_next(walk->addresses, walk->address_node);
		return true;
	}
	if (!walk_next_port(walk))
		return false;

	uint32_t node = walk->port_node;
	*list = tree_list(&walk->ports->tree, node);
	walk->port_node = tree_next(&walk->ports->tree, node);
	if (list->count >= MIN_SPLIT && walk->ports->splits[node])
		walk_enter(walk, walk->ports->splits[node], list);
	return true;
}
