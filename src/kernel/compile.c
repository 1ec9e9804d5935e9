/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's table as a whole. A packet's way through it, per direction:
 *
 *   dispatch (-310)  settles what needs nobody, marks the rest ASK and queues it
 *   verdict  (-309)  the daemon's answer, or, where ASK still stands, the guard
 *
 * Before all that, of IPv6 alone, a chain (-401) turns away what reassembly would make readable in two ways.
 *
 * They are base chains of their own since a packet that comes back from a queue goes
 * on at the next base chain, never at the next rule. Behind address translation stands a
 * second, smaller pair (learn_*) that only makes connections known.
 */
#include "compile.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "expr.h"
#include "sets.h"
#include "standing.h"

enum priority {
	PRIORITY_FRAGMENTS = -401, /* before reassembly (NF_IP6_PRI_CONNTRACK_DEFRAG, -400) */
	/* Before raw (-300) and everything that translates addresses. Next to each other: what another
	 * program did with the mark in between would be taken for an answer. */
	PRIORITY_DISPATCH = -310,
	PRIORITY_VERDICT,
	PRIORITY_LEARN = 300, /* behind srcnat (100) */
	PRIORITY_LEARN_VERDICT,
};

static const struct base_chain base_chains[] = {
    {"in_dispatch", NF_INET_PRE_ROUTING, PRIORITY_DISPATCH},
    {"in_verdict", NF_INET_PRE_ROUTING, PRIORITY_VERDICT},
    {"out_dispatch", NF_INET_LOCAL_OUT, PRIORITY_DISPATCH},
    {"out_verdict", NF_INET_LOCAL_OUT, PRIORITY_VERDICT},
};

/* In `ip6 sallyport`: IPv4 has no such headers. */
static const struct base_chain fragments_chain = {"in_fragments", NF_INET_PRE_ROUTING, PRIORITY_FRAGMENTS};

/* Where the host forwards. */
static const struct base_chain learn_chains[] = {
    {LEARN_DISPATCH, NF_INET_POST_ROUTING, PRIORITY_LEARN},
    {"learn_verdict", NF_INET_POST_ROUTING, PRIORITY_LEARN_VERDICT},
};

static const char *const lasting_chains[] = {
    "in_ack",       "in_other",        "in_new",         "in_answer",      "in_end",
    "in_ended",     "in_opening4",     "in_answering4",  "in_opening6",    "in_answering6",
    "in_icmpv6",    "in_grant",        "in_guard",       CHAIN_OPEN,       CHAIN_OPEN_STATIC,
    CHAIN_STATIC,   "in_judge",        "in_pause",       "in_crossing",    "in_cut",
    "out_cut",      "in_static_allow", "in_static_pass", "in_static_drop", "in_static_reject",
    "in_admit",     "in_unseen",       "out_ack",        "out_other",      "out_new",
    "out_answer",   "out_end",         "out_ended",      "out_opening4",   "out_answering4",
    "out_opening6", "out_answering6",  "out_icmpv6",     "out_grant",      "out_guard",
    "out_unseen",   CHAIN_PASS_OUT,    "learn_syn",      "learn_leased",   "learn_new",
    "learn_guard",  CHAIN_ASK,         CHAIN_REJECT,     "reassemble"};

static const char *const lasting_counters[] = {"forwarded",      "bogus_flags",    BUSY_COUNTER,
					       "busy_refused",   "guard_in_pass",  "guard_in_drop",
					       "guard_out_pass", "guard_out_drop", CLOSED_COUNTER};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* No hook calls it; that it is there makes the kernel reassemble fragments of both families
 * before the dispatch, without conntrack (net/netfilter/nft_tproxy.c, nft_tproxy_init). */
static void put_reassembly(struct compiler *compiler) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "reassemble");

	expr_protocol(rule, PROTOCOL_TCP);
	expr_tproxy(rule);
	rule_comment(rule, "makes the kernel reassemble fragments");
	rule_finish(compiler, rule);
}

static struct nftnl_rule *start_fragments(void) {
	return rule_start(NFPROTO_IPV6, fragments_chain.name);
}

