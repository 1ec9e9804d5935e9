/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A busy host: more connections are opened a second, at ports that the rules open to all, than
 * the daemon need look at. What it would answer is known, so the kernel admits them by itself:
 *
 *   busy     (a second)     SYNs to the port are admitted
 *   unseen   (two minutes)  so other segments of connections to it pass and get a lease, uncopied
 *
 * Nothing is remembered of a SYN, so a flood of them fills nothing. The daemon takes up what has come of
 * them from the host's sockets and from the leases. What it was told to kill stands in `cut`, or the
 * kernel would let it in again.
 */
#include <linux/netfilter.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

enum {
	SECOND = 1000,
	BUSY_MS = SECOND,
	/* Longer than a lease: one that runs out now is granted again until the daemon knows. */
	UNSEEN_MS = 120 * SECOND,
	CUT_MS = 3600 * SECOND,
	CUT_COLLECT_MS = 60 * SECOND,
};

static const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};

static const char *cut_set(enum family family) {
	return family == FAMILY_IPV4 ? CUT_SET_IPV4 : CUT_SET_IPV6;
}

void put_busy_sets(struct compiler *compiler) {
	put_passing_port_set(compiler->batch, BUSY_SET, next_set_id(compiler), BUSY_MS);
	put_passing_port_set(compiler->batch, UNSEEN_SET, next_set_id(compiler), UNSEEN_MS);
	for (size_t i = 0; i < 2; i++)
		put_tuple_set(compiler->batch, cut_set(families[i]), next_set_id(compiler), families[i],
			      compiler->ruleset->settings.connections, CUT_MS, CUT_COLLECT_MS);
}

static enum end local_end(enum direction direction) {
	return direction == DIRECTION_IN ? END_DESTINATION : END_SOURCE;
}

static const char *unseen_chain(enum direction direction) {
	return direction == DIRECTION_IN ? "in_unseen" : "out_unseen";
}

static bool applies(const struct compiler *compiler) {
	return settings_allow_busy(&compiler->ruleset->settings);
}

void put_unseen(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule;

	if (!applies(compiler))
		return;
	rule = rule_start(NFPROTO_INET, chain);
	expr_protocol(rule, PROTOCOL_TCP);
	expr_port_in(rule, local_end(direction), UNSEEN_SET, 0);
	expr_port_in(rule, local_end(direction), OPEN_SET, 0);
	expr_goto(rule, unseen_chain(direction));
	rule_finish(compiler, rule);
}

void put_uncopied(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule;

	if (!applies(compiler))
		return;
	rule = rule_start(NFPROTO_INET, chain);
	expr_port_in(rule, local_end(direction), UNSEEN_SET, 0);
	finish_accept(compiler, rule);
}

/* A new connection to an open port. */
static void put_open(struct compiler *compiler) {
	uint32_t rate = compiler->ruleset->settings.busy_rate;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_OPEN);

	expr_port_in(rule, END_DESTINATION, BUSY_SET, 0);
	expr_goto(rule, "in_admit");
	rule_finish(compiler, rule);

	rule = rule_start(NFPROTO_INET, CHAIN_OPEN);
	expr_rate_over(rule, rate, rate / 2 + 1);
	expr_port_change(rule, END_DESTINATION, SET_UPDATE, UNSEEN_SET);
	expr_port_change(rule, END_DESTINATION, SET_ADD, BUSY_SET);
	expr_goto(rule, "in_admit");
	rule_finish(compiler, rule);

	rule = rule_start(NFPROTO_INET, CHAIN_OPEN);
	expr_goto(rule, CHAIN_ASK);
	rule_finish(compiler, rule);
}

static void put_admission(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "in_admit");

	expr_counter(rule, BUSY_COUNTER);
	/* For the rule that opens the port: the element counts. */
	expr_port_in(rule, END_DESTINATION, ADMITTED_SET, 0);
	finish_accept(compiler, rule);
	finish_accept(compiler, rule_start(NFPROTO_INET, "in_admit"));
}

static void put_cut(struct compiler *compiler, const char *chain, enum family family, enum end local) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_family(rule, family);
	expr_tuple_in(rule, family, local, cut_set(family));
	expr_tuple_change(rule, family, local, SET_UPDATE, cut_set(family), CUT_MS);
	expr_goto(rule, CHAIN_ASK);
	rule_finish(compiler, rule);
}

static void put_unseen_segments(struct compiler *compiler, enum direction direction) {
	const char *chain = unseen_chain(direction);
	struct nftnl_rule *rule;

	for (size_t i = 0; i < 2; i++)
		put_cut(compiler, chain, families[i], local_end(direction));
	put_bogus_flags(compiler, chain);
	put_renewals(compiler, chain, direction);
	/* A SYN/ACK, a FIN, or no room for a lease. */
	rule = rule_start(NFPROTO_INET, chain);
	expr_tcp_has(rule, TCP_ACK);
	finish_accept(compiler, rule);
	rule = rule_start(NFPROTO_INET, chain);
	expr_goto(rule, CHAIN_ASK);
	rule_finish(compiler, rule);
}

void put_busy_chains(struct compiler *compiler) {
	if (!applies(compiler))
		return;
	put_open(compiler);
	put_admission(compiler);
	put_unseen_segments(compiler, DIRECTION_IN);
	put_unseen_segments(compiler, DIRECTION_OUT);
}
