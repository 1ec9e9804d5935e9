/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guard: the file's rules as plain nftables rules, for packets that were asked about and
 * came back without an answer, since the daemon is dead, stopped or drowned. What it admits gets a
 * lease like what the daemon admits.
 */
#include <linux/netfilter.h>
#include <stdio.h>

#include "compile.h"
#include "expr.h"

static void finish_out(struct compiler *compiler, struct nftnl_rule *rule, const struct rule *source) {
	if (source->action == ACTION_ALLOW) {
		expr_counter(rule, "guard_out_pass");
		if (source->strict || compiler->ruleset->settings.inspect_all)
			expr_verdict(rule, NF_ACCEPT);
		else
			expr_goto(rule, grant_chain(DIRECTION_OUT));
		return;
	}
	expr_counter(rule, "guard_out_drop");
	if (source->action == ACTION_DROP)
		expr_verdict(rule, NF_DROP);
	else
		expr_goto(rule, CHAIN_REJECT);
}

/* Where the kernel goes by these rules when it is busy too, each counts. */
static void finish_in(struct compiler *compiler, struct nftnl_rule *rule, const struct rule *source) {
	static const char *const chains[] = {[ACTION_ALLOW] = "in_static_allow",
					     [ACTION_DROP] = "in_static_drop",
					     [ACTION_REJECT] = "in_static_reject"};
	bool unleased = source->strict || compiler->ruleset->settings.inspect_all;
	bool of_file = source >= compiler->ruleset->rules &&
		       source < compiler->ruleset->rules + compiler->ruleset->count;
	char name[24];

	if (of_file && compiler->busy == BUSY_STATIC) {
		rule_object_name((uint32_t)(source - compiler->ruleset->rules), name);
		expr_counter(rule, name);
	}
	expr_goto(rule,
		  source->action == ACTION_ALLOW && unleased ? "in_static_pass" : chains[source->action]);
}

/* Who has come here: see compile.h. */
static void put_static_end(struct compiler *compiler, const char *chain, const char *guard_counter,
			   void (*end)(struct nftnl_rule *rule, bool busy)) {
	uint32_t busy = compiler->marks.learn;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_mark(rule, busy, true, busy);
	expr_mark_change(rule, busy, 0);
	end(rule, true);
	rule_finish(compiler, rule);

	rule = rule_start(NFPROTO_INET, chain);
	expr_counter(rule, guard_counter);
	end(rule, false);
	rule_finish(compiler, rule);
}

static void end_allow(struct nftnl_rule *rule, bool busy) {
	if (busy) {
		expr_admitted(rule);
		expr_verdict(rule, NF_ACCEPT);
	} else {
		expr_goto(rule, grant_chain(DIRECTION_IN));
	}
}

static void end_pass(struct nftnl_rule *rule, bool busy) {
	if (busy)
		expr_admitted(rule);
	expr_verdict(rule, NF_ACCEPT);
}

static void end_drop(struct nftnl_rule *rule, bool busy) {
	if (busy)
		expr_counter(rule, "busy_refused");
	expr_verdict(rule, NF_DROP);
}

static void end_reject(struct nftnl_rule *rule, bool busy) {
	if (busy)
		expr_counter(rule, "busy_refused");
	expr_goto(rule, CHAIN_REJECT);
}

static void put_static_ends(struct compiler *compiler) {
	put_static_end(compiler, "in_static_allow", "guard_in_pass", end_allow);
	put_static_end(compiler, "in_static_pass", "guard_in_pass", end_pass);
	put_static_end(compiler, "in_static_drop", "guard_in_drop", end_drop);
	put_static_end(compiler, "in_static_reject", "guard_in_drop", end_reject);
}

/* Packets that open nothing. Their connection may have no lease any more, which only the daemon
 * renews; letting them pass opens no port. */
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
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		rule = rule_start(NFPROTO_INET, chain);
		expr_protocol(rule, messages[i].protocol);
		expr_icmp_type(rule, messages[i].types);
		expr_counter(rule, counter);
		expr_verdict(rule, NF_ACCEPT);
		rule_finish(compiler, rule);
	}
}

static void put_default(struct compiler *compiler, const char *chain, enum direction direction) {
	enum action action = compiler->ruleset->defaults[direction];
	const struct rule rule = {.direction = direction, .action = action};
	struct nftnl_rule *last = rule_start(NFPROTO_INET, chain);
	char comment[64];

	snprintf(comment, sizeof(comment), "default %s %s", direction_name(direction), action_name(action));
	rule_comment(last, comment);
	if (direction == DIRECTION_IN)
		finish_in(compiler, last, &rule);
	else
		finish_out(compiler, last, &rule);
	rule_finish(compiler, last);
}

/* `on-failure closed`: only what holds a lease goes on. */
static void put_guard_closed(struct compiler *compiler, const char *chain, enum direction direction) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	rule_comment(rule, "on-failure closed");
	expr_counter(rule, direction == DIRECTION_IN ? "guard_in_drop" : "guard_out_drop");
	expr_verdict(rule, NF_DROP);
	rule_finish(compiler, rule);
}

/* The static policy: every rule of the file, in order. */
static void put_static(struct compiler *compiler, const char *chain, enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;
	uint32_t i = 0;

	while (i < ruleset->count && kernel_accepts(ruleset, i))
		i++; /* settled in the dispatch */
	for (; i < ruleset->count; i++)
		if (ruleset->rules[i].direction == direction)
			put_rule(compiler, chain, &ruleset->rules[i],
				 direction == DIRECTION_IN ? finish_in : finish_out);
	put_default(compiler, chain, direction);
}

static void put_static_counters(struct compiler *compiler) {
	const struct ruleset *ruleset = compiler->ruleset;
	char name[24];

	for (uint32_t i = 0; compiler->busy == BUSY_STATIC && i < ruleset->count; i++) {
		if (ruleset->rules[i].direction != DIRECTION_IN || kernel_accepts(ruleset, i))
			continue;
		rule_object_name(i, name);
		put_counter(compiler, name);
		names_add(&compiler->made->counters, name);
	}
}

static void put_guard_of(struct compiler *compiler, enum direction direction) {
	bool in = direction == DIRECTION_IN;
	const char *chain = in ? "in_guard" : "out_guard";

	if (compiler->ruleset->settings.failure_closed) {
		put_guard_closed(compiler, chain, direction);
		return;
	}
	put_guard_continuations(compiler, chain, in ? "guard_in_pass" : "guard_out_pass");
	if (in) {
		struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

		expr_goto(rule, CHAIN_STATIC);
		rule_finish(compiler, rule);
		put_static_counters(compiler);
		put_static_ends(compiler);
	}
	put_static(compiler, in ? CHAIN_STATIC : chain, direction);
}

/* Connections that were opened behind this host go on being known, so that their replies come
 * back; all else that leaves passes, and is not remembered. */
static void put_learn_guard(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "learn_guard");

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, false, TCP_SYN);
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
	rule = rule_start(NFPROTO_INET, "learn_guard");
	if (compiler->ruleset->settings.inspect_all)
		expr_verdict(rule, NF_ACCEPT);
	else
		expr_goto(rule, grant_chain(DIRECTION_OUT));
	rule_finish(compiler, rule);
}

void put_guard(struct compiler *compiler) {
	put_guard_of(compiler, DIRECTION_IN);
	put_guard_of(compiler, DIRECTION_OUT);
	put_learn_guard(compiler);
}
