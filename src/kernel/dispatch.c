/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The first chain of each hook: settles what needs nobody, in the order of how often it
 * comes, and marks the rest ASK. TCP is told apart by what a segment is for:
 *
 *   ACK, data    look-ups of leases, of handshakes, of busy ports
 *   pure SYN     is its port closed; else one look-up in the port map; it never rides on a lease
 *   SYN and ACK  answers: look-ups of handshakes
 *   FIN, RST     as data, but a lease ends
 *   other flags  no TCP sends them; none: cut short or in fragments, ask
 *
 * All others: leases, essentials, what is not for this host; then ask.
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

/* The chains of a hook, and the map that leads to those for TCP segments other than a plain ACK. */
struct way {
	enum direction direction;
	const char *dispatch, *other, *kinds;
	const char *ack, *fresh, *answer, *end;
};

static const struct way ways[] = {
    [DIRECTION_IN] = {DIRECTION_IN, "in_dispatch", "in_other", "in_kinds", "in_ack", "in_new", "in_answer",
		      "in_end"},
    [DIRECTION_OUT] = {DIRECTION_OUT, "out_dispatch", "out_other", "out_kinds", "out_ack", "out_new",
		       "out_answer", "out_end"},
};

void put_kinds(struct compiler *compiler) {
	for (size_t i = 0; i < 2; i++) {
		const struct kind_target targets[] = {
		    {TCP_SYN | TCP_ACK, ways[i].answer},
		    {TCP_FIN | TCP_ACK, ways[i].end},
		    {TCP_RST | TCP_ACK, ways[i].end},
		    {TCP_RST, ways[i].end},
		};

		put_kind_map(compiler->batch, ways[i].kinds, next_set_id(compiler), targets,
			     sizeof(targets) / sizeof(targets[0]));
	}
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

static void put_forwarded_in(struct compiler *compiler, const struct way *way, const char *chain) {
	if (way->direction == DIRECTION_IN)
		put_forwarded(compiler, chain);
}

/* What is left is scans and noise. The daemon says what is wrong with a segment whose flags cannot be
 * read: it is cut short, or in fragments. */
static void put_tcp(struct compiler *compiler, const struct way *way) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, way->dispatch);

	expr_tcp_kind(rule, true, TCP_ACK);
	finish_goto(compiler, rule, way->ack);
	rule = rule_start(NFPROTO_INET, way->dispatch);
	expr_tcp_kind(rule, true, TCP_SYN);
	finish_goto(compiler, rule, way->fresh);
	rule = rule_start(NFPROTO_INET, way->dispatch);
	expr_tcp_kind_map(rule, way->kinds);
	rule_finish(compiler, rule);
	put_forwarded_in(compiler, way, way->dispatch);
	rule = rule_start(NFPROTO_INET, way->dispatch);
	expr_tcp_kind(rule, false, TCP_ACK);
	expr_counter(rule, "bogus_flags");
	expr_verdict(rule, NF_DROP);
	rule_finish(compiler, rule);
	start_goto(compiler, way->dispatch, CHAIN_ASK);
}

/* Segments of a port whose connections the kernel admits need no lease where the host's sockets tell the
 * daemon of them; for somebody behind this host the leases do, and copies of how a handshake ends. Neither
 * those nor the segments that have leases are to pay for both look-ups. */
static bool is_unseen_first(const struct compiler *compiler) {
	return compiler->options->unseen_first && !compiler->options->forwards;
}

static void put_unseen_before(struct compiler *compiler, const char *chain, enum direction direction) {
	if (is_unseen_first(compiler))
		put_unseen(compiler, chain, direction);
}

static void put_unseen_behind(struct compiler *compiler, const char *chain, enum direction direction) {
	if (!is_unseen_first(compiler))
		put_unseen(compiler, chain, direction);
}

static void put_ack(struct compiler *compiler, const struct way *way) {
	put_unseen_before(compiler, way->ack, way->direction);
	put_lease_lookups(compiler, way->ack, way->direction, NULL);
	put_handshake_lookups(compiler, way->ack, way->direction);
	put_unseen_behind(compiler, way->ack, way->direction);
	put_forwarded_in(compiler, way, way->ack);
	start_goto(compiler, way->ack, CHAIN_ASK);
}

static void put_new(struct compiler *compiler, const struct way *way) {
	put_forwarded_in(compiler, way, way->fresh);
	if (way->direction == DIRECTION_IN) {
		put_crossing(compiler, way->fresh);
		put_closed_ports(compiler, way->fresh);
	}
	put_port_lookup(compiler, way->fresh, way->direction);
}

static void put_answer(struct compiler *compiler, const struct way *way) {
	put_answering_lookups(compiler, way->answer, way->direction);
	/* What a busy host admitted it answers; what it opened itself is in `half`. */
	if (way->direction == DIRECTION_OUT)
		put_unseen(compiler, way->answer, way->direction);
	put_forwarded_in(compiler, way, way->answer);
	start_goto(compiler, way->answer, CHAIN_ASK);
}

