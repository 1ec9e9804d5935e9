/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The last chain of each hook: the daemon's answer, read from the mark, becomes a
 * lease, a refusal or a pass; what was asked and not answered goes to the guard.
 */
#include <linux/netfilter.h>

#include "compile.h"
#include "expr.h"

static void put_reject(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_REJECT);

	expr_protocol(rule, PROTOCOL_TCP);
	expr_reject_tcp_reset(rule);
	rule_finish(compiler, rule);
	rule = rule_start(NFPROTO_INET, CHAIN_REJECT);
	expr_reject_port_unreachable(rule);
	rule_finish(compiler, rule);
}

/* Where the answer is `answer`, our bits are cleared, and then: `chain`, or accept. */
static void put_answer(struct compiler *compiler, const char *from, uint32_t mask, uint32_t answer,
		       uint32_t cleared, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, from);

	expr_mark(rule, mask, true, answer);
	expr_mark_change(rule, cleared, 0);
	if (chain)
		expr_goto(rule, chain);
	else
		expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

static void put_unasked(struct compiler *compiler, const char *chain, uint32_t bits) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_mark(rule, bits, true, 0);
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

/* `bits`: those of ours that end here; SEEN is for postrouting yet. */
static void put_verdict_of(struct compiler *compiler, const char *chain, enum direction direction,
			   const char *guard, uint32_t bits) {
	const struct marks *marks = &compiler->marks;
	uint32_t answer = marks->allow | marks->reject | marks->ask;

	put_unasked(compiler, chain, bits);
	put_answer(compiler, chain, answer, marks->allow, bits, grant_chain(direction));
	put_answer(compiler, chain, answer, marks->pass, bits, NULL);
	put_answer(compiler, chain, answer, marks->reject, bits, CHAIN_REJECT);
	put_answer(compiler, chain, marks->ask, marks->ask, bits, guard);
}

/* What leaves here was let in or made by somebody else; with the daemon away it is known to the
 * kernel alone. */
static void put_learn_verdict(struct compiler *compiler) {
	const struct marks *marks = &compiler->marks;
	uint32_t answer = marks->allow | marks->reject | marks->ask;

	put_unasked(compiler, "learn_verdict", marks->mask);
	put_answer(compiler, "learn_verdict", answer, marks->allow, marks->mask, grant_chain(DIRECTION_OUT));
	put_answer(compiler, "learn_verdict", answer, marks->pass, marks->mask, NULL);
	put_answer(compiler, "learn_verdict", marks->ask, marks->ask, marks->mask, "learn_guard");
}

void put_verdicts(struct compiler *compiler) {
	uint32_t bits = compiler->marks.mask;

	put_reject(compiler);
	put_verdict_of(compiler, "in_verdict", DIRECTION_IN, "in_guard", bits);
	put_verdict_of(compiler, "out_verdict", DIRECTION_OUT, "out_guard", bits & ~compiler->marks.seen);
	put_learn_verdict(compiler);
}
