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

struct question connection_question(const struct connection *connection, const char *interface) {
	const struct key *key = &connection->key;
	bool in = connection->direction == DIRECTION_IN, ports = protocol_has_ports(key->protocol);
	return (struct question){
	    .direction = (enum direction)connection->direction,
	    .from = in ? key->remote : key->local,
	    .to = in ? key->local : key->remote,
	    .from_port = !ports ? 0
			 : in   ? key->remote_port
				: key->local_port,
	    .to_port = !ports ? 0
		       : in   ? key->local_port
			      : key->remote_port,
	    .protocol = key->protocol,
	    .icmp_type = connection->icmp_type,
	    .interface = interface,
	};
}

static uint32_t rule_number(const struct policy *policy, const struct rule *rule) {
	return rule ? (uint32_t)(rule - policy->ruleset->rules) : (uint32_t)NO_RULE;
}

bool filter_recheck(const struct policy *policy, struct connection *connection, const char *interface) {
	if (connection->flags & CONNECTION_LEARNED)
		return true;
	struct question question = connection_question(connection, interface);
	struct answer answer = eval(policy->ruleset, &question);
	if (answer.action != ACTION_ALLOW)
		return false;
	connection->rule = rule_number(policy, answer.rule);
	connection->generation = policy->ruleset->generation;
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
	    connection->generation != judgement->policy->ruleset->generation)
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

/* The connection of `key`, if the rules in force (still) allow it. */
static struct connection *find_allowed(const struct judgement *judgement, const struct key *key) {
	struct connection *connection = connection_find(judgement->stripe, key);
	if (!connection)
		return NULL;
	uint32_t newer = judgement->policy->ruleset->generation - connection->generation;
	if (newer == 0 || newer > INT32_MAX)
		return connection;
	const char *interface = interface_name(judgement->arrival, connection->interface);
	if (filter_recheck(judgement->policy, connection, interface))
		return connection;
	connection_remove(judgement->stripe, connection);
	return NULL;
}

static void touch(const struct judgement *judgement, struct connection *connection, bool renew) {
	const struct tracker *tracker = judgement->tracker;
	enum timeout timeout = tracker->timeout(connection->state);
	uint32_t seconds = judgement->policy->ruleset->settings.timeouts.seconds[timeout];
	connection_touch(judgement->stripe, connection, judgement->now, seconds,
			 tracker->worth(connection->state), renew);
}

static struct connection *enter(const struct judgement *judgement, uint32_t rule, uint8_t flags) {
	struct connection *connection = connection_insert(judgement->stripe, &judgement->key, judgement->now);
	if (!connection)
		return NULL;
	connection->rule = rule;
	connection->generation = judgement->policy->ruleset->generation;
	connection->interface = judgement->arrival->interface_index;
	connection->direction = (uint8_t)judgement->direction;
	connection->flags = flags;
	connection->icmp_type = judgement->packet->icmp_type;
	connection->epoch = atomic_load_explicit(&judgement->filter->epoch, memory_order_relaxed);
	judgement->tracker->open(&connection->state, &connection->tcp, judgement->packet);
	touch(judgement, connection, true);
	return connection;
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
	uint8_t flags = entering == ENTER_PICKED_UP ? CONNECTION_PICKED_UP : 0;
	bool full = enters && !enter(judgement, rule, flags);
	struct decision decision = decide(judgement, full ? DROP_TABLE_FULL : reason);
	decision.rule = rule;
	decision.opened = enters && !full;
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
	if (role == ROLE_OPENS || (role == ROLE_MIDSTREAM && judgement->policy->ruleset->settings.pickup))
		decision.opened = enter(judgement, NO_RULE, CONNECTION_LEARNED) != NULL;
	return decision;
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
		if (judgement->arrival->hook == HOOK_OUT)
			return decide(judgement, PASS_RESET);
		break;
	case ROLE_ANSWER:
		break;
	}
	return decide(judgement, DROP_NO_CONNECTION);
}

static struct decision judge_known(const struct judgement *judgement, struct connection *connection,
				   enum side side) {
	const struct tracker *tracker = judgement->tracker;
	const struct packet *packet = judgement->packet;
	uint8_t before = connection->state;
	uint8_t epoch = atomic_load_explicit(&judgement->filter->epoch, memory_order_relaxed);
	if (connection->epoch != epoch &&
	    tracker->relearn(&connection->state, &connection->tcp, packet, side))
		connection->epoch = epoch;
	enum reason reason = tracker->step(&connection->state, &connection->tcp, packet, side);
	count_packet(judgement, connection);
	if (reason && judgement->arrival->hook != HOOK_LEARN)
		return decide(judgement, reason);
	if (reason) /* passes all the same, so the windows must follow it */
		tracker->relearn(&connection->state, &connection->tcp, packet, side);
	touch(judgement, connection, connection->state != before || tracker->renews(connection->state));
	return decide(judgement, PASS_CONNECTION);
}

static struct decision judge(const struct judgement *judgement) {
	struct connection *connection = find_allowed(judgement, &judgement->key);
	if (!connection)
		return judge_new(judgement);
	enum side side = connection->direction == judgement->direction ? SIDE_OPENER : SIDE_OTHER;
	if (judgement->tracker->reopens(connection->state, &connection->tcp, judgement->packet, side)) {
		connection_remove(judgement->stripe, connection);
		return judge_new(judgement);
	}
	return judge_known(judgement, connection, side);
}

/* This host's own errors pass; those that come must be about something it has sent. An
 * error neither renews nor ends the connection that it is about. */
static enum reason judge_error(struct judgement *judgement) {
	if (judgement->arrival->hook == HOOK_LEARN)
		return PASS_LEARNED;
	if (judgement->arrival->hook == HOOK_OUT)
		return PASS_RELATED;
	if (!judgement->packet->inner_known)
		return DROP_STRAY_ERROR;
	struct key key = key_of_inner(judgement->packet, judgement->direction);
	judgement->stripe = table_lock(judgement->filter->table, &key);
	bool known = find_allowed(judgement, &key);
	table_unlock(judgement->stripe);
	return known ? PASS_RELATED : DROP_STRAY_ERROR;
}

struct decision filter_packet(struct filter *filter, const struct policy *policy, const struct packet *packet,
			      const struct arrival *arrival, uint32_t now) {
	struct judgement judgement = {
	    .filter = filter,
	    .policy = policy,
	    .packet = packet,
	    .arrival = arrival,
	    .tracker = tracker_of(packet->tuple.protocol),
	    .direction = direction_of(arrival->hook),
	    .now = now,
	};
	if (packet->icmp_error)
		return decide(&judgement, judge_error(&judgement));
	judgement.key = key_of_packet(packet, judgement.direction);
	judgement.stripe = table_lock(filter->table, &judgement.key);
	struct decision decision = judge(&judgement);
	table_unlock(judgement.stripe);
	return decision;
}
