/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What passes without the daemon. Two stages, each a set a family:
 *
 *   half    a SYN was allowed; its handshake may go on. A set for connections from outside and one for
 *           this host's own, since only the ACK of the side that opened completes a handshake: the
 *           other's may be a challenge (RFC 5961 4) or early data (RFC 7413)
 *   lease   the handshake is complete (UDP: a packet was allowed); packets pass
 *
 * An element is added by a packet that the daemon, or the guard, has allowed ("grant"), so
 * that no netlink transaction is needed for a connection. It runs out by itself: a lease's next
 * packet then asks the daemon again, which grants another.
 *
 * The first lease is short. Whoever forges a SYN and the ACK after it gets no further than that one:
 * the daemon compares the ACK's copy with the SYN/ACK's before it takes the connection for open.
 */
#include <linux/netfilter.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

enum {
	SECOND = 1000,
	/* 50,000 handshakes a second fit. Their places run out, and are not given back: a set that is filled
	 * and emptied in turn makes the kernel resize its hash table all the time, which took half
	 * the speed. */
	HALF_SIZE = 65536,
	HALF_MS = 1 * SECOND,
	HALF_COLLECT_MS = 250,
	ASKED_SIZE = 4096,
	LEASE_MS = 60 * SECOND,
	LEASE_COLLECT_MS = 5 * SECOND, /* a walk over the whole set */
	/* By the kernel itself, where the host forwards and leases alone tell the daemon of a connection: the
	 * fewer of the dead, and of ACKs that belong to nothing. */
	UNSEEN_LEASE_MS = 30 * SECOND,
	/* Headers: IPv6 with extension headers, TCP with all options. */
	COPY_LENGTH = 160,
	COPY_GATHER = 200,
};

/* Packets of one direction. */
struct lane {
	enum end local; /* which end of them is this host's */
	const char *ended, *grant;
	/* By family: the set of handshakes that this direction opens, and where its packets are led to
	 * of those and of the others. */
	const char *half[2], *opening[2], *answering[2];
};

static const struct lane lanes[] = {
    [DIRECTION_IN] = {END_DESTINATION,
		      "in_ended",
		      "in_grant",
		      {HALF_IN_IPV4, HALF_IN_IPV6},
		      {"in_opening4", "in_opening6"},
		      {"in_answering4", "in_answering6"}},
    [DIRECTION_OUT] = {END_SOURCE,
		       "out_ended",
		       "out_grant",
		       {HALF_OUT_IPV4, HALF_OUT_IPV6},
		       {"out_opening4", "out_opening6"},
		       {"out_answering4", "out_answering6"}},
};

static const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};
static const char *const asked_sets[] = {ASKED_OUT_IPV4, ASKED_OUT_IPV6};
static const struct port_range own_ports = {32768, 65535}; /* net.ipv4.ip_local_port_range */

static const char *lease_set(enum family family) {
	return family == FAMILY_IPV4 ? LEASE_SET_IPV4 : LEASE_SET_IPV6;
}

static uint32_t least(uint32_t left, uint32_t right) {
	return left < right ? left : right;
}

/* `most` seconds, but well under the timeout of the daemon's entry, which nothing renews meanwhile: what
 * goes on when the lease has run out must still find it. */
static uint32_t ms_within(const struct compiler *compiler, uint32_t most, enum timeout timeout) {
	uint32_t seconds = compiler->ruleset->settings.timeouts.seconds[timeout];

	return seconds < 2 * most ? least(seconds * SECOND / 3 * 2, most * SECOND) : most * SECOND;
}

static uint32_t lease_ms(const struct compiler *compiler) {
	uint32_t half_closed =
	    least(ms_within(compiler, 60, TIMEOUT_FIN_WAIT), ms_within(compiler, 60, TIMEOUT_CLOSE_WAIT));

	return least(ms_within(compiler, 60, TIMEOUT_ESTABLISHED), half_closed);
}

static uint32_t first_lease_ms(const struct compiler *compiler) {
	return least(20 * SECOND, lease_ms(compiler));
}

static uint32_t udp_lease_ms(const struct compiler *compiler) {
	return least(ms_within(compiler, 30, TIMEOUT_UDP), ms_within(compiler, 30, TIMEOUT_UDP_STREAM));
}

static uint32_t closing_lease_ms(const struct compiler *compiler) {
	return ms_within(compiler, LEASE_CLOSING_SECONDS, TIMEOUT_CLOSED);
}

static enum direction other(enum direction direction) {
	return direction == DIRECTION_IN ? DIRECTION_OUT : DIRECTION_IN;
}

