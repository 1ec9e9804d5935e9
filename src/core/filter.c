/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A packet's way through table and rules.
 *
 * One stripe is locked from the look-up to the end of the decision, so that two packets of
 * one new connection on two threads cannot both open it. Counters are shared by all
 * threads and relaxed: they are figures, nothing is decided by them.
 */
#include "sallyport/core/filter.h"

#include <stddef.h>

/* One packet being judged. */
struct judgement {
	struct filter *filter;
	const struct policy *policy;
	const struct packet *packet;
	const struct arrival *arrival;
	const struct tracker *tracker;
	struct stripe *stripe; /* locked */
	struct key key;
	enum direction direction; /* of this packet */
	uint32_t now;
};

static const char *interface_name(const struct arrival *arrival, uint32_t index) {
	return index && arrival->name_of ? arrival->name_of(arrival->names, index) : NULL;
}

static enum direction direction_of(enum hook hook) {
	return hook == HOOK_IN ? DIRECTION_IN : DIRECTION_OUT;
}

static struct question packet_question(const struct judgement *judgement) {
	const struct tuple *tuple = &judgement->packet->tuple;
	bool ports = protocol_has_ports(tuple->protocol);
	return (struct question){
	    .direction = judgement->direction,
	    .from = tuple->src,
	    .to = tuple->dst,
	    .from_port = ports ? tuple->src_port : 0,
	    .to_port = ports ? tuple->dst_port : 0,
	    .protocol = tuple->protocol,
	    .icmp_type = judgement->packet->icmp_type,
	    .interface = interface_name(judgement->arrival, judgement->arrival->interface_index),
	};
}

struct question connection_question(const struct key *key, enum direction direction, const char *interface) {
	bool in = direction == DIRECTION_IN, ports = protocol_has_ports(key->protocol);
	return (struct question){
	    .direction = direction,
	    .from = in ? key->remote : key->local,
	    .to = in ? key->local : key->remote,
	    .from_port = !ports ? 0
			 : in   ? key->remote_port
				: key->local_port,
	    .to_port = !ports ? 0
		       : in   ? key->local_port
			      : key->remote_port,
	    .protocol = key->protocol,
	    .icmp_type = key->query,
	    .interface = interface,
	};
}

static uint32_t rule_number(const struct policy *policy, const struct rule *rule) {
	return rule ? (uint32_t)(rule - policy->ruleset->rules) : (uint32_t)NO_RULE;
}

static bool is_strict(const struct policy *policy, uint32_t rule) {
	return policy->ruleset->settings.inspect_all ||
	       (rule != NO_RULE && policy->ruleset->rules[rule].strict);
}

/* From now on every packet is seen: the next one teaches the windows, the rest must fit them. */
static void end_leases(struct connection *connection) {
	if (!(connection->flags & CONNECTION_LEASED))
		return;
	connection->flags &= ~(uint32_t)CONNECTION_LEASED;
	connection->epoch--;
}

bool filter_recheck(const struct policy *policy, const struct key *key, struct connection *connection,
		    const char *interface) {
	if (connection->flags & CONNECTION_LEARNED) {
		connection->generation = (uint8_t)policy->ruleset->generation;
		return true;
	}
	struct question question = connection_question(key, (enum direction)connection->direction, interface);
	struct answer answer = eval(policy->ruleset, &question);
	if (answer.action != ACTION_ALLOW)
		return false;
	connection->rule = rule_number(policy, answer.rule);
	connection->generation = (uint8_t)policy->ruleset->generation;
	if (is_strict(policy, connection->rule))
		end_leases(connection);
	return true;
}

static void count(const struct policy *policy, uint32_t rule, enum direction direction, bool opening,
		  uint32_t now) {
	size_t slot = rule == NO_RULE ? policy->ruleset->count + direction : rule;
	struct rule_counters *counters = &policy->counters[slot];
	atomic_fetch_add_explicit(&counters->packets, 1, memory_order_relaxed);
	if (opening)
		atomic_fetch_add_explicit(&counters->connections, 1, memory_order_relaxed);
	if (atomic_load_explicit(&counters->last_hit, memory_order_relaxed) != now)
		atomic_store_explicit(&counters->last_hit, now, memory_order_relaxed);
}

