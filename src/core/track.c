/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the states mean, and the trackers: TCP, ICMP queries, and everything else, of which
 * only is known that one side speaks or both do.
 */
#include "sallyport/core/track.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* RFC 5382 and 4787 say how long a translator must keep a mapping; what forgets sooner
 * cuts connections that are well, and that holds for a filter too. */
const struct timeouts default_timeouts = {{
    [TIMEOUT_SYN_SENT] = 120,     /* a SYN repeated 1, 3, 7, 15, 31, 63 s later (net/ipv4/tcp.h
				     TCP_SYN_RETRIES), and as long for the answer */
    [TIMEOUT_SYN_RECV] = 60,      /* SYN/ACKs at 0, 1, 3, 7, 15, 31 s (TCP_SYNACK_RETRIES) */
    [TIMEOUT_ESTABLISHED] = 7440, /* RFC 5382 REQ-5: not less than 2 h 4 min, a keep-alive's interval */
    [TIMEOUT_FIN_WAIT] = 240,     /* RFC 5382 REQ-5: transitory, not less than 4 min */
    [TIMEOUT_CLOSE_WAIT] = 240,   /* likewise */
    [TIMEOUT_LAST_ACK] = 60,      /* both have closed; TCP_TIMEWAIT_LEN */
    [TIMEOUT_TIME_WAIT] = 60,     /* the host's own: include/net/tcp.h TCP_TIMEWAIT_LEN. The 4 minutes of
				     RFC 7857 are for translators, which give addresses to others */
    [TIMEOUT_CLOSED] = 15,      /* long enough for a challenge ACK (RFC 5961) to come, and for a lease to run
				   out, whose connection then may prove to live */
    [TIMEOUT_UDP] = 30,         /* what net/netfilter/nf_conntrack_proto_udp.c takes; RFC 4787 REQ-5's
				   2 min are for mappings that nobody can open again */
    [TIMEOUT_UDP_STREAM] = 300, /* RFC 4787 REQ-5: recommended 5 min */
    [TIMEOUT_ICMP] = 60,        /* RFC 5508 REQ-1 */
    [TIMEOUT_OTHER] = 600,      /* net/netfilter/nf_conntrack_proto_generic.c */
}};

static const char *const timeout_names[TIMEOUTS] = {
    [TIMEOUT_SYN_SENT] = "syn-sent",
    [TIMEOUT_SYN_RECV] = "syn-recv",
    [TIMEOUT_ESTABLISHED] = "established",
    [TIMEOUT_FIN_WAIT] = "fin-wait",
    [TIMEOUT_CLOSE_WAIT] = "close-wait",
    [TIMEOUT_LAST_ACK] = "last-ack",
    [TIMEOUT_TIME_WAIT] = "time-wait",
    [TIMEOUT_CLOSED] = "closed",
    [TIMEOUT_UDP] = "udp",
    [TIMEOUT_UDP_STREAM] = "udp-stream",
    [TIMEOUT_ICMP] = "icmp",
    [TIMEOUT_OTHER] = "other",
};

const char *timeout_name(enum timeout timeout) {
	return (size_t)timeout < TIMEOUTS ? timeout_names[timeout] : "unknown";
}

/*
 * What a state says of a connection in it.
 *
 * Worth: half-closed connections are under CLOSING although data may still flow: the oldest
 * go first, and those that flow are never old. An answer to what is no TCP proves nothing
 * about addresses (a forged query gets one too), and what is forgotten too early the
 * opener's next packet opens again. So none of these may fill the table for good.
 *
 * Renews: repeats of what did not lead on keep nothing alive.
 */
