/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which new TCP connections the kernel settles alone: for each port the first rule
 * that can match it. Is that one unconditional and refuses, the port's element in the map refuses too, and
 * counts for it; does nobody speak of the port, the default decides; everything else asks
 * the daemon. One lookup, however long the file is.
 */
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

/* What stands for a port beside a rule's index. */
static const uint32_t NOBODY = OWNER_DEFAULT, ASK = OWNER_ASK;

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

static struct port_target target_of(const struct compiler *compiler, enum direction direction,
				    uint32_t owner) {
	static const char *const comments[2][3] = {{NULL, "default in drop", "default in reject"},
						   {NULL, "default out drop", "default out reject"}};
	static const enum settlement of_action[] = {
	    [ACTION_ALLOW] = SETTLE_ASK, [ACTION_DROP] = SETTLE_DROP, [ACTION_REJECT] = SETTLE_REJECT};
	const struct ruleset *ruleset = compiler->ruleset;
	struct port_target target = {.settlement = SETTLE_ASK};

	if (owner == NOBODY) {
		target.settlement = of_action[ruleset->defaults[direction]];
		target.comment = comments[direction][target.settlement];
	} else if (owner != ASK) {
		target.settlement = of_action[ruleset->rules[owner].action];
		target.place = &ruleset->rules[owner].place;
	}
	return target;
}

/* Runs of ports with one owner; together they are all ports, so that whatever a packet meets during
 * a reload, one look-up settles it. */
static size_t collect_targets(const struct compiler *compiler, enum direction direction,
			      const struct painting *painting, struct port_target *targets) {
	size_t count = 0;

	for (uint32_t lo = 0, hi; lo < PORTS; lo = hi + 1) {
		for (hi = lo; hi + 1 < PORTS && painting->owner[hi + 1] == painting->owner[lo]; hi++)
			;
		targets[count] = target_of(compiler, direction, painting->owner[lo]);
		targets[count++].ports = (struct port_range){(uint16_t)lo, (uint16_t)hi};
	}
	return count;
}

void put_ports(struct compiler *compiler, enum direction direction, bool standing) {
	const char *map = port_map_name(direction);
	struct painting *painting = malloc(sizeof(*painting));
	struct port_target *targets = malloc(PORTS * sizeof(*targets));
	uint32_t *owners = malloc(PORTS * sizeof(*owners));

	if (!painting || !targets || !owners)
		abort();
	paint_rules(painting, compiler->ruleset, direction);
	memcpy(owners, painting->owner, sizeof(painting->owner));
	if (standing)
		put_set_flush(compiler->batch, map);
	else
		put_port_map(compiler->batch, map, next_set_id(compiler));
	put_port_targets(compiler->batch, map, targets,
			 collect_targets(compiler, direction, painting, targets));
	compiler->made->port_owners[direction] = owners;
	free(targets);
	free(painting);
}

const char *port_map_name(enum direction direction) {
	return direction == DIRECTION_IN ? "ports_in" : "ports_out";
}