/* A thread that still judges by the rules before a reload may meet a connection of those
 * after it; its rule number means nothing there. */
static void count_packet(const struct judgement *judgement, const struct connection *connection) {
	if (connection->flags & CONNECTION_LEARNED ||
	    connection->generation != (uint8_t)judgement->policy->ruleset->generation)
		return;
	count(judgement->policy, connection->rule, (enum direction)connection->direction, false,
	      judgement->now);
}

static struct decision decide(const struct judgement *judgement, enum reason reason) {
	bool rejects = reason == REJECT_RULE || reason == REJECT_DEFAULT;
	return (struct decision){
	    .verdict = reason_passes(reason) ? VERDICT_ACCEPT
		       : rejects             ? VERDICT_REJECT
					     : VERDICT_DROP,
	    .reason = reason,
	    .rule = NO_RULE,
	    .direction = judgement->direction,
	};
}

/* The connection of `key`; in STATE_CUT where the rules in force no longer allow it. */
static struct connection *find(const struct judgement *judgement, const struct key *key) {
	struct connection *connection = connection_find(judgement->stripe, key);
	if (!connection)
		return NULL;
	if (connection->state == STATE_CUT)
		return connection;
	int8_t newer = (int8_t)(judgement->policy->ruleset->generation - connection->generation);
	if (newer <= 0)
		return connection;
	const char *interface = interface_name(judgement->arrival, connection->interface);
	if (!filter_recheck(judgement->policy, key, connection, interface))
		connection_move(judgement->stripe, connection, STATE_CUT, judgement->now);
	return connection;
}

static struct connection *enter(const struct judgement *judgement, uint32_t rule, uint8_t flags) {
	struct tcp_track track;
	uint8_t state = judgement->tracker->open(&track, judgement->packet);
	struct connection *connection =
	    connection_insert(judgement->stripe, &judgement->key, state, judgement->now);
	if (!connection)
		return NULL;
	connection->tcp = track;
	connection->rule = rule;
	connection->generation = (uint8_t)judgement->policy->ruleset->generation;
	connection->interface = judgement->arrival->interface_index;
	connection->direction = judgement->direction;
	connection->flags = flags;
	connection->epoch = atomic_load_explicit(&judgement->filter->epoch, memory_order_relaxed);
	return connection;
}

/* `state`: before the packet. */
static bool may_lease(const struct judgement *judgement, const struct connection *connection, uint8_t state) {
	const struct packet *packet = judgement->packet;
	bool current = connection->generation == (uint8_t)judgement->policy->ruleset->generation;
	if (!current || is_strict(judgement->policy, connection->rule))
		return false;
	switch (packet->tuple.protocol) {
	case PROTOCOL_TCP:
		return tcp_is_pure_syn(&packet->tcp) ? connection->state == TCP_SYN_SENT
						     : state_is_open(connection->state);
	case PROTOCOL_UDP:
		return connection->direction == DIRECTION_OUT || connection->state == state;
	default:
		return false;
	}
}

/* From the handshake's SYN on packets may pass unseen, but those that complete it are copied. */
static bool lease(const struct judgement *judgement, struct connection *connection, uint8_t state) {
	if (!may_lease(judgement, connection, state))
		return false;
	if (connection->state != TCP_SYN_SENT)
		connection->flags |= CONNECTION_LEASED;
	return true;
}

enum entering { ENTER_NOT, ENTER_OPENED, ENTER_PICKED_UP };

static enum reason reason_of(const struct answer *answer, enum entering entering) {
	switch (answer->action) {
	case ACTION_ALLOW:
		if (entering == ENTER_PICKED_UP)
			return PASS_PICKUP;
		return answer->rule ? PASS_RULE : PASS_DEFAULT;
	case ACTION_REJECT:
		return answer->rule ? REJECT_RULE : REJECT_DEFAULT;
	default:
		return answer->rule ? DROP_RULE : DROP_DEFAULT;
	}
}