static const struct meaning {
	enum timeout timeout;
	enum worth worth;
	bool renews, doubtful;
} meanings[STATES] = {
    [TCP_SYN_SENT] = {TIMEOUT_SYN_SENT, WORTH_HALF_OPEN, .renews = false},
    [TCP_SYN_RECV] = {TIMEOUT_SYN_RECV, WORTH_HALF_OPEN, .renews = false},
    [TCP_ESTABLISHED] = {TIMEOUT_ESTABLISHED, WORTH_OPEN, .renews = true, .doubtful = true},
    [TCP_FIN_WAIT] = {TIMEOUT_FIN_WAIT, WORTH_CLOSING, .renews = true, .doubtful = true},
    [TCP_CLOSE_WAIT] = {TIMEOUT_CLOSE_WAIT, WORTH_CLOSING, .renews = true, .doubtful = true},
    [TCP_LAST_ACK] = {TIMEOUT_LAST_ACK, WORTH_CLOSING, .renews = true},
    [TCP_TIME_WAIT] = {TIMEOUT_TIME_WAIT, WORTH_CLOSING, .renews = true},
    [TCP_CLOSED] = {TIMEOUT_CLOSED, WORTH_CLOSING, .renews = false, .doubtful = true},
    [UDP_NEW] = {TIMEOUT_UDP, WORTH_HALF_OPEN, .renews = true},
    [UDP_REPLIED] = {TIMEOUT_UDP_STREAM, WORTH_CLOSING, .renews = true},
    [ICMP_NEW] = {TIMEOUT_ICMP, WORTH_HALF_OPEN, .renews = true},
    [ICMP_REPLIED] = {TIMEOUT_ICMP, WORTH_CLOSING, .renews = true},
    [OTHER_NEW] = {TIMEOUT_OTHER, WORTH_HALF_OPEN, .renews = true},
    [OTHER_REPLIED] = {TIMEOUT_OTHER, WORTH_CLOSING, .renews = true},
    [STATE_CUT] = {TIMEOUT_CLOSE_WAIT, WORTH_CLOSING, .renews = true, .doubtful = true},
};

enum timeout state_timeout(uint8_t state) {
	return meanings[state].timeout;
}

enum worth state_worth(uint8_t state) {
	return meanings[state].worth;
}

bool state_renews(uint8_t state) {
	return meanings[state].renews;
}

bool state_is_opening(uint8_t state) {
	return state == TCP_SYN_SENT || state == TCP_SYN_RECV;
}

bool state_is_open(uint8_t state) {
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT || state == TCP_CLOSE_WAIT;
}

bool state_is_over(uint8_t state) {
	return state == TCP_LAST_ACK || state == TCP_TIME_WAIT || state == TCP_CLOSED;
}

bool state_is_doubtful(uint8_t state) {
	return meanings[state].doubtful;
}

const char *state_name(uint8_t state) {
	switch (state) {
	case UDP_NEW:
	case ICMP_NEW:
	case OTHER_NEW:
		return "NEW";
	case UDP_REPLIED:
	case ICMP_REPLIED:
	case OTHER_REPLIED:
		return "REPLIED";
	case STATE_CUT:
		return "CUT";
	default:
		return tcp_state_name((enum tcp_state)state);
	}
}

uint32_t states_named(const char *name) {
	enum tcp_state tcp;
	if (tcp_state_parse(name, &tcp))
		return 1u << tcp;
	if (strcasecmp(name, "cut") == 0)
		return 1u << STATE_CUT;
	if (strcasecmp(name, "new") == 0)
		return 1u << UDP_NEW | 1u << ICMP_NEW | 1u << OTHER_NEW;
	if (strcasecmp(name, "replied") == 0)
		return 1u << UDP_REPLIED | 1u << ICMP_REPLIED | 1u << OTHER_REPLIED;
	return 0;
}

/* TCP */

static enum role segment_role(const struct packet *packet) {
	const struct tcp_segment *tcp = &packet->tcp;
	if (tcp_is_pure_syn(tcp))
		return ROLE_OPENS;
	if (tcp->flags & TCP_RST)
		return ROLE_RESET;
	return tcp->flags & TCP_SYN ? ROLE_ANSWER : ROLE_MIDSTREAM;
}

