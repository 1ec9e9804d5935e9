/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which new TCP connections the kernel settles alone: for each port the first rule
 * that can match it. Is that one unconditional and refuses, the port's element in the map refuses too, and
 * counts for it; allows it, the port is open to all; does nobody speak of the port, the default decides;
 * everything else asks the daemon. One lookup, however long the file is; and before it one that costs a
 * fraction of that, for the ports that nobody speaks of and the default drops: what scans and floods meet.
 */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

/* In NAMED_PORTS: each is an element of its own. */
enum { MOST_NAMED = 1024 };

/* What stands for a port beside a rule's index. */
static const uint32_t NOBODY = OWNER_DEFAULT, ASK = OWNER_ASK;

/* The ports that something is still to be done about: the next one from each on, PORTS: none. Shortened as it
 * is walked, so that going through them all costs about a step a port. */
struct ports_left {
	uint32_t next[PORTS + 1];
};

struct painting {
	uint32_t owner[PORTS];
	struct ports_left unowned;
	/* Before the rule that settles the port come others that speak of it under conditions which the
	 * kernel can judge. */
	bool conditional[PORTS];
	struct ports_left unconditional;
};

static uint32_t next_left(struct ports_left *left, uint32_t port) {
	uint32_t root = port;

	while (left->next[root] != root)
		root = left->next[root];
	while (left->next[port] != root) {
		uint32_t step = left->next[port];

		left->next[port] = root;
		port = step;
	}
	return root;
}

static void take_out(struct ports_left *left, uint32_t port) {
	left->next[port] = port + 1;
}

static bool is_left(const struct ports_left *left, uint32_t port) {
	return left->next[port] == port;
}

static void paint(struct painting *painting, struct port_range range, uint32_t owner) {
	for (uint32_t port = next_left(&painting->unowned, range.lo); port <= range.hi;
	     port = next_left(&painting->unowned, port)) {
		painting->owner[port] = owner;
		take_out(&painting->unowned, port);
	}
}

static void note_condition(struct painting *painting, struct port_range range, uint32_t unused) {
	(void)unused;
	for (uint32_t port = next_left(&painting->unconditional, range.lo); port <= range.hi;
	     port = next_left(&painting->unconditional, port)) {
		painting->conditional[port] = is_left(&painting->unowned, port);
		take_out(&painting->unconditional, port);
	}
}

typedef void brush(struct painting *painting, struct port_range range, uint32_t owner);

static void paint_rule(struct painting *painting, const struct rule *rule, brush *apply, uint32_t owner) {
	if (rule->what.any)
		apply(painting, (struct port_range){0, PORTS - 1}, owner);
	for (size_t i = 0; i < rule->what.count; i++)
		if (rule->what.matches[i].protocol == PROTOCOL_TCP)
			apply(painting, rule->what.matches[i].ports, owner);
}

/* A logged refusal goes through the daemon, which writes the log. */
static bool kernel_can_judge(const struct rule *rule) {
	return rule->action == ACTION_ALLOW ? rule_is_static(rule) : !rule->log;
}

/* To whom the rule applies, so that the port need not be the daemon's for its sake. */
static bool kernel_can_tell_apart(const struct compiler *compiler, const struct rule *rule) {
	if (rule->direction != DIRECTION_IN)
		return false;
	switch (compiler->busy) {
	case BUSY_STATIC:
		return kernel_can_judge(rule);
	case BUSY_MENTIONED:
		return rule_names_sources(rule) && !rule->strict;
	default:
		return false;
	}
}

static void paint_rules(struct painting *painting, const struct compiler *compiler,
			enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;

	for (uint32_t port = 0; port < PORTS; port++) {
		painting->owner[port] = NOBODY;
		painting->conditional[port] = false;
	}
	for (uint32_t port = 0; port <= PORTS; port++)
		painting->unowned.next[port] = painting->unconditional.next[port] = port;

	for (uint32_t i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];

		/* An essential on an interface of its own was settled before this map is asked. */
		if (rule->direction != direction || rule->essential)
			continue;
		if (kernel_can_judge(rule) && rule_is_unconditional(rule))
			paint_rule(painting, rule, paint, i);
		else if (kernel_can_tell_apart(compiler, rule))
			paint_rule(painting, rule, note_condition, i);
		else
			paint_rule(painting, rule, paint, ASK);
	}
}

