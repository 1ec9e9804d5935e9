/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzes the life of connections: sequences of segments in both directions, of several keys through one
 * small table, with time, reloads, leases and saves between them. The first byte says how:
 *
 *   strict   every packet is judged: each decision must be the one that the TCP reference and the rules
 *            lead to, and nothing may be in the table that they have not led to
 *   leased   packets pass unseen or as copies, windows are learned again: what is open must have been
 *            opened by all that opening takes, or by what says that it has been open before
 *
 * In both the table's figures are those of its entries, its bound holds, and nothing stays that has run out.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "memory_world.h"
#include "sallyport/core/filter.h"
#include "sallyport/core/snapshot.h"
#include "tcp_reference.h"

enum { KEYS = 16, CAPACITY = 8, STEP_BYTES = 5, POLICIES = 2, LOCAL_PORT = 22, REMOTE_PORT = 1000 };

/* What one step's first byte chooses. */
enum step {
	SEGMENT_KINDS = 9, /* below: a segment */
	STEP_DATAGRAM = SEGMENT_KINDS,
	STEP_ERROR,
	STEP_WAIT,
	STEP_RELOAD,
	STEP_SAVE,
	STEP_GAP, /* packets have passed unseen */
	STEPS
};

/* What has been seen of the connection of one key. */
struct history {
	bool stands;
	struct reference reference;
	bool opener_spoke, other_spoke, opener_acknowledged; /* a SYN, a SYN, an ACK behind both */
	bool excused;                                        /* it may have been open before */
	uint32_t since;                                      /* when its state began */
};

struct run {
	struct filter filter;
	const struct policy *policies, *policy;
	struct history histories[KEYS];
	bool strict, pickup, keeps;
	uint8_t generation;
	uint32_t now;
};

static const char *const rules[POLICIES] = {
    "allow in tcp 22\nallow in udp 22\ndefault out drop\nallow out tcp 1000-1007\n",
    "allow in tcp 22 from 192.0.2.0-192.0.2.3\ndefault out drop\nallow out tcp 1000-1003\n",
};

static struct policy make_policy(const char *text, bool strict, bool pickup) {
	char file[256] = "essentials off\n";
	struct diagnostics diagnostics = {0};
	if (strict)
		strcat(file, "inspect all\n");
	if (pickup)
		strcat(file, "pickup on\n");
	struct ruleset *ruleset = load_rules(strcat(file, text), &diagnostics);
	if (!ruleset)
		abort();
	diagnostics_free(&diagnostics);
	return (struct policy){ruleset, calloc(ruleset->count + 2, sizeof(struct rule_counters))};
}

/* Loaded once: by far the slowest of all. */
static const struct policy *policies_of(bool strict, bool pickup) {
	static struct policy made[2][2][POLICIES];
	struct policy *policies = made[strict][pickup];
	for (size_t i = 0; i < POLICIES && !policies[i].ruleset; i++)
		policies[i] = make_policy(rules[i], strict, pickup);
	return policies;
}

static void put_in_force(struct run *run, size_t number) {
	run->policy = &run->policies[number];
	((struct ruleset *)run->policy->ruleset)->generation = ++run->generation;
}

/* ---- packets ---- */

static struct packet packet_of(size_t number, enum direction direction, uint8_t protocol) {
	const uint8_t here[4] = {192, 0, 2, 200}, there[4] = {192, 0, 2, (uint8_t)number};
	struct tuple tuple = {addr_from_ipv4(here), addr_from_ipv4(there),
			      (uint16_t)(LOCAL_PORT + (number & 1)), (uint16_t)(REMOTE_PORT + number),
			      protocol};
	if (direction == DIRECTION_IN)
		tuple = (struct tuple){tuple.dst, tuple.src, tuple.dst_port, tuple.src_port, protocol};
	return (struct packet){.tuple = tuple, .family = FAMILY_IPV4};
}

static size_t number_of(const struct keyed_connection *entry) {
	return entry->key.remote_port - REMOTE_PORT;
}