static struct decision judge_by_rules(const struct judgement *judgement, enum entering entering) {
	const struct policy *policy = judgement->policy;
	struct question question = packet_question(judgement);
	struct answer answer = eval(policy->ruleset, &question);
	enum reason reason = reason_of(&answer, entering);
	uint32_t rule = rule_number(policy, answer.rule);
	bool enters = entering != ENTER_NOT && answer.action == ACTION_ALLOW;
	struct connection *connection = enters ? enter(judgement, rule, 0) : NULL;
	struct decision decision = decide(judgement, enters && !connection ? DROP_TABLE_FULL : reason);
	decision.rule = rule;
	decision.opened = connection != NULL;
	decision.lease = connection && lease(judgement, connection, STATES);
	decision.log = answer.rule && answer.rule->log;
	bool refused = answer.action != ACTION_ALLOW;
	count(policy, rule, judgement->direction, refused || decision.opened, judgement->now);
	return decision;
}

/* What leaves through address translation is nobody's to refuse here: whoever let it in or
 * made it has decided. Entered or not, it passes. Mid-stream it may be the answer of a
 * published port to a connection that was just cut: learned, it would open that again. */
static struct decision learn(const struct judgement *judgement) {
	enum role role = judgement->tracker->role(judgement->packet);
	struct decision decision = decide(judgement, PASS_LEARNED);
	bool enters =
	    role == ROLE_OPENS || (role == ROLE_MIDSTREAM && judgement->policy->ruleset->settings.pickup);
	struct connection *connection =
	    enters ? enter(judgement, NO_RULE, CONNECTION_LEARNED | CONNECTION_FORWARDED) : NULL;
	decision.opened = connection != NULL;
	decision.lease = connection && lease(judgement, connection, STATES);
	return decision;
}

/* What needs no connection to pass: all that leaves through address translation, and the host's own RSTs. */
static enum reason pass_outside(const struct judgement *judgement, enum reason otherwise) {
	if (judgement->arrival->hook == HOOK_LEARN)
		return PASS_LEARNED;
	bool resets = judgement->tracker->role(judgement->packet) == ROLE_RESET;
	return resets && judgement->arrival->hook == HOOK_OUT ? PASS_RESET : otherwise;
}

static struct decision judge_new(const struct judgement *judgement) {
	if (judgement->arrival->hook == HOOK_LEARN)
		return learn(judgement);
	switch (judgement->tracker->role(judgement->packet)) {
	case ROLE_OPENS:
		return judge_by_rules(judgement, ENTER_OPENED);
	case ROLE_ALONE:
		return judge_by_rules(judgement, ENTER_NOT);
	case ROLE_MIDSTREAM:
		if (judgement->policy->ruleset->settings.pickup)
			return judge_by_rules(judgement, ENTER_PICKED_UP);
		break;
	case ROLE_RESET:
	case ROLE_ANSWER:
		break;
	}
	return decide(judgement, pass_outside(judgement, DROP_NO_CONNECTION));
}

static void follow(const struct judgement *judgement, struct connection *connection, uint8_t state) {
	if (state != connection->state)
		connection_move(judgement->stripe, connection, state, judgement->now);
	else if (state_renews(state))
		connection_renew(judgement->stripe, connection, judgement->now);
}

static enum side side_of(const struct judgement *judgement, const struct connection *connection) {
	return connection->direction == judgement->direction ? SIDE_OPENER : SIDE_OTHER;
}

/* Packets have passed unseen, or may have: the windows say nothing until they are learned again. */
static bool has_lost_track(const struct judgement *judgement, const struct connection *connection) {
	uint8_t epoch = atomic_load_explicit(&judgement->filter->epoch, memory_order_relaxed);
	return connection->flags & CONNECTION_LEASED || connection->epoch != epoch;
}

/* Lets the packet move *state and the windows. Where others have passed unseen, the windows are learned
 * from this one. */
static enum reason step(const struct judgement *judgement, struct connection *connection, uint8_t *state) {
	const struct tracker *tracker = judgement->tracker;
	enum side side = side_of(judgement, connection);
	uint8_t epoch = atomic_load_explicit(&judgement->filter->epoch, memory_order_relaxed);
	bool lost = has_lost_track(judgement, connection);
	if (lost && tracker->relearn(state, &connection->tcp, judgement->packet, side))
		connection->epoch = epoch;
	if (judgement->arrival->hook == HOOK_LEARN)
		connection->flags |= CONNECTION_FORWARDED;
	count_packet(judgement, connection);
	return tracker->step(state, &connection->tcp, judgement->packet, side);
}