static void put_end(struct compiler *compiler, const struct way *way) {
	put_unseen_before(compiler, way->end, way->direction);
	put_lease_lookups(compiler, way->end, way->direction, ended_chain(way->direction));
	put_handshake_lookups(compiler, way->end, way->direction);
	put_unseen_behind(compiler, way->end, way->direction);
	put_forwarded_in(compiler, way, way->end);
	start_goto(compiler, way->end, CHAIN_ASK);
}

static void put_segments(struct compiler *compiler, const struct way *way) {
	put_ack(compiler, way);
	put_answer(compiler, way);
	put_end(compiler, way);
}

void put_segments_anew(struct compiler *compiler) {
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		put_flush(compiler->batch, NFPROTO_INET, ways[i].ack);
		put_flush(compiler->batch, NFPROTO_INET, ways[i].answer);
		put_flush(compiler->batch, NFPROTO_INET, ways[i].end);
		put_segments(compiler, &ways[i]);
	}
}

static void put_other(struct compiler *compiler, const struct way *way) {
	put_lease_lookups(compiler, way->other, way->direction, NULL);
	put_essentials(compiler, way->other, way->direction);
	put_forwarded_in(compiler, way, way->other);
	start_goto(compiler, way->other, CHAIN_ASK);
}

static void put_way(struct compiler *compiler, const struct way *way) {
	struct nftnl_rule *rule;

	put_loopback(compiler, way->dispatch, way->direction);
	rule = rule_start(NFPROTO_INET, way->dispatch);
	expr_protocol_not(rule, PROTOCOL_TCP);
	finish_goto(compiler, rule, way->other);
	put_tcp(compiler, way);

	put_other(compiler, way);
	put_new(compiler, way);
	put_segments(compiler, way);
}

/* What goes to lo may still be sent elsewhere by DNAT: then it is to be learned. */
static void put_to_loopback(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "out_dispatch");

	expr_interface(rule, DIRECTION_OUT, true, "lo");
	expr_mark_change(rule, compiler->marks.mask, compiler->marks.learn);
	rule_finish(compiler, rule);
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
	rule = rule_start(NFPROTO_INET, LEARN_DISPATCH);
	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_has(rule, TCP_SYN);
	finish_goto(compiler, rule, "learn_syn");
	put_lease_lookups(compiler, LEARN_DISPATCH, DIRECTION_OUT, "learn_leased");
	put_handshake_lookups(compiler, LEARN_DISPATCH, DIRECTION_OUT);
	rule = rule_start(NFPROTO_INET, LEARN_DISPATCH);
	expr_protocol_not(rule, PROTOCOL_TCP);
	finish_goto(compiler, rule, "learn_new");
	put_unseen(compiler, LEARN_DISPATCH, DIRECTION_OUT);
	start_goto(compiler, LEARN_DISPATCH, "learn_new");

	rule = rule_start(NFPROTO_INET, "learn_leased");
	expr_protocol_not(rule, PROTOCOL_TCP);
	finish_accept(compiler, rule);
	rule = rule_start(NFPROTO_INET, "learn_leased");
	expr_tcp_kind(rule, true, TCP_ACK);
	finish_accept(compiler, rule);
	start_goto(compiler, "learn_leased", ended_chain(DIRECTION_OUT));

	rule = rule_start(NFPROTO_INET, "learn_syn");
	expr_tcp_kind(rule, true, TCP_SYN);
	finish_goto(compiler, rule, "learn_new");
	put_answering_lookups(compiler, "learn_syn", DIRECTION_OUT);
	put_unseen(compiler, "learn_syn", DIRECTION_OUT);
	start_goto(compiler, "learn_syn", "learn_new");

	rule = rule_start(NFPROTO_INET, "learn_new");
	expr_fib_type(rule, END_SOURCE, false, RTN_LOCAL);
	finish_accept(compiler, rule);
	start_goto(compiler, "learn_new", CHAIN_ASK);
}

void expr_queue_by(struct nftnl_rule *rule, const struct compile_options *options) {
	if (options->dispatch == DISPATCH_NATIVE)
		expr_queue(rule, options->queue_first, options->queue_last);
	else
		expr_queue_xtables(rule, options->queue_first, options->queue_last);
}

void put_ask(struct compiler *compiler, bool queues) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_ASK);

	expr_mark_change(rule, 0, compiler->marks.ask);
	if (queues)
		expr_queue_by(rule, compiler->options);
	else
		expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

void put_dispatch(struct compiler *compiler) {
	put_ask(compiler, true);
	put_mark_cleaning(compiler, ways[DIRECTION_IN].dispatch);
	put_way(compiler, &ways[DIRECTION_IN]);
	put_mark_cleaning(compiler, ways[DIRECTION_OUT].dispatch);
	if (compiler->options->forwards)
		put_to_loopback(compiler);
	put_way(compiler, &ways[DIRECTION_OUT]);
	if (compiler->options->forwards)
		put_learn(compiler);
}