static bool find(const struct run *run, const struct key *key, struct connection *found) {
	struct stripe *stripe = table_lock(run->filter.table, key);
	const struct connection *connection = connection_find(stripe, key);
	if (connection)
		*found = *connection;
	table_unlock(stripe);
	return connection != NULL;
}

/* Near what the connection is known to have sent, acknowledged and allowed; or anywhere. */
static struct tcp_segment segment_from(const uint8_t *bytes, const struct reference *reference,
				       enum side side) {
	static const uint8_t flags[SEGMENT_KINDS] = {
	    TCP_SYN,           TCP_SYN | TCP_ACK, TCP_ACK,
	    TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_PSH,
	    TCP_RST,           TCP_RST | TCP_ACK, TCP_ACK | TCP_URG};
	const struct reference_end *sender = &reference->ends[side], *receiver = &reference->ends[!side];
	uint8_t kind = flags[(bytes[0] & 0xf) % STEPS];
	const int64_t start = kind & TCP_SYN ? sender->iss : sender->sent;
	const int64_t seqs[] = {start,
				start,
				sender->allowed,
				sender->iss,
				sender->sent - 66000,
				sender->sent - receiver->widest,
				sender->sent - bytes[4],
				(int64_t)bytes[4] << 24};
	const int64_t acks[] = {receiver->sent,
				receiver->sent,
				receiver->allowed,
				receiver->iss,
				receiver->sent - 2 * 66000,
				receiver->sent - 2 * sender->widest,
				receiver->sent - bytes[4],
				(int64_t)bytes[4] << 24};
	struct tcp_segment segment = {
	    .flags = kind,
	    .seq = reference_number(seqs[bytes[2] & 7] + (bytes[2] >> 3 & 3) - (bytes[2] >> 5 & 3)),
	    .ack = reference_number(acks[bytes[3] & 7] + (bytes[3] >> 3 & 3) - (bytes[3] >> 5 & 3)),
	    .length = kind & TCP_PSH || bytes[2] & 0x80 ? (uint32_t)bytes[4] * 257 : 0,
	    .window = (uint16_t)(bytes[4] * 257u >> (bytes[3] & 0x80 ? 8 : 0)),
	    .scale = TCP_NO_SCALE,
	};
	if (kind & TCP_SYN && bytes[4] & 1) {
		segment.scale = bytes[4] % 15;
		segment.scale_permitted = true;
	}
	return segment;
}

/* ---- what must come of a segment where all are judged ---- */

static bool rules_allow(const struct run *run, const struct tuple *tuple, enum direction direction) {
	const struct question question = {.direction = direction,
					  .from = tuple->src,
					  .to = tuple->dst,
					  .from_port = tuple->src_port,
					  .to_port = tuple->dst_port,
					  .protocol = tuple->protocol};
	return eval(run->policy->ruleset, &question).action == ACTION_ALLOW;
}

static bool still_allowed(const struct run *run, const struct key *key, const struct connection *connection) {
	struct question question = connection_question(key, (enum direction)connection->direction, NULL);
	return eval(run->policy->ruleset, &question).action == ACTION_ALLOW;
}

static bool only_open_ones_stand(const struct run *run) {
	struct keyed_connection all[CAPACITY];
	uint64_t cursor = 0;
	size_t count = table_copy(run->filter.table, &cursor, all, CAPACITY);
	for (size_t i = 0; i < count; i++)
		if (state_worth(all[i].connection.state) != WORTH_OPEN)
			return false;
	return count == CAPACITY;
}

static void open_history(struct run *run, struct history *history, const struct packet *packet) {
	*history = (struct history){.stands = true, .opener_spoke = true, .since = run->now};
	history->reference = reference_open(&packet->tcp);
}

static enum reason expect_opening(struct run *run, struct history *history, const struct packet *packet,
				  enum direction direction, bool full) {
	history->stands = false;
	if (!rules_allow(run, &packet->tuple, direction))
		return DROP_DEFAULT;
	if (full)
		return DROP_TABLE_FULL;
	open_history(run, history, packet);
	return PASS_RULE;
}

static enum reason expect_outside(const struct packet *packet, enum direction direction, enum reason drop) {
	return packet->tcp.flags & TCP_RST && direction == DIRECTION_OUT ? PASS_RESET : drop;
}