/* A packet that passes whether it fits or not: the windows must follow it. */
static void relearn(const struct judgement *judgement, struct connection *connection, uint8_t *state) {
	judgement->tracker->relearn(state, &connection->tcp, judgement->packet,
				    side_of(judgement, connection));
}

/* A SYN/ACK passes in the kernel where its connection may get a lease. Then the ACK may come here before the
 * SYN/ACK's copy does. Its receiver knows whether it is right. */
static bool may_be_ahead(const struct judgement *judgement, const struct connection *connection) {
	return connection->state == TCP_SYN_SENT && side_of(judgement, connection) == SIDE_OPENER &&
	       judgement->tracker->role(judgement->packet) == ROLE_MIDSTREAM &&
	       connection->generation == (uint8_t)judgement->policy->ruleset->generation &&
	       !is_strict(judgement->policy, connection->rule);
}

static struct decision judge_known(const struct judgement *judgement, struct connection *connection) {
	uint8_t before = connection->state, state = before;
	enum reason reason = step(judgement, connection, &state);
	if (reason && may_be_ahead(judgement, connection)) {
		tcp_overtake(&connection->tcp, &judgement->packet->tcp);
		return decide(judgement, PASS_CONNECTION);
	}
	if (reason && judgement->arrival->hook != HOOK_LEARN)
		return decide(judgement, reason);
	if (reason)
		relearn(judgement, connection, &state);
	follow(judgement, connection, state);
	struct decision decision = decide(judgement, PASS_CONNECTION);
	decision.lease = lease(judgement, connection, before);
	return decision;
}

/* What is left of a connection that was cut. A new one may take its place: of TCP by a SYN, of the rest by
 * the side that opened it; the other side's packets would only look like an opening. */
static struct decision judge_cut(const struct judgement *judgement, struct connection *connection) {
	bool opener = side_of(judgement, connection) == SIDE_OPENER ||
		      judgement->packet->tuple.protocol == PROTOCOL_TCP;
	if (opener && judgement->tracker->role(judgement->packet) == ROLE_OPENS) {
		connection_remove(judgement->stripe, connection);
		return judge_new(judgement);
	}
	connection_renew(judgement->stripe, connection, judgement->now);
	return decide(judgement, pass_outside(judgement, DROP_CUT));
}

static struct decision judge(const struct judgement *judgement) {
	struct connection *connection = find(judgement, &judgement->key);
	if (!connection)
		return judge_new(judgement);
	if (connection->state == STATE_CUT)
		return judge_cut(judgement, connection);
	if (judgement->tracker->reopens(connection->state, &connection->tcp, judgement->packet,
					side_of(judgement, connection))) {
		connection_remove(judgement->stripe, connection);
		return judge_new(judgement);
	}
	return judge_known(judgement, connection);
}

/* An error goes to whoever sent the packet that it is about (RFC 792, RFC 4443 2.2). */
static bool goes_to_sender(const struct packet *error) {
	return error->inner_known && addr_equal(&error->tuple.dst, &error->inner.src);
}

/* Whether the packet inside may have been sent. Where every segment is seen, its sequence number tells;
 * else the receiving stack judges that (RFC 5927 4.1). */
static bool was_sent(const struct judgement *judgement, const struct connection *connection) {
	bool current = connection->generation == (uint8_t)judgement->policy->ruleset->generation;
	if (!current || !is_strict(judgement->policy, connection->rule) ||
	    has_lost_track(judgement, connection))
		return true;
	enum side sender = connection->direction == judgement->direction ? SIDE_OTHER : SIDE_OPENER;
	return tracker_of(judgement->packet->inner.protocol)
	    ->sent(&connection->tcp, judgement->packet, sender);
}

/* Of a connection that the busy kernel has admitted, and that the table does not know yet. The stack compares
 * the number inside with what it has in flight (RFC 5927 4.1). */
