/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's table as a whole. A packet's way through it, per direction:
 *
 *   dispatch (-310)  settles what needs nobody, marks the rest ASK
 *   queue    (-300)  ASK goes to the daemon
 *   verdict  (-290)  the daemon's answer, or, where ASK still stands, the guard
 *
 * They are base chains of their own since a packet that comes back from a queue goes
 * on at the next base chain, never at the next rule. Behind address translation stands a
 * second, smaller trio (learn_*) that only makes connections known.
 */
#include "compile.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "expr.h"
#include "sets.h"

enum priority {
	PRIORITY_DISPATCH = -310, /* before raw (-300) and everything that translates addresses */
	PRIORITY_QUEUE = -300,
	PRIORITY_VERDICT = -290,
	PRIORITY_LEARN = 300, /* behind srcnat (100) */
	PRIORITY_LEARN_QUEUE = 305,
	PRIORITY_LEARN_VERDICT = 310,
};

static const struct base_chain base_chains[] = {
    {"in_dispatch", NF_INET_PRE_ROUTING, PRIORITY_DISPATCH},
    {"in_verdict", NF_INET_PRE_ROUTING, PRIORITY_VERDICT},
    {"out_dispatch", NF_INET_LOCAL_OUT, PRIORITY_DISPATCH},
    {"out_verdict", NF_INET_LOCAL_OUT, PRIORITY_VERDICT},
    {"learn_dispatch", NF_INET_POST_ROUTING, PRIORITY_LEARN},
    {"learn_verdict", NF_INET_POST_ROUTING, PRIORITY_LEARN_VERDICT},
};

/* In `inet sallyport`, or in `ip` and `ip6 sallyport` where xtables does the queueing. */
static const struct base_chain queue_chains[] = {
    {"in_queue", NF_INET_PRE_ROUTING, PRIORITY_QUEUE},
    {"out_queue", NF_INET_LOCAL_OUT, PRIORITY_QUEUE},
    {"learn_queue", NF_INET_POST_ROUTING, PRIORITY_LEARN_QUEUE},
};

static const char *const lasting_chains[] = {CHAIN_ASK,  CHAIN_REJECT, "in_icmpv6", "out_icmpv6",
					     "in_guard", "out_guard",  "reassemble"};

static const char *const lasting_counters[] = {"forwarded",     "bogus_flags",    "guard_in_pass",
					       "guard_in_drop", "guard_out_pass", "guard_out_drop"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what ends a rule ---- */

static void finish_accept(struct compiler *compiler, struct nftnl_rule *rule) {
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

static void finish_goto(struct compiler *compiler, struct nftnl_rule *rule, const char *chain) {
	expr_goto(rule, chain);
	rule_finish(compiler, rule);
}

/* ---- chains, in the order of a packet's way ---- */

/* No hook calls it; that it is there makes the kernel reassemble fragments of both families
 * before the dispatch, without conntrack (net/netfilter/nft_tproxy.c, nft_tproxy_init). */
static void put_reassembly(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "reassemble");

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tproxy(rule);
	rule_comment(rule, "makes the kernel reassemble fragments");
	rule_finish(compiler, rule);
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

/* Of the essentials, those that stand before the file's own rules and open nothing: an answer to a
 * query must find a connection. */
static bool kernel_accepts(const struct ruleset *ruleset, uint32_t index) {
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

/* Those about ICMPv6, which are the most, stand in a chain of their own that other packets do not
 * see. */
static void put_essentials(struct compiler *compiler, enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;
	const char *chain = direction == DIRECTION_IN ? "in_dispatch" : "out_dispatch";
	const char *chain_icmpv6 = direction == DIRECTION_IN ? "in_icmpv6" : "out_icmpv6";
	struct nftnl_rule *rule;

	for (uint32_t i = 0; i < ruleset->count && kernel_accepts(ruleset, i); i++)
		if (ruleset->rules[i].direction == direction)
			put_essential(compiler, is_icmpv6(&ruleset->rules[i]) ? chain_icmpv6 : chain, i);
	rule = rule_start(NFPROTO_INET, chain);
	expr_protocol(rule, PROTOCOL_ICMPV6);
	expr_jump(rule, chain_icmpv6);
	rule_finish(compiler, rule);
}

/* Flag sets that no TCP sends: scans and noise. */
static void put_bogus_flags(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind_not_in(rule, KIND_SET);
	expr_counter(rule, "bogus_flags");
	expr_verdict(rule, NF_DROP);
	rule_finish(compiler, rule);
}

/* A pure SYN opens a connection and can be settled by port; all else may belong to one. */
static void put_new_or_ask(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, true, TCP_SYN);
	expr_port_map(rule, port_map_name(direction));
	rule_finish(compiler, rule);
	finish_goto(compiler, rule_start(NFPROTO_INET, chain), CHAIN_ASK);
}

static void put_in_dispatch(struct compiler *compiler) {
	struct nftnl_rule *forwarded = rule_start(NFPROTO_INET, "in_dispatch");

	put_mark_cleaning(compiler, "in_dispatch");
	put_essentials(compiler, DIRECTION_IN);
	expr_fib_type(forwarded, END_DESTINATION, true, RTN_UNICAST);
	expr_counter(forwarded, "forwarded");
	rule_comment(forwarded, "not for this host");
	finish_accept(compiler, forwarded);
	put_bogus_flags(compiler, "in_dispatch");
	put_new_or_ask(compiler, "in_dispatch", DIRECTION_IN);
}

static void put_out_dispatch(struct compiler *compiler) {
	struct nftnl_rule *seen = rule_start(NFPROTO_INET, "out_dispatch");

	put_mark_cleaning(compiler, "out_dispatch");
	/* What goes to lo may still be sent elsewhere by DNAT: that one must be learned. */
	expr_interface(seen, DIRECTION_OUT, false, "lo");
	expr_mark_change(seen, 0, compiler->marks.seen);
	rule_finish(compiler, seen);
	put_essentials(compiler, DIRECTION_OUT);
	put_bogus_flags(compiler, "out_dispatch");
	put_new_or_ask(compiler, "out_dispatch", DIRECTION_OUT);
}

static void put_ask_and_reject(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_ASK);

	expr_mark_change(rule, 0, compiler->marks.ask);
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, CHAIN_REJECT);
	expr_protocol(rule, PROTOCOL_TCP);
	expr_reject_tcp_reset(rule);
	rule_finish(compiler, rule);
	rule = rule_start(NFPROTO_INET, CHAIN_REJECT);
	expr_reject_port_unreachable(rule);
	rule_finish(compiler, rule);
}

