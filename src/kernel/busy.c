/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A busy host: more connections are opened a second than the daemon need look at. Where the rules about a
 * port are static its answer is known beforehand, or can be found by the guard's rules, so the kernel
 * gives it by itself:
 *
 *   busy     (a second)     SYNs to the port are admitted; for as long as they are so many
 *   unseen   (two minutes)  so other segments of connections to it pass, uncopied, without a lease; where
 *                           the host forwards, with one
 *
 * Nothing is remembered of a SYN, so a flood of them fills nothing. The daemon takes up what has come of
 * them from the host's sockets, and of those behind this host from the leases. What it was told to kill
 * stands in `cut`, or the kernel would let it in again.
 */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

enum {
	SECOND = 1000,
	BUSY_MS = SECOND,
	/* Longer than a lease, and than the daemon takes to know what was admitted. */
	UNSEEN_MS = 120 * SECOND,
	CUT_MS = 3600 * SECOND,
	CUT_COLLECT_MS = 60 * SECOND,
	CUT_PORTS_MS = 2 * CUT_MS, /* outlives each of them */
	/* That the kernel goes through one by one; the daemon has an index. */
	STATIC_RULES = 64,
};

static const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};

static const char *cut_set(enum family family) {
	return family == FAMILY_IPV4 ? CUT_SET_IPV4 : CUT_SET_IPV6;
}

void put_busy_sets(struct compiler *compiler) {
	put_passing_port_set(compiler->batch, BUSY_SET, next_set_id(compiler), BUSY_MS);
	put_passing_port_set(compiler->batch, UNSEEN_SET, next_set_id(compiler), UNSEEN_MS);
	put_passing_port_set(compiler->batch, CUT_PORTS, next_set_id(compiler), CUT_PORTS_MS);
	for (size_t i = 0; i < 2; i++)
		put_tuple_set(compiler->batch, cut_set(families[i]), next_set_id(compiler), families[i],
			      compiler->ruleset->settings.connections, CUT_MS, CUT_COLLECT_MS);
}

void put_busy_removal(struct batch *batch, const bool *ports, bool destroy) {
	put_port_removal(batch, BUSY_SET, ports, destroy);
	put_port_removal(batch, UNSEEN_SET, ports, destroy);
}

static enum end local_end(enum direction direction) {
	return direction == DIRECTION_IN ? END_DESTINATION : END_SOURCE;
}

static const char *unseen_chain(enum direction direction) {
	return direction == DIRECTION_IN ? "in_unseen" : "out_unseen";
}

static const char *cut_chain(enum direction direction) {
	return direction == DIRECTION_IN ? "in_cut" : "out_cut";
}

/* Asks whether the connection was cut, where any on its port was. */
static void put_cut(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_port_in(rule, local_end(direction), CUT_PORTS, 0);
	expr_jump(rule, cut_chain(direction));
	rule_finish(compiler, rule);
}

void put_unseen(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule;

	if (!compiler->admits)
		return;
	if (!compiler->options->forwards && compiler->options->heeds_cuts)
		put_cut(compiler, chain, direction);
	rule = rule_start(NFPROTO_INET, chain);
	expr_port_in(rule, local_end(direction), UNSEEN_SET, 0);
	if (!compiler->options->forwards) {
		finish_accept(compiler, rule);
		return;
	}
	expr_goto(rule, unseen_chain(direction));
	rule_finish(compiler, rule);
}

enum busy_way busy_way_of(const struct ruleset *ruleset) {
	uint32_t count = 0;

	if (!settings_allow_busy(&ruleset->settings))
		return BUSY_NOT;
	for (uint32_t i = 0; i < ruleset->count; i++)
		count += ruleset->rules[i].direction == DIRECTION_IN && !ruleset->rules[i].essential;
	if (count <= STATIC_RULES)
		return BUSY_STATIC;
	return kernel_knows_mentioned(ruleset) ? BUSY_MENTIONED : BUSY_NOT;
}

static void put_asking(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_goto(rule, CHAIN_ASK);
	rule_finish(compiler, rule);
}

static void put_cut_lookups(struct compiler *compiler, enum direction direction) {
	enum end local = local_end(direction);

	for (size_t i = 0; i < 2; i++) {
		struct nftnl_rule *rule = rule_start(NFPROTO_INET, cut_chain(direction));
		const char *set = cut_set(families[i]);

		expr_family(rule, families[i]);
		expr_tuple_in(rule, families[i], local, set);
		expr_tuple_change(rule, families[i], local, SET_UPDATE, set, CUT_MS);
		expr_port_change(rule, local, SET_UPDATE, CUT_PORTS);
		expr_goto(rule, CHAIN_ASK);
		rule_finish(compiler, rule);
	}
}

void expr_uncut(struct nftnl_rule *rule, enum family family) {
	expr_tuple_change(rule, family, END_DESTINATION, SET_DELETE, cut_set(family), 0);
}

