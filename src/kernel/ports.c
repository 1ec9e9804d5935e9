/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which new TCP connections the kernel settles alone: for each port the first rule
 * that can match it. Is that one unconditional and refuses, the port goes to a chain
 * of that rule; does nobody speak of the port, the default decides; everything else asks
 * the daemon. One lookup, however long the file is.
 */
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

enum { PORTS = 65536 };
/* What stands for a port beside a rule's index. */
static const uint32_t NOBODY = UINT32_MAX, ASK = UINT32_MAX - 1;

struct painting {
	uint32_t owner[PORTS];
	/* The next port from here on that nobody owns; PORTS: none. Shortened as it is walked, so
	 * that painting costs about a step a port in all. */
	uint32_t next[PORTS + 1];
};

static uint32_t next_free(struct painting *painting, uint32_t port) {
	uint32_t root = port;

	while (painting->next[root] != root)
		root = painting->next[root];
	while (painting->next[port] != root) {
		uint32_t step = painting->next[port];

		painting->next[port] = root;
		port = step;
	}
	return root;
}

static void paint(struct painting *painting, struct port_range range, uint32_t owner) {
	for (uint32_t port = next_free(painting, range.lo); port <= range.hi;
	     port = next_free(painting, port)) {
		painting->owner[port] = owner;
		painting->next[port] = port + 1;
	}
}

static bool is_unconditional(const struct rule *rule) {
	return addr_list_is_any(&rule->from) && addr_list_is_any(&rule->to) && rule->from_ports.count == 0 &&
	       rule->to_ports.count == 0 && rule->on.count == 0;
}

/* A logged refusal goes through the daemon, which writes the log. */
static bool kernel_settles(const struct rule *rule) {
	return rule->action != ACTION_ALLOW && !rule->log && is_unconditional(rule);
}

static void paint_rule(struct painting *painting, const struct rule *rule, uint32_t owner) {
	if (rule->what.any)
		paint(painting, (struct port_range){0, PORTS - 1}, owner);
	for (size_t i = 0; i < rule->what.count; i++)
		if (rule->what.matches[i].protocol == PROTOCOL_TCP)
			paint(painting, rule->what.matches[i].ports, owner);
}

static void paint_rules(struct painting *painting, const struct ruleset *ruleset, enum direction direction) {
	for (uint32_t port = 0; port < PORTS; port++) {
		painting->owner[port] = NOBODY;
		painting->next[port] = port;
	}
	painting->next[PORTS] = PORTS;

	for (uint32_t i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		/* An essential on an interface of its own was settled before this map is asked. */
		if (rule->direction == direction && !rule->essential)
			paint_rule(painting, rule, kernel_settles(rule) ? i : ASK);
	}
}

/* chain rule_7 { counter name "rule_7" drop comment "FILE:LINE" } */
static void put_rule_chain(struct compiler *compiler, uint32_t index) {
	const struct rule *rule = &compiler->ruleset->rules[index];
	struct nftnl_rule *last;
	char name[24];

	rule_object_name(index, name);
	put_counter(compiler, name);
	put_chain(compiler, name);
	names_add(&compiler->made->counters, name);
	names_add(&compiler->made->chains, name);
	last = rule_start(NFPROTO_INET, name);
	expr_counter(last, name);
	if (rule->action == ACTION_DROP)
		expr_verdict(last, NF_DROP);
	else
		expr_goto(last, CHAIN_REJECT);
	place_comment(last, &rule->place);
	rule_finish(compiler, last);
}

static int compare_indexes(const void *left, const void *right) {
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

/* Every rule that owns a port gets its chain, once. */
static void put_rule_chains(struct compiler *compiler, const struct painting *painting) {
	uint32_t *owners = malloc(sizeof(painting->owner));
	size_t count = 0;

	if (!owners)
		abort();
	for (uint32_t port = 0; port < PORTS; port++)
		if (painting->owner[port] != NOBODY && painting->owner[port] != ASK)
			owners[count++] = painting->owner[port];
	qsort(owners, count, sizeof(*owners), compare_indexes);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || owners[i] != owners[i - 1])
			put_rule_chain(compiler, owners[i]);
	free(owners);
}

static struct port_target target_of(uint32_t owner, uint32_t lo, uint32_t hi) {
	struct port_target target = {.ports = {(uint16_t)lo, (uint16_t)hi}};

	if (owner == ASK)
		snprintf(target.chain, sizeof(target.chain), "%s", CHAIN_ASK);
	else
		rule_object_name(owner, target.chain);
	return target;
}

/* Runs of ports with one owner. */
static size_t collect_targets(const struct painting *painting, struct port_target *targets) {
	size_t count = 0;

	for (uint32_t lo = 0, hi; lo < PORTS; lo = hi + 1) {
		for (hi = lo; hi + 1 < PORTS && painting->owner[hi + 1] == painting->owner[lo]; hi++)
			;
		if (painting->owner[lo] != NOBODY)
			targets[count++] = target_of(painting->owner[lo], lo, hi);
	}
	return count;
}

void put_ports(struct compiler *compiler, enum direction direction) {
	const char *map = direction == DIRECTION_IN ? "ports_in" : "ports_out";
	struct painting *painting = malloc(sizeof(*painting));
	struct port_target *targets = malloc(PORTS * sizeof(*targets));
	uint32_t id = next_set_id(compiler);
	struct nftnl_rule *rule;

	if (!painting || !targets)
		abort();
	paint_rules(painting, compiler->ruleset, direction);
	put_rule_chains(compiler, painting);
	put_port_map(compiler->batch, map, id, targets, collect_targets(painting, targets));
	names_add(&compiler->made->sets, map);
	free(targets);
	free(painting);

	rule = rule_start(NFPROTO_INET, direction == DIRECTION_IN ? "in_new" : "out_new");
	expr_port_map(rule, map, id);
	rule_finish(compiler, rule);
}