static void put_queue(struct compiler *compiler, uint16_t family, const char *chain) {
	const struct compile_options *options = compiler->options;
	struct nftnl_rule *rule = rule_start(family, chain);

	expr_mark(rule, compiler->marks.ask, true, compiler->marks.ask);
	if (options->dispatch == DISPATCH_NATIVE)
		expr_queue(rule, options->queue_first, options->queue_last);
	else
		expr_queue_xtables(rule, options->queue_first, options->queue_last);
	rule_finish(compiler, rule);
}

static void put_queues(struct compiler *compiler) {
	for (size_t i = 0; i < COUNT(queue_chains); i++) {
		if (compiler->options->dispatch == DISPATCH_NATIVE) {
			put_queue(compiler, NFPROTO_INET, queue_chains[i].name);
			continue;
		}
		put_queue(compiler, NFPROTO_IPV4, queue_chains[i].name);
		put_queue(compiler, NFPROTO_IPV6, queue_chains[i].name);
	}
}

static void put_verdict(struct compiler *compiler, const char *chain, const char *guard, uint32_t bits) {
	const struct marks *marks = &compiler->marks;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_mark(rule, bits, true, 0);
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, chain);
	expr_mark(rule, marks->allow, true, marks->allow);
	expr_mark_change(rule, bits, 0);
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, chain);
	expr_mark(rule, marks->reject, true, marks->reject);
	expr_mark_change(rule, bits, 0);
	finish_goto(compiler, rule, CHAIN_REJECT);

	rule = rule_start(NFPROTO_INET, chain);
	expr_mark_change(rule, bits, 0);
	rule_comment(rule, "asked, but nobody answered");
	finish_goto(compiler, rule, guard);
}

static void finish_guard(struct compiler *compiler, struct nftnl_rule *rule, const struct rule *source) {
	bool in = source->direction == DIRECTION_IN;

	(void)compiler;
	if (source->action == ACTION_ALLOW) {
		expr_counter(rule, in ? "guard_in_pass" : "guard_out_pass");
		expr_verdict(rule, NF_ACCEPT);
		return;
	}
	expr_counter(rule, in ? "guard_in_drop" : "guard_out_drop");
	if (source->action == ACTION_DROP)
		expr_verdict(rule, NF_DROP);
	else
		expr_goto(rule, CHAIN_REJECT);
}