/* More than the rate makes its port busy, or keeps it so for another second. */
static void finish_too_many(struct compiler *compiler, struct nftnl_rule *rule, uint32_t burst,
			    const char *judge) {
	expr_rate_over(rule, compiler->ruleset->settings.busy_rate, burst);
	expr_port_change(rule, END_DESTINATION, SET_UPDATE, BUSY_SET);
	expr_goto(rule, judge);
	rule_finish(compiler, rule);
}

/* A new connection to an open port: to `judge` when that port is busy. The two rates are counted apart, or a
 * flood on one port would make each other one busy too. On the ports of one that was cut it asks: its other
 * segments would be taken for that one's, unless the daemon knows it. */
static void put_open(struct compiler *compiler, const char *chain, const char *judge) {
	uint32_t rate = compiler->ruleset->settings.busy_rate;
	struct nftnl_rule *rule;

	put_cut(compiler, chain, DIRECTION_IN);
	rule = rule_start(NFPROTO_INET, chain);
	expr_port_in(rule, END_DESTINATION, BUSY_SET, 0);
	finish_too_many(compiler, rule, rate / 10 + 1, judge); /* a tenth more uses that up in BUSY_MS */
	rule = rule_start(NFPROTO_INET, chain);
	expr_port_in(rule, END_DESTINATION, BUSY_SET, 0);
	expr_goto(rule, judge);
	rule_finish(compiler, rule);

	finish_too_many(compiler, rule_start(NFPROTO_INET, chain), rate / 2 + 1, judge);
	put_asking(compiler, chain);
}

void expr_admitted(struct nftnl_rule *rule) {
	expr_counter(rule, BUSY_COUNTER);
	expr_port_change(rule, END_DESTINATION, SET_UPDATE, UNSEEN_SET);
}

static void put_admission(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "in_admit");

	expr_admitted(rule);
	/* For the rule that opens the port: the element counts. */
	expr_port_in(rule, END_DESTINATION, ADMITTED_SET, 0);
	finish_accept(compiler, rule);
	finish_accept(compiler, rule_start(NFPROTO_INET, "in_admit"));
}

void put_pause(struct compiler *compiler, bool pause) {
	put_flush(compiler->batch, NFPROTO_INET, "in_pause");
	if (pause)
		put_asking(compiler, "in_pause");
}

/* Before anything is looked up in a set of ranges, for as long as compile_pause has not ended it. */
static void put_first_pause(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "in_judge");

	put_asking(compiler, "in_pause");
	expr_jump(rule, "in_pause");
	rule_finish(compiler, rule);
}

/* Under conditions, by the rules themselves; the mark says who asks. */
static void put_judging(struct compiler *compiler) {
	struct nftnl_rule *rule;

	put_first_pause(compiler);
	rule = rule_start(NFPROTO_INET, "in_judge");
	expr_mark_change(rule, 0, compiler->marks.learn);
	expr_goto(rule, CHAIN_STATIC);
	rule_finish(compiler, rule);
}

/* Or, where those are many, as if there were none for whom none names. */
static void put_telling_apart(struct compiler *compiler) {
	struct nftnl_rule *rule;

	put_first_pause(compiler);
	for (size_t i = 0; i < 2; i++) {
		rule = rule_start(NFPROTO_INET, "in_judge");
		expr_family(rule, families[i]);
		expr_addr_in(rule, families[i], END_SOURCE, true, mentioned_set(families[i]), 0);
		expr_goto(rule, CHAIN_ASK);
		rule_finish(compiler, rule);
	}
	rule = rule_start(NFPROTO_INET, "in_judge");
	expr_goto(rule, "in_admit");
	rule_finish(compiler, rule);
}

/* For somebody behind this host, whose leases tell the daemon of them. */
static void put_unseen_segments(struct compiler *compiler, enum direction direction) {
	const char *chain = unseen_chain(direction);
	struct nftnl_rule *rule;

	put_cut(compiler, chain, direction);
	rule = rule_start(NFPROTO_INET, chain);
	expr_tcp_kind(rule, false, TCP_ACK);
	finish_accept(compiler, rule);
	put_unseen_renewals(compiler, chain, direction);
	finish_accept(compiler, rule_start(NFPROTO_INET, chain));
}

/* Chains that these rules' port map leads nobody to must ask all the same: while rules change, a packet on
 * its way through the old ones may meet the new map, and behind the end of a chain it would be accepted. */
void put_busy_chains(struct compiler *compiler) {
	if (!compiler->admits) {
		put_asking(compiler, CHAIN_OPEN);
		put_asking(compiler, CHAIN_OPEN_STATIC);
		return;
	}
	put_open(compiler, CHAIN_OPEN, "in_admit");
	put_open(compiler, CHAIN_OPEN_STATIC, "in_judge");
	put_admission(compiler);
	switch (compiler->busy) {
	case BUSY_STATIC:
		put_judging(compiler);
		break;
	case BUSY_MENTIONED:
		put_telling_apart(compiler);
		break;
	case BUSY_NOT:
		put_asking(compiler, "in_judge");
	}
	for (enum direction each = DIRECTION_IN; each <= DIRECTION_OUT; each++) {
		if (compiler->options->forwards)
			put_unseen_segments(compiler, each);
		put_cut_lookups(compiler, each);
	}
}