static enum action action_of(const struct ruleset *ruleset, enum direction direction, uint32_t owner) {
	return owner == NOBODY ? ruleset->defaults[direction] : ruleset->rules[owner].action;
}

static enum settlement settlement_of(const struct ruleset *ruleset, enum direction direction,
				     uint32_t owner) {
	if (owner == ASK)
		return SETTLE_ASK;
	switch (action_of(ruleset, direction, owner)) {
	case ACTION_DROP:
		return SETTLE_DROP;
	case ACTION_REJECT:
		return SETTLE_REJECT;
	default:
		return direction == DIRECTION_IN && settings_allow_busy(&ruleset->settings) ? SETTLE_OPEN
											    : SETTLE_ASK;
	}
}

/* Without the rules themselves the kernel can admit whoever they do not name, but refuse nobody. */
static enum settlement conditional_settlement(const struct compiler *compiler, enum settlement otherwise) {
	return compiler->busy == BUSY_STATIC || otherwise == SETTLE_OPEN ? SETTLE_STATIC : SETTLE_ASK;
}

static struct port_target target_of(const struct compiler *compiler, enum direction direction, uint32_t owner,
				    bool conditional) {
	static const char *const comments[2][SETTLE_STATIC + 1] = {
	    {NULL, "default in drop", "default in reject", "default in allow", NULL},
	    {NULL, "default out drop", "default out reject", NULL, NULL}};
	const struct ruleset *ruleset = compiler->ruleset;
	struct port_target target = {.owner = owner, .settlement = settlement_of(ruleset, direction, owner)};

	if (conditional && owner != ASK)
		target.settlement = conditional_settlement(compiler, target.settlement);
	else if (owner == NOBODY)
		target.comment = comments[direction][target.settlement];
	else if (target.settlement != SETTLE_ASK)
		target.place = &ruleset->rules[owner].place;
	return target;
}

static bool is_alike(const struct painting *painting, uint32_t left, uint32_t right) {
	return painting->owner[left] == painting->owner[right] &&
	       painting->conditional[left] == painting->conditional[right];
}

/* Runs of ports with one owner; together they are all ports, so that whatever a packet meets during
 * a reload, one look-up settles it. */
static size_t collect_targets(const struct compiler *compiler, enum direction direction,
			      const struct painting *painting, struct port_target *targets) {
	size_t count = 0;

	for (uint32_t lo = 0, hi; lo < PORTS; lo = hi + 1) {
		for (hi = lo; hi + 1 < PORTS && is_alike(painting, lo, hi + 1); hi++)
			;
		targets[count] =
		    target_of(compiler, direction, painting->owner[lo], painting->conditional[lo]);
		targets[count++].ports = (struct port_range){(uint16_t)lo, (uint16_t)hi};
	}
	return count;
}

static void *allocate(size_t size) {
	void *memory = malloc(size);

	if (!memory)
		abort();
	return memory;
}

/* By port, whom an element of these targets counts for. */
static uint32_t *owners_of(const struct port_target *targets, size_t count) {
	uint32_t *owners = allocate(PORTS * sizeof(*owners));

	for (uint32_t port = 0; port < PORTS; port++)
		owners[port] = ASK;
	for (size_t i = 0; i < count; i++)
		for (uint32_t port = targets[i].ports.lo; port <= targets[i].ports.hi; port++)
			owners[port] = targets[i].owner;
	return owners;
}

/* Those with settlements from `first` to `last`, in place of them all. */
static size_t keep(struct port_target *targets, size_t count, enum settlement first, enum settlement last) {
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (targets[i].settlement >= first && targets[i].settlement <= last)
			targets[kept++] = targets[i];
	return kept;
}