/* Packets that open nothing: the guard knows no connections, and letting them pass opens
 * no port. */
static void put_guard_continuations(struct compiler *compiler, const char *chain, const char *counter) {
	static const struct {
		uint8_t protocol;
		struct port_range types;
	} messages[] = {
	    {PROTOCOL_ICMP, {0, 0}},       /* echo reply */
	    {PROTOCOL_ICMP, {3, 3}},       /* destination unreachable */
	    {PROTOCOL_ICMP, {11, 12}},     /* time exceeded, parameter problem */
	    {PROTOCOL_ICMPV6, {1, 4}},     /* the errors */
	    {PROTOCOL_ICMPV6, {129, 129}}, /* echo reply */
	};
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, false, TCP_SYN);
	expr_counter(rule, counter);
	finish_accept(compiler, rule);
	for (size_t i = 0; i < COUNT(messages); i++) {
		rule = rule_start(NFPROTO_INET, chain);
		expr_protocol(rule, messages[i].protocol);
		expr_icmp_type(rule, messages[i].types);
		expr_counter(rule, counter);
		finish_accept(compiler, rule);
	}
}

static void put_guard_default(struct compiler *compiler, const char *chain, enum direction direction) {
	enum action action = compiler->ruleset->defaults[direction];
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);
	char comment[64];

	snprintf(comment, sizeof(comment), "default %s %s", direction_name(direction), action_name(action));
	rule_comment(rule, comment);
	finish_guard(compiler, rule, &(struct rule){.direction = direction, .action = action});
	rule_finish(compiler, rule);
}

/* The static policy: every rule of the file, in order. */
static void put_guard(struct compiler *compiler, enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;
	bool in = direction == DIRECTION_IN;
	const char *chain = in ? "in_guard" : "out_guard";
	uint32_t i = 0;

	put_guard_continuations(compiler, chain, in ? "guard_in_pass" : "guard_out_pass");
	while (i < ruleset->count && kernel_accepts(ruleset, i))
		i++; /* settled in the dispatch */
	for (; i < ruleset->count; i++)
		if (ruleset->rules[i].direction == direction)
			put_rule(compiler, chain, &ruleset->rules[i], finish_guard);
	put_guard_default(compiler, chain, direction);
}

/* Behind address translation: what leaves with an address of this host and was not judged at
 * output (it is forwarded, or was turned away from lo by DNAT) must be known to the
 * daemon, or its replies would look like strangers. */
static void put_learning(struct compiler *compiler) {
	const struct marks *marks = &compiler->marks;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "learn_dispatch");

	expr_mark(rule, marks->seen, true, marks->seen);
	expr_mark_change(rule, marks->mask, 0);
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, "learn_dispatch");
	expr_interface(rule, DIRECTION_OUT, true, "lo");
	finish_accept(compiler, rule);

	rule = rule_start(NFPROTO_INET, "learn_dispatch");
	expr_fib_type(rule, END_SOURCE, false, RTN_LOCAL);
	finish_accept(compiler, rule);
	finish_goto(compiler, rule_start(NFPROTO_INET, "learn_dispatch"), CHAIN_ASK);

	put_mark_cleaning(compiler, "learn_verdict");
}

/* ---- the whole ---- */

static void put_base_chains(struct batch *batch, uint16_t family, const struct base_chain *chains,
			    size_t count) {
	for (size_t i = 0; i < count; i++)
		put_chain_message(batch, NFT_MSG_NEWCHAIN, family, chains[i].name, &chains[i]);
}