void put_lease_sets(struct compiler *compiler) {
	uint32_t size = compiler->ruleset->settings.connections;

	for (size_t i = 0; i < 2; i++) {
		put_tuple_set(compiler->batch, lease_set(families[i]), next_set_id(compiler), families[i],
			      size, LEASE_MS, LEASE_COLLECT_MS);
		for (enum direction each = DIRECTION_IN; each <= DIRECTION_OUT; each++)
			put_tuple_set(compiler->batch, lanes[each].half[i], next_set_id(compiler),
				      families[i], HALF_SIZE, HALF_MS, HALF_COLLECT_MS);
	}
	for (size_t i = 0; i < 2; i++)
		put_tuple_set(compiler->batch, asked_sets[i], next_set_id(compiler), families[i], ASKED_SIZE,
			      HALF_MS, HALF_COLLECT_MS);
}

const char *grant_chain(enum direction direction) {
	return lanes[direction].grant;
}

const char *ended_chain(enum direction direction) {
	return lanes[direction].ended;
}

/* ---- the look-ups, in a dispatch chain ---- */

void put_lease_lookups(struct compiler *compiler, const char *chain, enum direction direction,
		       const char *target) {
	for (size_t i = 0; i < 2; i++) {
		struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

		expr_family(rule, families[i]);
		expr_tuple_in(rule, families[i], lanes[direction].local, lease_set(families[i]));
		if (target)
			expr_goto(rule, target);
		else
			expr_verdict(rule, NF_ACCEPT);
		rule_finish(compiler, rule);
	}
}

static void put_half_lookups(struct compiler *compiler, const char *chain, enum end local,
			     const char *const sets[2], const char *const targets[2]) {
	for (size_t i = 0; i < 2; i++) {
		struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

		expr_family(rule, families[i]);
		expr_tuple_in(rule, families[i], local, sets[i]);
		expr_goto(rule, targets[i]);
		rule_finish(compiler, rule);
	}
}

void put_answering_lookups(struct compiler *compiler, const char *chain, enum direction direction) {
	const struct lane *lane = &lanes[direction];

	put_half_lookups(compiler, chain, lane->local, lanes[other(direction)].half, lane->answering);
}

void put_handshake_lookups(struct compiler *compiler, const char *chain, enum direction direction) {
	const struct lane *lane = &lanes[direction];

	put_half_lookups(compiler, chain, lane->local, lane->half, lane->opening);
	put_answering_lookups(compiler, chain, direction);
}

/* In a chain of its own, since a SYN to a closed port comes by here too. */
void put_crossing(struct compiler *compiler, const char *chain) {
	static const char *const ask[] = {CHAIN_ASK, CHAIN_ASK};
	enum end local = lanes[DIRECTION_IN].local;
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_port(rule, local, own_ports);
	expr_jump(rule, "in_crossing");
	rule_finish(compiler, rule);
	put_half_lookups(compiler, "in_crossing", local, lanes[DIRECTION_OUT].half, ask);
	put_half_lookups(compiler, "in_crossing", local, asked_sets, ask);
}

/* As `half` does, but its segments all ask. */
void put_pass_out(struct compiler *compiler) {
	enum end local = lanes[DIRECTION_OUT].local;

	for (size_t i = 0; i < 2; i++) {
		struct nftnl_rule *rule = rule_start(NFPROTO_INET, CHAIN_PASS_OUT);

		expr_family(rule, families[i]);
		expr_protocol(rule, PROTOCOL_TCP);
		expr_tcp_kind(rule, true, TCP_SYN);
		expr_port(rule, local, own_ports);
		expr_tuple_change(rule, families[i], local, SET_UPDATE, asked_sets[i], HALF_MS);
		finish_accept(compiler, rule);
	}
	finish_accept(compiler, rule_start(NFPROTO_INET, CHAIN_PASS_OUT));
}

/* ---- where they lead ---- */

static void copy(const struct compiler *compiler, struct nftnl_rule *rule) {
	expr_copy(rule, compiler->options->copies_group, COPY_LENGTH, COPY_GATHER);
}

static struct nftnl_rule *start_kind(const char *chain, uint8_t kind) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_tcp_kind(rule, true, kind);
	return rule;
}

/* FIN or RST: whether it is right the receiving stack decides (RFC 5961 3), so the lease is only
 * shortened, and what goes on after it asks the daemon. */
static void put_ended(struct compiler *compiler, enum direction direction) {
	const struct lane *lane = &lanes[direction];
	struct nftnl_rule *rule;

	for (size_t i = 0; i < 2; i++) {
		rule = rule_start(NFPROTO_INET, lane->ended);
		expr_family(rule, families[i]);
		expr_tuple_change(rule, families[i], lane->local, SET_UPDATE, lease_set(families[i]),
				  closing_lease_ms(compiler));
		rule_finish(compiler, rule);
	}
	rule = rule_start(NFPROTO_INET, lane->ended);
	copy(compiler, rule);
	finish_accept(compiler, rule);
}

