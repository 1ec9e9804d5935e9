/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The first chain of each hook: settles what needs nobody, in the order of how often it
 * comes, and marks the rest ASK.
 *
 *   new TCP      one look-up in the port map
 *   leases       of connections that the daemon has accepted
 *   the rest     essentials, what is not for this host, noise; then ask
 */
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

static void finish_goto(struct compiler *compiler, struct nftnl_rule *rule, const char *chain) {
	expr_goto(rule, chain);
	rule_finish(compiler, rule);
}

static void start_goto(struct compiler *compiler, const char *from, const char *chain) {
	finish_goto(compiler, rule_start(NFPROTO_INET, from), chain);
}

/* Bits of ours in a packet that nobody has judged yet were set by somebody else. */
static void put_mark_cleaning(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_mark(rule, compiler->marks.mask, false, 0);
	expr_mark_change(rule, compiler->marks.mask, 0);
	rule_finish(compiler, rule);
}

static void finish_essential(struct compiler *compiler, struct nftnl_rule *rule,
			     const struct rule *essential) {
	char name[24];

	rule_object_name((uint32_t)(essential - compiler->ruleset->rules), name);
	expr_counter(rule, name);
	expr_verdict(rule, NF_ACCEPT);
}

bool kernel_accepts(const struct ruleset *ruleset, uint32_t index) {
	const struct rule *rule = &ruleset->rules[index];

	for (size_t i = 0; i < rule->what.count; i++)
		if (icmp_is_query(rule->what.matches[i].protocol, (uint8_t)rule->what.matches[i].ports.lo))
			return false;
	return rule->essential;
}

static void put_essential(struct compiler *compiler, const char *chain, uint32_t index) {
	char name[24];

	rule_object_name(index, name);
	put_counter(compiler, name);
	names_add(&compiler->made->counters, name);
	put_rule(compiler, chain, &compiler->ruleset->rules[index], finish_essential);
}

static bool is_icmpv6(const struct rule *rule) {
	return rule->what.count > 0 && rule->what.matches[0].protocol == PROTOCOL_ICMPV6;
}

static bool is_loopback(const struct rule *rule) {
	return rule->what.any && rule->on.count > 0;
}

static bool is_elsewhere(const struct rule *rule) {
	return !is_loopback(rule);
}

static void put_essentials_that(struct compiler *compiler, bool (*belongs)(const struct rule *),
				const char *chain, const char *chain_icmpv6, enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;

	for (uint32_t i = 0; i < ruleset->count && kernel_accepts(ruleset, i); i++)
		if (ruleset->rules[i].direction == direction && belongs(&ruleset->rules[i]))
			put_essential(compiler, is_icmpv6(&ruleset->rules[i]) ? chain_icmpv6 : chain, i);
}

/* Loopback asks nobody, not even for a lease. */
static void put_loopback(struct compiler *compiler, const char *chain, enum direction direction) {
	put_essentials_that(compiler, is_loopback, chain, chain, direction);
}

/* Those about ICMPv6, which are the most, stand in a chain of their own that other packets do not
 * see. */
static void put_essentials(struct compiler *compiler, const char *chain, enum direction direction) {
	const char *chain_icmpv6 = direction == DIRECTION_IN ? "in_icmpv6" : "out_icmpv6";
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	put_essentials_that(compiler, is_elsewhere, chain, chain_icmpv6, direction);
	expr_protocol(rule, PROTOCOL_ICMPV6);
	expr_jump(rule, chain_icmpv6);
	rule_finish(compiler, rule);
}

/* Flag sets that no TCP sends: scans and noise. */
void put_bogus_flags(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind_not_in(rule, KIND_SET);
	expr_counter(rule, "bogus_flags");
	expr_verdict(rule, NF_DROP);
	rule_finish(compiler, rule);
}

/* A segment with SYN opens a connection, or answers such a one; it never rides on a lease. */
static void put_syn(struct compiler *compiler, const char *chain, const char *chain_syn) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_has(rule, TCP_SYN);
	finish_goto(compiler, rule, chain_syn);
}

/* A pure one can be settled by port. */
static void put_new(struct compiler *compiler, const char *chain, const char *chain_new) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, true, TCP_SYN);
	finish_goto(compiler, rule, chain_new);
}

/* The map knows every port, so nothing comes back from it; while the ruleset changes, a packet that finds
 * none asks. */
static void put_port_lookup(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_port_map(rule, port_map_name(direction));
	rule_finish(compiler, rule);
	start_goto(compiler, chain, CHAIN_ASK);
}

static void put_forwarded(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule;

	if (!compiler->options->forwards)
		return;
	rule = rule_start(NFPROTO_INET, chain);
	expr_fib_type(rule, END_DESTINATION, true, RTN_UNICAST);
	expr_counter(rule, "forwarded");
	rule_comment(rule, "not for this host");
	finish_accept(compiler, rule);
}