static enum reason expected(struct run *run, struct history *history, const struct packet *packet,
			    enum direction direction, const struct key *key,
			    const struct connection *connection) {
	if (!connection)
		return tcp_is_pure_syn(&packet->tcp)
			   ? expect_opening(run, history, packet, direction, only_open_ones_stand(run))
			   : expect_outside(packet, direction, DROP_NO_CONNECTION);
	if (connection->state == STATE_CUT || !still_allowed(run, key, connection)) {
		history->stands = false;
		return tcp_is_pure_syn(&packet->tcp) ? expect_opening(run, history, packet, direction, false)
						     : expect_outside(packet, direction, DROP_CUT);
	}
	enum side side = connection->direction == direction ? SIDE_OPENER : SIDE_OTHER;
	switch (reference_judge(&history->reference, &packet->tcp, side)) {
	case JUDGED_FIT:
		return PASS_CONNECTION;
	case JUDGED_NEW:
		return expect_opening(run, history, packet, direction, false);
	case JUDGED_IMPOSSIBLE:
		return DROP_STATE;
	default:
		return DROP_WINDOW;
	}
}

/* Repeats renew nothing that is half-open. */
static void check_time(struct run *run, struct history *history, const struct connection *before,
		       const struct connection *after) {
	if (before && before->state != after->state)
		history->since = run->now;
	assert(after->renewed == run->now ||
	       (before && before->state == after->state && after->renewed == before->renewed));
	if (after->state == TCP_SYN_SENT || after->state == TCP_SYN_RECV || after->state == TCP_CLOSED)
		assert(after->renewed == history->since);
}

static void judge_strictly(struct run *run, struct history *history, const struct packet *packet,
			   enum direction direction) {
	struct key key = key_of_packet(packet, direction);
	struct connection before, after;
	bool known = find(run, &key, &before);
	if (known && before.state != STATE_CUT)
		assert(history->stands && before.state == reference_state(&history->reference));
	history->stands &= known; /* it may have run out, or made room */
	enum reason wanted = expected(run, history, packet, direction, &key, known ? &before : NULL);
	struct arrival arrival = {.hook = direction == DIRECTION_IN ? HOOK_IN : HOOK_OUT};
	struct decision decision = filter_packet(&run->filter, run->policy, packet, &arrival, run->now);
	assert(decision.reason == wanted);
	assert((decision.verdict == VERDICT_ACCEPT) == reason_passes(wanted));
	assert(decision.opened == (wanted == PASS_RULE) && !decision.lease);
	bool stands = find(run, &key, &after);
	if (stands && after.state != STATE_CUT) {
		assert(history->stands && after.state == reference_state(&history->reference));
		check_time(run, history, known ? &before : NULL, &after);
	} else {
		assert(!history->stands);
	}
}

/* ---- what may come of a segment where some are not ---- */

/* Until a connection is open, the reference knows of it what there is to know, so what fits it counts. */
static void follow(struct history *history, const struct packet *packet, enum side side, bool copied) {
	bool closed = reference_state(&history->reference) == TCP_CLOSED;
	enum judgement judgement = reference_judge(&history->reference, &packet->tcp, side);
	/* A copy opens nothing, but the SYN was sent, and may be answered. */
	if (judgement == JUDGED_NEW && copied && closed && side == SIDE_OPENER)
		history->reference.ends[SIDE_OPENER].has_forgotten = true;
	if (judgement != JUDGED_FIT)
		return;
	if (packet->tcp.flags & TCP_SYN && side == SIDE_OTHER)
		history->other_spoke = true;
	if (packet->tcp.flags & TCP_ACK && side == SIDE_OPENER && history->other_spoke)
		history->opener_acknowledged = true;
}

/* Let pass before the SYN/ACK was seen: what it carries may be acknowledged. */
static void follow_ahead(struct history *history, const struct packet *packet) {
	struct reference_end *opener = &history->reference.ends[SIDE_OPENER];
	uint32_t first = packet->tcp.seq - reference_number(opener->iss + 1);
	uint32_t last = first + packet->tcp.length + (packet->tcp.flags & TCP_FIN ? 1 : 0);
	if (first <= UINT16_MAX && last <= UINT16_MAX && opener->sent < opener->iss + 1 + last)
		opener->sent = opener->iss + 1 + last;
}