static uint8_t segment_open(struct tcp_track *track, const struct packet *packet) {
	if (tcp_is_pure_syn(&packet->tcp)) {
		tcp_open(track, &packet->tcp);
		return TCP_SYN_SENT;
	}
	tcp_pickup(track, &packet->tcp, SIDE_OPENER);
	return packet->tcp.flags & TCP_FIN ? TCP_FIN_WAIT : TCP_ESTABLISHED;
}

static enum reason segment_step(uint8_t *state, struct tcp_track *track, const struct packet *packet,
				enum side side) {
	enum tcp_state tcp = (enum tcp_state) * state;
	enum reason reason = tcp_step(&tcp, track, &packet->tcp, side);
	*state = (uint8_t)tcp;
	return reason;
}

static bool segment_relearn(uint8_t *state, struct tcp_track *track, const struct packet *packet,
			    enum side side) {
	enum tcp_state tcp = (enum tcp_state) * state;
	bool learned = tcp_relearn(&tcp, track, &packet->tcp, side);
	*state = (uint8_t)tcp;
	return learned;
}

static bool segment_reopens(uint8_t state, const struct tcp_track *track, const struct packet *packet,
			    enum side side) {
	return tcp_reopens((enum tcp_state)state, track, &packet->tcp, side);
}

static bool segment_sent(const struct tcp_track *track, const struct packet *error, enum side side) {
	return tcp_has_sent(track, error->inner_seq, side);
}

/* Pseudo-connections: all that is known is whether the other side has spoken. */

static uint8_t pseudo_open(struct tcp_track *track, const struct packet *packet) {
	memset(track, 0, sizeof *track);
	switch (packet->tuple.protocol) {
	case PROTOCOL_UDP:
		return UDP_NEW;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return ICMP_NEW;
	default:
		return OTHER_NEW;
	}
}

static uint8_t replied(uint8_t state) {
	switch (state) {
	case UDP_NEW:
		return UDP_REPLIED;
	case ICMP_NEW:
		return ICMP_REPLIED;
	case OTHER_NEW:
		return OTHER_REPLIED;
	default:
		return state;
	}
}

static enum reason pseudo_step(uint8_t *state, struct tcp_track *track, const struct packet *packet,
			       enum side side) {
	(void)track, (void)packet;
	if (side == SIDE_OTHER)
		*state = replied(*state);
	return REASON_NONE;
}

static bool pseudo_relearn(uint8_t *state, struct tcp_track *track, const struct packet *packet,
			   enum side side) {
	(void)state, (void)track, (void)packet, (void)side;
	return true;
}

static bool pseudo_reopens(uint8_t state, const struct tcp_track *track, const struct packet *packet,
			   enum side side) {
	(void)state, (void)track, (void)packet, (void)side;
	return false;
}

static bool pseudo_sent(const struct tcp_track *track, const struct packet *error, enum side side) {
	(void)track, (void)error, (void)side;
	return true;
}

static enum role datagram_role(const struct packet *packet) {
	(void)packet;
	return ROLE_OPENS;
}

static enum role icmp_role(const struct packet *packet) {
	uint8_t protocol = packet->tuple.protocol;
	if (icmp_is_query(protocol, packet->icmp_type))
		return ROLE_OPENS;
	return icmp_is_reply(protocol, packet->icmp_type) ? ROLE_ANSWER : ROLE_ALONE;
}

static const struct tracker tcp_tracker = {
    segment_role, segment_open, segment_step, segment_relearn, segment_reopens, segment_sent,
};

static const struct tracker icmp_tracker = {
    icmp_role, pseudo_open, pseudo_step, pseudo_relearn, pseudo_reopens, pseudo_sent,
};

static const struct tracker datagram_tracker = {
    datagram_role, pseudo_open, pseudo_step, pseudo_relearn, pseudo_reopens, pseudo_sent,
};

const struct tracker *tracker_of(uint8_t protocol) {
	switch (protocol) {
	case PROTOCOL_TCP:
		return &tcp_tracker;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return &icmp_tracker;
	default:
		return &datagram_tracker;
	}
}