static void finish_fragments(struct compiler *compiler, struct nftnl_rule *rule) {
	expr_has_fragment_header(rule);
	expr_counter(rule, FRAGMENT_COUNTER);
	expr_verdict(rule, NF_DROP);
	rule_finish(compiler, rule);
}

/* A fragment header stands first, or behind hop-by-hop options (RFC 8200, 4.5). Behind anything else the
 * kernel takes it out and leaves the header before it pointing to the wrong one: we would read the
 * ports at one place, the host's stack at another. Nobody's such packets ever arrived. */
static void put_fragments(struct compiler *compiler) {
	struct nftnl_rule *rule = start_fragments();

	expr_next_header(rule, false, IPPROTO_FRAGMENT);
	expr_next_header(rule, false, IPPROTO_HOPOPTS);
	finish_fragments(compiler, rule);

	rule = start_fragments();
	expr_next_header(rule, true, IPPROTO_HOPOPTS);
	expr_behind_hop_by_hop_not(rule, IPPROTO_FRAGMENT);
	finish_fragments(compiler, rule);
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

void put_filled_set(struct compiler *compiler, const char *name, enum family family,
		    const struct addr_range *ranges, size_t count) {
	names_add(&compiler->made->sets, name);
	if (!compiler->old || !names_have(&compiler->old->sets, name)) {
		put_addr_set(compiler->batch, name, next_set_id(compiler), family, ranges, count);
		return;
	}
	put_set_flush(compiler->batch, name);
	put_addr_elements(compiler->batch, name, family, ranges, count);
}

static void put_set_of_file(struct compiler *compiler, const struct set *set, enum family family) {
	char name[80];

	set_name(set, family, name);
	put_filled_set(compiler, name, family, set->ranges, set->count);
}

/* A set that stays is filled anew in place, so that a look-up never finds it empty. */
static void put_named_sets(struct compiler *compiler) {
	const struct ruleset *ruleset = compiler->ruleset;

	for (size_t i = 0; i < ruleset->set_count; i++) {
		put_set_of_file(compiler, ruleset->sets[i], FAMILY_IPV4);
		put_set_of_file(compiler, ruleset->sets[i], FAMILY_IPV6);
	}
	if (compiler->busy == BUSY_MENTIONED)
		put_mentioned(compiler);
	for (size_t i = 0; compiler->old && i < compiler->old->sets.count; i++)
		if (!names_have(&compiler->made->sets, compiler->old->sets.items[i]))
			put_set_deletion(compiler->batch, compiler->old->sets.items[i]);
}

bool compile_is_lasting_set(const char *name) {
	static const char *const lasting[] = {"in_kinds",     "out_kinds",    LEASE_SET_IPV4, LEASE_SET_IPV6,
					      HALF_IN_IPV4,   HALF_IN_IPV6,   HALF_OUT_IPV4,  HALF_OUT_IPV6,
					      ASKED_OUT_IPV4, ASKED_OUT_IPV6, BUSY_SET,       UNSEEN_SET,
					      CUT_SET_IPV4,   CUT_SET_IPV6,   CUT_PORTS,      ADMITTED_SET,
					      "ports_in",     "ports_out",    NAMED_PORTS};

	for (size_t i = 0; i < COUNT(lasting); i++)
		if (strcmp(lasting[i], name) == 0)
			return true;
	return false;
}

static void put_lasting(struct compiler *compiler) {
	for (size_t i = 0; i < COUNT(lasting_counters); i++)
		put_counter(compiler, lasting_counters[i]);
	for (size_t i = 0; i < COUNT(lasting_chains); i++)
		put_chain(compiler, lasting_chains[i]);
	if (compiler->old)
		return;
	put_kinds(compiler);
	put_lease_sets(compiler);
	put_busy_sets(compiler);
	put_single_ports_set(compiler->batch, NAMED_PORTS, next_set_id(compiler));
}

static void put_our_table(struct batch *batch, enum dispatch dispatch) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_NEWTABLE, NFPROTO_INET, NLM_F_CREATE);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE_NAME);
	put_layout(message, dispatch);
	batch_commit(batch, message);
}

static void put_learn_chains(struct compiler *compiler, uint16_t type) {
	struct batch *batch = compiler->batch;
	bool new = type == NFT_MSG_NEWCHAIN;

	for (size_t i = 0; i < COUNT(learn_chains); i++)
		put_chain_message(batch, type, NFPROTO_INET, learn_chains[i].name,
				  new ? &learn_chains[i] : NULL);
}