/* A server may close before it has the opener's ACK (RFC 9293 3.10.4, SYN-RECEIVED). */
static bool may_be_open(const struct history *history, uint8_t state) {
	return history->excused || (history->opener_spoke && history->other_spoke &&
				    (history->opener_acknowledged || state == TCP_CLOSE_WAIT));
}

static bool is_midstream(const struct packet *packet) {
	return !(packet->tcp.flags & (TCP_SYN | TCP_RST));
}

static void check_opening(struct run *run, struct history *history, const struct packet *packet,
			  enum hook hook) {
	enum direction direction = hook == HOOK_IN ? DIRECTION_IN : DIRECTION_OUT;
	assert(tcp_is_pure_syn(&packet->tcp) || (run->pickup && is_midstream(packet)));
	assert(hook == HOOK_LEARN || rules_allow(run, &packet->tuple, direction));
	open_history(run, history, packet);
	history->excused = !tcp_is_pure_syn(&packet->tcp);
	if (history->excused)
		history->reference = reference_pickup(&packet->tcp, SIDE_OPENER);
}

static void judge_leased(struct run *run, struct history *history, const struct packet *packet,
			 enum hook hook, bool copied) {
	struct arrival arrival = {.hook = hook};
	enum direction direction = hook == HOOK_IN ? DIRECTION_IN : DIRECTION_OUT;
	struct key key = key_of_packet(packet, direction);
	struct connection before, after;
	struct decision decision = {.opened = false};
	bool known = find(run, &key, &before);
	if (copied) {
		assert(filter_see(&run->filter, run->policy, packet, &arrival, run->now) == known);
	} else {
		decision = filter_packet(&run->filter, run->policy, packet, &arrival, run->now);
		assert(hook != HOOK_LEARN || decision.verdict == VERDICT_ACCEPT);
		assert(decision.reason != PASS_CONNECTION || known);
		assert(!decision.lease || decision.verdict == VERDICT_ACCEPT);
	}
	enum side side = !known || before.direction == direction ? SIDE_OPENER : SIDE_OTHER;
	if (decision.opened)
		check_opening(run, history, packet, hook);
	else if (known)
		follow(history, packet, side, copied);
	history->excused |= hook == HOOK_LEARN;
	history->stands = find(run, &key, &after);
	if (!history->stands)
		return;
	assert(known || decision.opened);
	if (after.state == TCP_SYN_SENT && side == SIDE_OPENER && decision.reason == PASS_CONNECTION &&
	    is_midstream(packet))
		follow_ahead(history, packet);
	if (state_is_open(after.state))
		assert(may_be_open(history, after.state));
	history->excused |= (after.flags & CONNECTION_LEASED) != 0; /* from now on packets pass unseen */
}

static void send_segment(struct run *run, const uint8_t *bytes) {
	enum direction direction = bytes[1] & 0x10 ? DIRECTION_OUT : DIRECTION_IN;
	struct history *history = &run->histories[bytes[1] % KEYS];
	struct packet packet = packet_of(bytes[1] % KEYS, direction, PROTOCOL_TCP);
	struct key key = key_of_packet(&packet, direction);
	struct connection connection = {.direction = direction};
	find(run, &key, &connection);
	enum side side = connection.direction == direction ? SIDE_OPENER : SIDE_OTHER;
	packet.tcp = segment_from(bytes, &history->reference, side);
	enum hook hook = direction == DIRECTION_IN ? HOOK_IN : bytes[1] & 0x20 ? HOOK_LEARN : HOOK_OUT;
	if (run->strict)
		judge_strictly(run, history, &packet, direction);
	else
		judge_leased(run, history, &packet, hook, bytes[1] & 0x40);
}

/* ---- what else happens ---- */