static bool names_have(const struct names *names, const char *name) {
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

static void put_named_set_of(struct compiler *compiler, const struct set *set, enum family family) {
	char name[80];

	set_name(set, family, name);
	names_add(&compiler->made->sets, name);
	if (!compiler->old || !names_have(&compiler->old->sets, name)) {
		put_addr_set(compiler->batch, name, next_set_id(compiler), family, set->ranges, set->count);
		return;
	}
	put_set_flush(compiler->batch, name);
	put_addr_elements(compiler->batch, name, family, set->ranges, set->count);
}

/* A set that stays is filled anew in place, so that a look-up never finds it empty. */
static void put_named_sets(struct compiler *compiler) {
	const struct ruleset *ruleset = compiler->ruleset;

	for (size_t i = 0; i < ruleset->set_count; i++) {
		put_named_set_of(compiler, ruleset->sets[i], FAMILY_IPV4);
		put_named_set_of(compiler, ruleset->sets[i], FAMILY_IPV6);
	}
	for (size_t i = 0; compiler->old && i < compiler->old->sets.count; i++)
		if (!names_have(&compiler->made->sets, compiler->old->sets.items[i]))
			put_set_deletion(compiler->batch, compiler->old->sets.items[i]);
}

static void put_lasting(struct compiler *compiler) {
	for (size_t i = 0; i < COUNT(lasting_counters); i++)
		put_counter(compiler, lasting_counters[i]);
	for (size_t i = 0; i < COUNT(lasting_chains); i++)
		put_chain(compiler, lasting_chains[i]);
	if (!compiler->old)
		put_kind_set(compiler->batch, next_set_id(compiler));
}

static void put_tables(struct compiler *compiler) {
	struct batch *batch = compiler->batch;

	put_table(batch, NFT_MSG_NEWTABLE, NFPROTO_INET);
	put_base_chains(batch, NFPROTO_INET, base_chains, COUNT(base_chains));
	if (compiler->options->dispatch == DISPATCH_NATIVE) {
		put_base_chains(batch, NFPROTO_INET, queue_chains, COUNT(queue_chains));
		return;
	}
	put_table(batch, NFT_MSG_NEWTABLE, NFPROTO_IPV4);
	put_table(batch, NFT_MSG_NEWTABLE, NFPROTO_IPV6);
	put_base_chains(batch, NFPROTO_IPV4, queue_chains, COUNT(queue_chains));
	put_base_chains(batch, NFPROTO_IPV6, queue_chains, COUNT(queue_chains));
}

static void put_flush(struct batch *batch, uint16_t family) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_DELRULE, family, 0);

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
	batch_commit(batch, message);
}

/* Rules first, since they hold counters and sets. Chains, lasting counters, and sets that the
 * new ruleset has too stay. */
static void put_deletions(struct compiler *compiler) {
	struct batch *batch = compiler->batch;
	const struct names *counters = &compiler->old->counters;

	put_flush(batch, NFPROTO_INET);
	if (compiler->options->dispatch == DISPATCH_XTABLES) {
		put_flush(batch, NFPROTO_IPV4);
		put_flush(batch, NFPROTO_IPV6);
	}
	for (size_t i = 0; i < counters->count; i++)
		put_counter_message(batch, NFT_MSG_DELOBJ, counters->items[i]);
}

static void remove_table(struct batch *batch, uint16_t family) {
	/* Deleting a table that is not there would fail the transaction. */
	put_table(batch, NFT_MSG_NEWTABLE, family);
	put_table(batch, NFT_MSG_DELTABLE, family);
}

static void put_removal(struct batch *batch, enum dispatch dispatch) {
	remove_table(batch, NFPROTO_INET);
	if (dispatch == DISPATCH_XTABLES) {
		remove_table(batch, NFPROTO_IPV4);
		remove_table(batch, NFPROTO_IPV6);
	}
}

static void put_everything(struct compiler *compiler) {
	put_lasting(compiler);
	put_named_sets(compiler);
	put_ports(compiler, DIRECTION_IN, compiler->old != NULL);
	put_ports(compiler, DIRECTION_OUT, compiler->old != NULL);
	put_ask_and_reject(compiler);
	put_reassembly(compiler);
	put_in_dispatch(compiler);
	put_out_dispatch(compiler);
	put_queues(compiler);
	put_guard(compiler, DIRECTION_IN);
	put_guard(compiler, DIRECTION_OUT);
	put_verdict(compiler, "in_verdict", "in_guard", compiler->marks.mask);
	put_verdict(compiler, "out_verdict", "out_guard", compiler->marks.mask & ~compiler->marks.seen);
	put_learning(compiler);
}

void compile_ruleset(struct batch *batch, const struct ruleset *ruleset,
		     const struct compile_options *options, const struct inventory *old,
		     struct inventory *made) {
	struct compiler compiler = {
	    .batch = batch,
	    .ruleset = ruleset,
	    .options = options,
	    .marks = marks_of(ruleset->settings.mark_mask),
	    .old = old,
	    .made = made,
	};

	batch_begin(batch);
	if (!old)
		put_removal(batch, options->dispatch);
	put_tables(&compiler);
	if (old)
		put_deletions(&compiler);
	put_everything(&compiler);
	batch_end(batch);
}

void compile_removal(struct batch *batch, enum dispatch dispatch) {
	batch_begin(batch);
	put_removal(batch, dispatch);
	batch_end(batch);
}