static void put_tables(struct compiler *compiler) {
	struct batch *batch = compiler->batch;

	put_our_table(batch, compiler->options->dispatch);
	put_base_chains(batch, NFPROTO_INET, base_chains, COUNT(base_chains));
	put_table(batch, NFT_MSG_NEWTABLE, NFPROTO_IPV6);
	put_base_chains(batch, NFPROTO_IPV6, &fragments_chain, 1);
	put_counter_message(batch, NFT_MSG_NEWOBJ, NFPROTO_IPV6, FRAGMENT_COUNTER);
	if (compiler->options->forwards)
		put_learn_chains(compiler, NFT_MSG_NEWCHAIN);
	compiler->made->learns = compiler->options->forwards;
}

/* Rules first, since they hold counters and sets. Chains, lasting counters, and sets that the
 * new ruleset has too stay. */
static void put_deletions(struct compiler *compiler) {
	struct batch *batch = compiler->batch;
	const struct names *counters = &compiler->old->counters;

	put_flush(batch, NFPROTO_INET, NULL);
	put_flush(batch, NFPROTO_IPV6, NULL);
	for (size_t i = 0; i < counters->count; i++)
		put_counter_message(batch, NFT_MSG_DELOBJ, NFPROTO_INET, counters->items[i]);
	if (compiler->old->learns && !compiler->options->forwards)
		put_learn_chains(compiler, NFT_MSG_DELCHAIN);
}

static void remove_table(struct batch *batch, uint16_t family) {
	/* Deleting a table that is not there would fail the transaction. */
	put_table(batch, NFT_MSG_NEWTABLE, family);
	put_table(batch, NFT_MSG_DELTABLE, family);
}

void compile_removal(struct batch *batch) {
	remove_table(batch, NFPROTO_INET);
	remove_table(batch, NFPROTO_IPV6);
	remove_table(batch, NFPROTO_IPV4); /* of a layout before 6 */
}

static void put_everything(struct compiler *compiler) {
	put_lasting(compiler);
	put_named_sets(compiler);
	put_ports(compiler, DIRECTION_IN, compiler->old != NULL);
	put_ports(compiler, DIRECTION_OUT, compiler->old != NULL);
	put_open_ports(compiler, compiler->old != NULL);
	put_fragments(compiler);
	put_reassembly(compiler);
	put_dispatch(compiler);
	put_fast_path(compiler, DIRECTION_IN);
	put_fast_path(compiler, DIRECTION_OUT);
	put_busy_chains(compiler);
	put_verdicts(compiler);
	put_guard(compiler);
}

void compile_ruleset(struct batch *batch, const struct ruleset *ruleset,
		     const struct compile_options *options, const struct inventory *old,
		     struct inventory *made) {
	struct compiler compiler = {
	    .batch = batch,
	    .ruleset = ruleset,
	    .options = options,
	    .marks = marks_of(ruleset->settings.mark_mask),
	    .admits = settings_allow_busy(&ruleset->settings),
	    .busy = busy_way_of(ruleset),
	    .old = old,
	    .made = made,
	};

	if (!old)
		compile_removal(batch);
	put_tables(&compiler);
	if (old)
		put_deletions(&compiler);
	put_everything(&compiler);
	made->passes_unseen = compiler.admits && !options->forwards;
	made->judges = compiler.admits && compiler.busy != BUSY_NOT;
}

void compile_segments(struct batch *batch, const struct compile_options *options) {
	struct compile_options at_home = *options;
	struct compiler compiler = {.batch = batch, .options = &at_home, .admits = true};

	at_home.forwards = false;
	put_segments_anew(&compiler);
}

void compile_pause(struct batch *batch, bool pause) {
	struct compiler compiler = {.batch = batch};

	put_pause(&compiler, pause);
}

void compile_detachment(struct batch *batch, const struct marks *marks) {
	struct compiler compiler = {.batch = batch, .marks = *marks};

	put_flush(batch, NFPROTO_INET, CHAIN_ASK);
	put_ask(&compiler, false);
}