static void send_datagram(struct run *run, const uint8_t *bytes) {
	enum direction direction = bytes[1] & 0x10 ? DIRECTION_OUT : DIRECTION_IN;
	struct packet packet = packet_of(bytes[1] % KEYS, direction, PROTOCOL_UDP);
	struct arrival arrival = {.hook = direction == DIRECTION_IN ? HOOK_IN : HOOK_OUT};
	struct key key = key_of_packet(&packet, direction);
	struct connection before;
	bool known = find(run, &key, &before);
	struct decision decision = filter_packet(&run->filter, run->policy, &packet, &arrival, run->now);
	if (!known && decision.verdict == VERDICT_ACCEPT)
		assert(decision.opened && rules_allow(run, &packet.tuple, direction));
}

/* An error passes only where it is about what stands, and changes nothing. */
static void send_error(struct run *run, const uint8_t *bytes) {
	struct packet about = packet_of(bytes[1] % KEYS, DIRECTION_OUT, PROTOCOL_TCP), error = about;
	struct connection before, after;
	struct key key = key_of_packet(&about, DIRECTION_OUT);
	error.tuple =
	    (struct tuple){.src = about.tuple.dst, .dst = about.tuple.src, .protocol = PROTOCOL_ICMP};
	error.icmp_error = error.inner_known = true;
	error.inner = about.tuple;
	struct arrival arrival = {.hook = HOOK_IN};
	bool known = find(run, &key, &before);
	struct decision decision = filter_packet(&run->filter, run->policy, &error, &arrival, run->now);
	assert(find(run, &key, &after) == known);
	bool stands = known && after.state != STATE_CUT;
	assert(decision.reason == PASS_RELATED || decision.reason == DROP_STRAY_ERROR);
	assert(stands || decision.reason == DROP_STRAY_ERROR);
	/* Where every segment is seen, the quoted one must have been sent, too. */
	assert(!stands || run->strict || decision.reason == PASS_RELATED);
	assert(!known || (after.renewed == before.renewed || after.state == STATE_CUT));
}

static int keep(const struct key *key, struct connection *connection, void *context) {
	struct run *run = context;
	(void)key;
	assert(state_is_doubtful(connection->state));
	return run->keeps ? (int)connection->state : LET_GO;
}

static void wait(struct run *run, const uint8_t *bytes) {
	const struct expiry expiry = {.timeouts = &default_timeouts, .keep = keep, .context = run};
	run->keeps = !run->strict && bytes[1] & 1;
	run->now += bytes[2] & 0x80 ? (uint32_t)bytes[2] * 32 : bytes[2];
	if (!table_expire(run->filter.table, &expiry, run->now, bytes[3] & 1 ? 1 : 100))
		assert(table_expire(run->filter.table, &expiry, run->now, 100));
	struct keyed_connection all[CAPACITY];
	uint64_t cursor = 0;
	size_t count = table_copy(run->filter.table, &cursor, all, CAPACITY);
	for (size_t i = 0; i < count; i++)
		assert(all[i].connection.renewed +
			   default_timeouts.seconds[state_timeout(all[i].connection.state)] >
		       run->now);
}

static int recheck(const struct key *key, struct connection *connection, void *context) {
	const struct run *run = context;
	if (connection->state == STATE_CUT)
		return STATE_CUT;
	return filter_recheck(run->policy, key, connection, NULL) ? (int)connection->state : STATE_CUT;
}

/* The sweep follows at once or only before the next reload, as far as packets are concerned. */
static void reload(struct run *run, const uint8_t *bytes) {
	table_sweep(run->filter.table, run->now, recheck, run);
	put_in_force(run, bytes[1] % POLICIES);
	if (bytes[1] & 2)
		table_sweep(run->filter.table, run->now, recheck, run);
}

struct reading {
	const struct keyed_connection *all;
	size_t at, count;
};

static void see_saved(const struct saved_connection *saved, void *context) {
	struct reading *reading = context;
	while (reading->at < reading->count && reading->all[reading->at].connection.state == STATE_CUT)
		reading->at++;
	assert(reading->at < reading->count);
	const struct keyed_connection *entry = &reading->all[reading->at++];
	const struct connection *connection = &entry->connection;
	assert(key_equal(&saved->key, &entry->key) && saved->state == connection->state);
	assert(saved->direction == connection->direction && saved->flags == connection->flags);
}

