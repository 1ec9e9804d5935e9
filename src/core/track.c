/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The trackers: TCP, ICMP queries, and everything else, of which only is known that
 * one side speaks or both do.
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
    [TIMEOUT_CLOSED] = 10,        /* long enough for a challenge ACK (RFC 5961) to come */
    [TIMEOUT_UDP] = 30,           /* what net/netfilter/nf_conntrack_proto_udp.c takes; RFC 4787 REQ-5's
				     2 min are for mappings that nobody can open again */
    [TIMEOUT_UDP_STREAM] = 300,   /* RFC 4787 REQ-5: recommended 5 min */
    [TIMEOUT_ICMP] = 60,          /* RFC 5508 REQ-1 */
    [TIMEOUT_OTHER] = 600,        /* net/netfilter/nf_conntrack_proto_generic.c */
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

const char *state_name(uint8_t state) {
	switch (state) {
	case PSEUDO_NEW:
		return "NEW";
	case PSEUDO_REPLIED:
		return "REPLIED";
	default:
		return tcp_state_name((enum tcp_state)state);
	}
}

bool state_parse(const char *name, uint8_t *state) {
	enum tcp_state tcp;
	if (tcp_state_parse(name, &tcp))
		*state = (uint8_t)tcp;
	else if (strcasecmp(name, "new") == 0)
		*state = PSEUDO_NEW;
	else if (strcasecmp(name, "replied") == 0)
		*state = PSEUDO_REPLIED;
	else
		return false;
	return true;
}

/* TCP */

static enum role segment_role(const struct packet *packet) {
	const struct tcp_segment *tcp = &packet->tcp;
	if (tcp_is_pure_syn(tcp))
		return ROLE_OPENS;
	if (tcp->flags & TCP_RST)
		return ROLE_RESET;
	return ROLE_MIDSTREAM;
}

static void segment_open(uint8_t *state, struct tcp_track *track, const struct packet *packet) {
	if (tcp_is_pure_syn(&packet->tcp)) {
		tcp_open(track, &packet->tcp);
		*state = TCP_SYN_SENT;
	} else {
		tcp_pickup(track, &packet->tcp, SIDE_OPENER);
		*state = packet->tcp.flags & TCP_FIN ? TCP_FIN_WAIT : TCP_ESTABLISHED;
	}
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

static enum timeout segment_timeout(uint8_t state) {
	return (enum timeout)state; /* one order for both */
}

/* Half-closed connections are under CLOSING although data may still flow: the oldest go
 * first, and those that flow are never old. */
static enum worth segment_worth(uint8_t state) {
	switch (state) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return WORTH_HALF_OPEN;
	case TCP_ESTABLISHED:
		return WORTH_OPEN;
	default:
		return WORTH_CLOSING;
	}
}

/* Repeats of what did not lead on keep nothing alive. */
static bool segment_renews(uint8_t state) {
	return state != TCP_SYN_SENT && state != TCP_SYN_RECV && state != TCP_CLOSED;
}

/* Pseudo-connections: all that is known is whether the other side has spoken. */

static void pseudo_open(uint8_t *state, struct tcp_track *track, const struct packet *packet) {
	(void)packet;
	memset(track, 0, sizeof *track);
	*state = PSEUDO_NEW;
}

static enum reason pseudo_step(uint8_t *state, struct tcp_track *track, const struct packet *packet,
			       enum side side) {
	(void)track, (void)packet;
	if (side == SIDE_OTHER)
		*state = PSEUDO_REPLIED;
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

/* An answer proves nothing about addresses here (a forged query gets one too), and what
 * is forgotten too early the opener's next packet opens again. So none of these may
 * fill the table for good. */
static enum worth pseudo_worth(uint8_t state) {
	return state == PSEUDO_NEW ? WORTH_HALF_OPEN : WORTH_CLOSING;
}

static bool pseudo_renews(uint8_t state) {
	(void)state;
	return true;
}

static enum role datagram_role(const struct packet *packet) {
	(void)packet;
	return ROLE_OPENS;
}

static enum timeout udp_timeout(uint8_t state) {
	return state == PSEUDO_REPLIED ? TIMEOUT_UDP_STREAM : TIMEOUT_UDP;
}

static enum timeout other_timeout(uint8_t state) {
	(void)state;
	return TIMEOUT_OTHER;
}

static enum role icmp_role(const struct packet *packet) {
	uint8_t protocol = packet->tuple.protocol;
	if (icmp_is_query(protocol, packet->icmp_type))
		return ROLE_OPENS;
	return icmp_is_reply(protocol, packet->icmp_type) ? ROLE_ANSWER : ROLE_ALONE;
}

static enum timeout icmp_timeout(uint8_t state) {
	(void)state;
	return TIMEOUT_ICMP;
}

static const struct tracker tcp_tracker = {
    segment_role,    segment_open,    segment_step,  segment_relearn,
    segment_reopens, segment_timeout, segment_worth, segment_renews,
};

static const struct tracker udp_tracker = {
    datagram_role,  pseudo_open, pseudo_step,  pseudo_relearn,
    pseudo_reopens, udp_timeout, pseudo_worth, pseudo_renews,
};

static const struct tracker icmp_tracker = {
    icmp_role,      pseudo_open,  pseudo_step,  pseudo_relearn,
    pseudo_reopens, icmp_timeout, pseudo_worth, pseudo_renews,
};

static const struct tracker other_tracker = {
    datagram_role,  pseudo_open,   pseudo_step,  pseudo_relearn,
    pseudo_reopens, other_timeout, pseudo_worth, pseudo_renews,
};

const struct tracker *tracker_of(uint8_t protocol) {
	switch (protocol) {
	case PROTOCOL_TCP:
		return &tcp_tracker;
	case PROTOCOL_UDP:
		return &udp_tracker;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return &icmp_tracker;
	default:
		return &other_tracker;
	}
}