static void put_in(struct compiler *compiler) {
	put_loopback(compiler, "in_dispatch", DIRECTION_IN);
	put_syn(compiler, "in_dispatch", "in_syn");
	put_lease_lookups(compiler, "in_dispatch", DIRECTION_IN);
	put_mark_cleaning(compiler, "in_dispatch");
	put_handshake_lookups(compiler, "in_dispatch", DIRECTION_IN);
	put_unseen(compiler, "in_dispatch", DIRECTION_IN);
	put_essentials(compiler, "in_dispatch", DIRECTION_IN);
	put_forwarded(compiler, "in_dispatch");
	put_bogus_flags(compiler, "in_dispatch");
	start_goto(compiler, "in_dispatch", CHAIN_ASK);

	put_mark_cleaning(compiler, "in_syn");
	put_new(compiler, "in_syn", "in_new");
	put_answering_lookups(compiler, "in_syn", DIRECTION_IN);
	put_forwarded(compiler, "in_syn");
	put_bogus_flags(compiler, "in_syn");
	start_goto(compiler, "in_syn", CHAIN_ASK);

	put_forwarded(compiler, "in_new");
	put_crossing(compiler, "in_new");
	put_port_lookup(compiler, "in_new", DIRECTION_IN);
}

/* What goes to lo may still be sent elsewhere by DNAT: then it is to be learned. */
static void put_to_loopback(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "out_dispatch");

	expr_interface(rule, DIRECTION_OUT, true, "lo");
	expr_mark_change(rule, compiler->marks.mask, compiler->marks.learn);
	rule_finish(compiler, rule);
}

static void put_out(struct compiler *compiler) {
	if (compiler->options->forwards)
		put_to_loopback(compiler);
	put_loopback(compiler, "out_dispatch", DIRECTION_OUT);
	put_syn(compiler, "out_dispatch", "out_syn");
	put_lease_lookups(compiler, "out_dispatch", DIRECTION_OUT);
	put_mark_cleaning(compiler, "out_dispatch");
	put_handshake_lookups(compiler, "out_dispatch", DIRECTION_OUT);
	put_unseen(compiler, "out_dispatch", DIRECTION_OUT);
	put_essentials(compiler, "out_dispatch", DIRECTION_OUT);
	put_bogus_flags(compiler, "out_dispatch");
	start_goto(compiler, "out_dispatch", CHAIN_ASK);

	put_mark_cleaning(compiler, "out_syn");
	put_new(compiler, "out_syn", "out_new");
	put_answering_lookups(compiler, "out_syn", DIRECTION_OUT);
	put_unseen(compiler, "out_syn", DIRECTION_OUT);
	put_bogus_flags(compiler, "out_syn");
	start_goto(compiler, "out_syn", CHAIN_ASK);

	put_port_lookup(compiler, "out_new", DIRECTION_OUT);
}

/* What was judged at output, and housekeeping of IPv6, which is never translated. */
static void put_nothing_to_learn(struct compiler *compiler) {
	static const struct port_range housekeeping = {130, 143};
	const struct marks *marks = &compiler->marks;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, LEARN_DISPATCH);

	expr_made_here(rule);
	expr_mark(rule, marks->learn, true, 0);
	finish_accept(compiler, rule);

	put_mark_cleaning(compiler, LEARN_DISPATCH);
	rule = rule_start(NFPROTO_INET, LEARN_DISPATCH);
	expr_interface(rule, DIRECTION_OUT, true, "lo");
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, LEARN_DISPATCH);
	expr_protocol(rule, PROTOCOL_ICMPV6);
	expr_icmp_type(rule, housekeeping);
	finish_accept(compiler, rule);
}

/* Behind address translation: what leaves with an address of this host and was not judged at
 * output (it is forwarded, or was turned away from lo by DNAT) must be known to the
 * daemon, or its replies would look like strangers. */
static void put_learn(struct compiler *compiler) {
	struct nftnl_rule *rule;

	put_nothing_to_learn(compiler);
	put_syn(compiler, LEARN_DISPATCH, "learn_syn");
	put_lease_lookups(compiler, LEARN_DISPATCH, DIRECTION_OUT);
	put_handshake_lookups(compiler, LEARN_DISPATCH, DIRECTION_OUT);
	put_unseen(compiler, LEARN_DISPATCH, DIRECTION_OUT);
	start_goto(compiler, LEARN_DISPATCH, "learn_new");

	put_new(compiler, "learn_syn", "learn_new");
	put_answering_lookups(compiler, "learn_syn", DIRECTION_OUT);
	put_unseen(compiler, "learn_syn", DIRECTION_OUT);
	start_goto(compiler, "learn_syn", "learn_new");

	rule = rule_start(NFPROTO_INET, "learn_new");
	expr_fib_type(rule, END_SOURCE, false, RTN_LOCAL);
	finish_accept(compiler, rule);
	start_goto(compiler, "learn_new", CHAIN_ASK);
}

void put_ask(struct compiler *compiler, bool queues) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_ASK);

	expr_mark_change(rule, 0, compiler->marks.ask);
	if (queues && compiler->options->dispatch == DISPATCH_NATIVE)
		expr_queue(rule, compiler->options->queue_first, compiler->options->queue_last);
	else /* with xtables in_queue, out_queue, learn_queue do it */
		expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

void put_dispatch(struct compiler *compiler) {
	put_ask(compiler, true);
	put_in(compiler);
	put_out(compiler);
	if (compiler->options->forwards)
		put_learn(compiler);
}