/* What stands is saved and read back as it was. */
static void save(struct run *run) {
	struct keyed_connection all[CAPACITY];
	uint64_t cursor = 0;
	size_t count = table_copy(run->filter.table, &cursor, all, CAPACITY), size, saved = 0;
	struct reading reading = {all, 0, count};
	struct snapshot_origin origin = {.saved = run->now};
	struct snapshot_writer writer;
	struct snapshot_reader reader;
	uint8_t piece[SNAPSHOT_PIECE];
	snapshot_reader_init(&reader, see_saved, &reading);
	size = snapshot_begin(&writer, &origin, piece);
	assert(!snapshot_read(&reader, piece, size));
	for (size_t i = 0; i < count; i++) {
		struct saved_connection record = {.key = all[i].key,
						  .age = run->now - all[i].connection.opened,
						  .idle = run->now - all[i].connection.renewed,
						  .interface = all[i].connection.interface,
						  .state = all[i].connection.state,
						  .direction = all[i].connection.direction,
						  .flags = all[i].connection.flags};
		if (all[i].connection.state == STATE_CUT)
			continue;
		size = snapshot_add(&writer, &record, piece);
		assert(!snapshot_read(&reader, piece, size));
		saved++;
	}
	size = snapshot_end(&writer, piece);
	assert(!snapshot_read(&reader, piece, size) && !snapshot_finish(&reader));
	assert(writer.count == saved);
}

static void leave_a_gap(struct run *run) {
	if (run->strict)
		return;
	atomic_fetch_add(&run->filter.epoch, 1);
	for (size_t i = 0; i < KEYS; i++)
		run->histories[i].excused = true;
}

static void check_figures(const struct run *run) {
	struct keyed_connection all[CAPACITY + 1];
	uint64_t cursor = 0;
	uint32_t half_open = 0;
	size_t count = table_copy(run->filter.table, &cursor, all, CAPACITY + 1);
	struct table_usage usage = table_usage(run->filter.table);
	struct table_counters counters = table_counters(run->filter.table);
	for (size_t i = 0; i < count; i++) {
		half_open += state_worth(all[i].connection.state) == WORTH_HALF_OPEN;
		assert(all[i].connection.opened <= all[i].connection.renewed &&
		       all[i].connection.renewed <= run->now);
		assert(number_of(&all[i]) < KEYS);
		for (size_t j = 0; j < i; j++)
			assert(!key_equal(&all[i].key, &all[j].key));
	}
	assert(count <= CAPACITY && usage.max == CAPACITY);
	assert(usage.count == count && usage.half_open == half_open);
	assert(counters.inserted - counters.expired - counters.removed - counters.evicted_half_open -
		   counters.evicted_closing ==
	       count);
}

static void take_step(struct run *run, const uint8_t *bytes) {
	enum step step = (enum step)((bytes[0] & 0xf) % STEPS);
	switch (step) {
	case STEP_DATAGRAM:
		send_datagram(run, bytes);
		break;
	case STEP_ERROR:
		send_error(run, bytes);
		break;
	case STEP_WAIT:
		wait(run, bytes);
		break;
	case STEP_RELOAD:
		reload(run, bytes);
		break;
	case STEP_SAVE:
		save(run);
		break;
	case STEP_GAP:
		leave_a_gap(run);
		break;
	default:
		send_segment(run, bytes);
	}
	check_figures(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct hash_secret secret = {{5, 6}};
	if (size == 0)
		return 0;
	struct run run = {.strict = !(data[0] & 1), .pickup = (data[0] & 3) == 3, .now = 1000};
	run.policies = policies_of(run.strict, run.pickup);
	put_in_force(&run, 0);
	run.filter.table = table_new(CAPACITY, &secret);
	assert(run.filter.table);
	for (size_t at = 1; at + STEP_BYTES <= size; at += STEP_BYTES)
		take_step(&run, data + at);
	table_free(run.filter.table);
	return 0;
}