/* A set that stands is filled anew in place: while it changes, a look-up finds the old elements or the new.
 */
static void put_targets(struct compiler *compiler, const char *set, bool standing,
			const struct port_target *targets, size_t count) {
	bool map = strcmp(set, ADMITTED_SET) != 0;

	if (standing)
		put_set_flush(compiler->batch, set);
	else
		put_ports_set(compiler->batch, set, next_set_id(compiler), map);
	put_port_targets(compiler->batch, set, map, targets, count);
}

/* Ports with one settlement each; `targets` has room for PORTS. */
static size_t settle_ports(const struct compiler *compiler, enum direction direction,
			   struct port_target *targets) {
	struct painting *painting = allocate(sizeof(*painting));
	size_t count;

	paint_rules(painting, compiler, direction);
	count = collect_targets(compiler, direction, painting, targets);
	free(painting);
	return count;
}

void put_ports(struct compiler *compiler, enum direction direction, bool standing) {
	struct port_target *targets = allocate(PORTS * sizeof(*targets));
	size_t count = settle_ports(compiler, direction, targets);

	put_targets(compiler, port_map_name(direction), standing, targets, count);
	compiler->made->port_owners[direction] =
	    owners_of(targets, keep(targets, count, SETTLE_DROP, SETTLE_REJECT));
	free(targets);
}

static bool was_open(const struct inventory *old, uint32_t port) {
	return old->open_owners ? old->open_owners[port] != ASK : old->unseen && old->unseen[port];
}

/* What was admitted to a port that is closed now must not go on by what packets have left there, but only
 * once these rules are in is nothing left there any more: see install_forget_closed. */
static void note_closed(struct compiler *compiler) {
	struct inventory *made = compiler->made;
	bool *closed = allocate(PORTS * sizeof(*closed)), any = false;

	for (uint32_t port = 0; port < PORTS; port++) {
		closed[port] = was_open(compiler->old, port) && made->open_owners[port] == ASK;
		any = any || closed[port];
	}
	if (any)
		made->closed = closed;
	else
		free(closed);
}

void put_open_ports(struct compiler *compiler, bool standing) {
	struct port_target *targets = allocate(PORTS * sizeof(*targets));
	size_t count = settle_ports(compiler, DIRECTION_IN, targets);

	count = keep(targets, count, SETTLE_OPEN, SETTLE_STATIC);
	compiler->made->open_owners = owners_of(targets, count);
	if (standing)
		note_closed(compiler);
	/* The static rules count for themselves. */
	if (compiler->busy == BUSY_STATIC)
		count = keep(targets, count, SETTLE_OPEN, SETTLE_OPEN);
	put_targets(compiler, ADMITTED_SET, standing, targets, count);
	free(targets);
}

/* The set is filled anew in place, or left alone where these rules do not look it up: a packet on its way
 * through the old ones must not miss in it what they name. */
void put_closed_ports(struct compiler *compiler, const char *chain) {
	const uint32_t *owners = compiler->made->port_owners[DIRECTION_IN];
	bool named[PORTS];
	uint32_t count = 0;
	struct nftnl_rule *rule;

	for (uint32_t port = 0; port < PORTS; port++) {
		named[port] = owners[port] != NOBODY;
		count += named[port];
	}
	if (compiler->ruleset->defaults[DIRECTION_IN] != ACTION_DROP || count > MOST_NAMED)
		return;
	put_set_flush(compiler->batch, NAMED_PORTS);
	put_port_changes(compiler->batch, NAMED_PORTS, NFT_MSG_NEWSETELEM, named);
	rule = rule_start(NFPROTO_INET, chain);
	expr_port_not_in(rule, END_DESTINATION, NAMED_PORTS, 0);
	expr_counter(rule, CLOSED_COUNTER);
	expr_verdict(rule, NF_DROP);
	rule_comment(rule, "default in drop");
	rule_finish(compiler, rule);
}

const char *port_map_name(enum direction direction) {
	return direction == DIRECTION_IN ? "ports_in" : "ports_out";
}