static bool may_be_unseen(const struct judgement *judgement, const struct key *key) {
	const struct arrival *arrival = judgement->arrival;
	struct connection wanted = {.direction = DIRECTION_IN};
	return key->protocol == PROTOCOL_TCP &&
	       atomic_load_explicit(&judgement->filter->behind, memory_order_relaxed) &&
	       filter_recheck(judgement->policy, key, &wanted,
			      interface_name(arrival, arrival->interface_index)) &&
	       !is_strict(judgement->policy, wanted.rule);
}

/* This host's own errors pass; those that come must be about something it has sent. An
 * error neither renews nor ends the connection that it is about. */
static enum reason judge_error(struct judgement *judgement) {
	if (judgement->arrival->hook == HOOK_LEARN)
		return PASS_LEARNED;
	if (judgement->arrival->hook == HOOK_OUT)
		return PASS_RELATED;
	if (!goes_to_sender(judgement->packet))
		return DROP_STRAY_ERROR;
	struct key key = key_of_inner(judgement->packet, judgement->direction);
	judgement->stripe = table_lock(judgement->filter->table, &key);
	const struct connection *connection = find(judgement, &key);
	bool about = connection ? connection->state != STATE_CUT && was_sent(judgement, connection)
				: may_be_unseen(judgement, &key);
	table_unlock(judgement->stripe);
	return about ? PASS_RELATED : DROP_STRAY_ERROR;
}

static struct judgement prepare(struct filter *filter, const struct policy *policy,
				const struct packet *packet, const struct arrival *arrival, uint32_t now) {
	return (struct judgement){
	    .filter = filter,
	    .policy = policy,
	    .packet = packet,
	    .arrival = arrival,
	    .tracker = tracker_of(packet->tuple.protocol),
	    .key = key_of_packet(packet, direction_of(arrival->hook)),
	    .direction = direction_of(arrival->hook),
	    .now = now,
	};
}

struct decision filter_packet(struct filter *filter, const struct policy *policy, const struct packet *packet,
			      const struct arrival *arrival, uint32_t now) {
	struct judgement judgement = prepare(filter, policy, packet, arrival, now);
	if (packet->icmp_error)
		return decide(&judgement, judge_error(&judgement));
	judgement.stripe = table_lock(filter->table, &judgement.key);
	struct decision decision = judge(&judgement);
	table_unlock(judgement.stripe);
	return decision;
}

/* ---- what has passed unasked ---- */

/* The handshake is complete, so the kernel has made a lease of its place in `half`. The last ACK of all
 * rides on the lease too: with both FINs seen nothing more is to come. */
static uint8_t state_behind(struct connection *connection, uint8_t state) {
	if (state_is_open(state) && !state_is_open(connection->state))
		connection->flags |= CONNECTION_LEASED;
	return state == TCP_LAST_ACK ? TCP_TIME_WAIT : state;
}

/* Nothing of it has passed unseen: its handshake goes on, or an RST has ended it before that was complete. */
static bool was_never_open(const struct connection *connection) {
	bool leased = connection->flags & CONNECTION_LEASED;
	return state_is_opening(connection->state) || (connection->state == TCP_CLOSED && !leased);
}

static void see(const struct judgement *judgement, struct connection *connection) {
	bool never_open = was_never_open(connection);
	uint8_t state = connection->state;
	enum reason reason = step(judgement, connection, &state);
	if (reason && never_open)
		return;
	if (reason)
		relearn(judgement, connection, &state);
	follow(judgement, connection, state_behind(connection, state));
}

bool filter_see(struct filter *filter, const struct policy *policy, const struct packet *packet,
		const struct arrival *arrival, uint32_t now) {
	struct judgement judgement = prepare(filter, policy, packet, arrival, now);
	if (packet->icmp_error)
		return false;
	judgement.stripe = table_lock(filter->table, &judgement.key);
	struct connection *connection = connection_find(judgement.stripe, &judgement.key);
	if (connection && connection->state != STATE_CUT)
		see(&judgement, connection);
	table_unlock(judgement.stripe);
	return connection != NULL;
}