/* A handshake that was reset is over; whatever else came here is the daemon's to judge. */
static void put_handshake_end(struct compiler *compiler, const char *chain, enum family family,
			      enum end local, const char *half) {
	static const uint8_t resets[] = {TCP_RST, TCP_RST | TCP_ACK};
	struct nftnl_rule *rule;

	for (size_t i = 0; i < sizeof(resets); i++) {
		rule = start_kind(chain, resets[i]);
		copy(compiler, rule);
		expr_tuple_change(rule, family, local, SET_DELETE, half, 0);
		finish_accept(compiler, rule);
	}
	rule = rule_start(NFPROTO_INET, chain);
	expr_goto(rule, CHAIN_ASK);
	rule_finish(compiler, rule);
}

static void put_opening(struct compiler *compiler, const struct lane *lane, size_t i) {
	const char *chain = lane->opening[i];
	struct nftnl_rule *rule = start_kind(chain, TCP_ACK);

	copy(compiler, rule);
	expr_tuple_change(rule, families[i], lane->local, SET_ADD, lease_set(families[i]),
			  first_lease_ms(compiler));
	rule_finish(compiler, rule);
	finish_accept(compiler, start_kind(chain, TCP_ACK));
	put_handshake_end(compiler, chain, families[i], lane->local, lane->half[i]);
}

static void put_answering(struct compiler *compiler, enum direction direction, size_t i) {
	static const uint8_t answers[] = {TCP_SYN | TCP_ACK, TCP_ACK};
	const struct lane *lane = &lanes[direction];
	const char *chain = lane->answering[i];

	for (size_t j = 0; j < sizeof(answers); j++) {
		struct nftnl_rule *rule = start_kind(chain, answers[j]);

		copy(compiler, rule);
		finish_accept(compiler, rule);
	}
	put_handshake_end(compiler, chain, families[i], lane->local, lanes[other(direction)].half[i]);
}

/* ---- how they come about ---- */

/* An ACK of a connection that stands brings it a lease. */
static void put_renewal(struct compiler *compiler, const char *chain, enum end local, enum family family,
			uint32_t ms) {
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, chain);

	expr_family(rule, family);
	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, true, TCP_ACK);
	expr_tuple_change(rule, family, local, SET_ADD, lease_set(family), ms);
	finish_accept(compiler, rule);
}

void put_unseen_renewals(struct compiler *compiler, const char *chain, enum direction direction) {
	for (size_t i = 0; i < 2; i++)
		put_renewal(compiler, chain, lanes[direction].local, families[i],
			    least(UNSEEN_LEASE_MS, lease_ms(compiler)));
}

static void put_grant_of(struct compiler *compiler, const struct lane *lane, size_t i) {
	enum family family = families[i];
	struct nftnl_rule *rule;

	rule = rule_start(NFPROTO_INET, lane->grant);
	expr_family(rule, family);
	expr_protocol(rule, PROTOCOL_TCP);
	expr_tcp_kind(rule, true, TCP_SYN);
	/* What is left of an earlier connection would take the handshake's ACK for its own. */
	expr_tuple_change(rule, family, lane->local, SET_DELETE, lease_set(family), 0);
	if (lane->local == END_DESTINATION)
		expr_uncut(rule, family);
	expr_tuple_change(rule, family, lane->local, SET_ADD, lane->half[i], HALF_MS);
	finish_accept(compiler, rule);

	put_renewal(compiler, lane->grant, lane->local, family, lease_ms(compiler));

	rule = rule_start(NFPROTO_INET, lane->grant);
	expr_family(rule, family);
	expr_protocol(rule, PROTOCOL_UDP);
	expr_tuple_change(rule, family, lane->local, SET_ADD, lease_set(family), udp_lease_ms(compiler));
	finish_accept(compiler, rule);
}

/* An addition to a full set ends its rule: no lease then, and the packet passes all the same. */
static void put_grant(struct compiler *compiler, const struct lane *lane) {
	for (size_t i = 0; i < 2; i++)
		put_grant_of(compiler, lane, i);
	finish_accept(compiler, rule_start(NFPROTO_INET, lane->grant));
}

void put_fast_path(struct compiler *compiler, enum direction direction) {
	const struct lane *lane = &lanes[direction];

	put_ended(compiler, direction);
	for (size_t i = 0; i < 2; i++) {
		put_opening(compiler, lane, i);
		put_answering(compiler, direction, i);
	}
	put_grant(compiler, lane);
}
