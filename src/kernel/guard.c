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

static void finish_guard(struct compiler *compiler, struct nftnl_rule *rule, const struct rule *source) {
	bool in = source->direction == DIRECTION_IN;

	if (source->action == ACTION_ALLOW) {
		expr_counter(rule, in ? "guard_in_pass" : "guard_out_pass");
		if (source->strict || compiler->ruleset->settings.inspect_all)
			expr_verdict(rule, NF_ACCEPT);
		else
			expr_goto(rule, grant_chain(source->direction));
		return;
	}
	expr_counter(rule, in ? "guard_in_drop" : "guard_out_drop");
	if (source->action == ACTION_DROP)
		expr_verdict(rule, NF_DROP);
	else
		expr_goto(rule, CHAIN_REJECT);
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

static void put_guard_default(struct compiler *compiler, const char *chain, enum direction direction) {
	enum action action = compiler->ruleset->defaults[direction];
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);
	char comment[64];

	snprintf(comment, sizeof(comment), "default %s %s", direction_name(direction), action_name(action));
	rule_comment(rule, comment);
	finish_guard(compiler, rule, &(struct rule){.direction = direction, .action = action});
	rule_finish(compiler, rule);
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
static void put_guard_of(struct compiler *compiler, enum direction direction) {
	const struct ruleset *ruleset = compiler->ruleset;
	bool in = direction == DIRECTION_IN;
	const char *chain = in ? "in_guard" : "out_guard";
	uint32_t i = 0;

	if (ruleset->settings.failure_closed) {
		put_guard_closed(compiler, chain, direction);
		return;
	}
	put_guard_continuations(compiler, chain, in ? "guard_in_pass" : "guard_out_pass");
	while (i < ruleset->count && kernel_accepts(ruleset, i))
		i++; /* settled in the dispatch */
	for (; i < ruleset->count; i++)
		if (ruleset->rules[i].direction == direction)
			put_rule(compiler, chain, &ruleset->rules[i], finish_guard);
	put_guard_default(compiler, chain, direction);
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
