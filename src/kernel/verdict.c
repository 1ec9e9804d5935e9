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

/* Other bits of ours do not count without ASK: somebody else set them. */
static void put_unasked(struct compiler *compiler, const char *chain) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_mark(rule, compiler->marks.ask, true, 0);
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

/* `pass`: where what gets no lease goes, NULL: it is accepted. `kept`: those of ours that are for postrouting
 * yet. */
static void put_verdict_of(struct compiler *compiler, const char *chain, enum direction direction,
			   const char *pass, const char *guard, uint32_t kept) {
	const struct marks *marks = &compiler->marks;
	uint32_t answer = marks->allow | marks->reject, cleared = marks->mask & ~kept;

	put_unasked(compiler, chain);
	put_answer(compiler, chain, answer, marks->allow, cleared, grant_chain(direction));
	put_answer(compiler, chain, answer, marks->pass, cleared, pass);
	put_answer(compiler, chain, answer, 0, cleared, guard);
}

static void put_rejection(struct compiler *compiler, const char *chain, uint32_t kept) {
	const struct marks *marks = &compiler->marks;

	put_answer(compiler, chain, marks->allow | marks->reject, marks->reject, marks->mask & ~kept,
		   CHAIN_REJECT);
}

void put_verdicts(struct compiler *compiler) {
	put_reject(compiler);
	put_verdict_of(compiler, "in_verdict", DIRECTION_IN, NULL, "in_guard", 0);
	put_rejection(compiler, "in_verdict", 0);
	put_verdict_of(compiler, "out_verdict", DIRECTION_OUT, CHAIN_PASS_OUT, "out_guard",
		       compiler->marks.learn);
	put_rejection(compiler, "out_verdict", compiler->marks.learn);
	put_pass_out(compiler);
	/* What leaves here was let in or made by somebody else, and is never refused. */
	if (compiler->options->forwards)
		put_verdict_of(compiler, "learn_verdict", DIRECTION_OUT, NULL, "learn_guard", 0);
}
