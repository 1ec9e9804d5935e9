/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCP as a firewall beside the path sees it: the transition table as data, and the
 * window check. States follow RFC 9293 section 3.3.2, seen from outside; the window
 * check follows Guido van Rooij, "Real stateful TCP packet filtering in IP Filter"
 * (2000), as kernel net/netfilter/nf_conntrack_proto_tcp.c does.
 */
#ifndef SALLYPORT_CORE_TCP_H
#define SALLYPORT_CORE_TCP_H

#include "sallyport/core/packet.h"

enum tcp_state {
	TCP_SYN_SENT, /* the opener's SYN seen */
	TCP_SYN_RECV, /* SYN/ACK seen, or SYNs crossed (simultaneous open) */
	TCP_ESTABLISHED,
	TCP_FIN_WAIT,   /* the opener sent FIN first */
	TCP_CLOSE_WAIT, /* the other side sent FIN first */
	TCP_LAST_ACK,   /* both sent FIN, not yet acknowledged */
	TCP_TIME_WAIT,  /* both FINs acknowledged */
	TCP_CLOSED,     /* RST seen */
	TCP_STATES
};

/* Which side sent the segment. */
enum side { SIDE_OPENER, SIDE_OTHER };

/* One side's sequence space. All arithmetic is modulo 2^32 (RFC 9293 3.4). The largest window
 * that it advertised, in bytes, is `window` << `shift`, at least 1: a window is 16 bits shifted
 * by at most 14 (RFC 7323 2.3), so nothing is lost. Packed to 14 bytes, and there are two in
 * each connection: no pointer to a member may be taken. */
struct tcp_side {
	uint32_t end;     /* highest sequence number sent, plus one */
	uint32_t max_end; /* highest that the other side's window let it send */
	uint16_t window;
	uint16_t early;    /* bytes sent after its SYN before that was acknowledged (RFC 7413) */
	uint8_t shift : 4; /* of `window`, as small as it can be */
	uint8_t scale : 4; /* its window scale; holds only where both sides offered one */
	uint8_t flags;     /* enum side_flag, private to tcp*.c */
} __attribute__((packed, aligned(2)));

struct tcp_track {
	struct tcp_side sides[2]; /* by enum side */
};

const char *tcp_state_name(enum tcp_state state);              /* "SYN_SENT", ... */
bool tcp_state_parse(const char *name, enum tcp_state *state); /* any case, - for _ */

/* The opener's SYN. */
void tcp_open(struct tcp_track *track, const struct tcp_segment *syn);
/* Mid-stream: learns both sides' windows from what it sees, first segment by `side`.
 * The scale is unknown, so the window check of such a connection stays wide. */
void tcp_pickup(struct tcp_track *track, const struct tcp_segment *segment, enum side side);

/* Packets passed unseen: learns the windows again from this segment, so that tcp_step will
 * pass it, and keeps what is known of FINs. The other side's SYN/ACK where both have closed
 * begins another connection, whose SYN went by. False: any other SYN, or an RST, which teaches
 * nothing; the next segment must. */
bool tcp_relearn(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *segment,
		 enum side side);

/* Judges one segment of an open connection. REASON_NONE: it fits; *state and *track
 * are advanced. DROP_STATE or DROP_WINDOW: nothing is changed.
 * An RST moves to CLOSED where its sequence number is in the window. The receiving stack
 * judges whether it is exact (RFC 5961 section 3), so CLOSED still passes segments that
 * fit, and goes back to the state before it when the connection turns out to live: after a
 * guess inside the window as soon as the side that got the RST speaks (its challenge ACK),
 * after an RST right at the end of what its side had sent when both sides speak.
 * A SYN that starts a new connection is not judged here: see tcp_reopens. */
enum reason tcp_step(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *segment,
		     enum side side);

/* In SYN_SENT: a segment by the opener passes although the SYN/ACK has not been seen here, only let pass by
 * the kernel. The windows follow what it carries; the state waits for the SYN/ACK. */
void tcp_overtake(struct tcp_track *track, const struct tcp_segment *segment);

/* True where a pure SYN by `side` starts a new connection on the same 4-tuple:
 * TIME_WAIT, CLOSED by an exact RST, or SYN_SENT again by the opener with another ISN. */
bool tcp_reopens(enum tcp_state state, const struct tcp_track *track, const struct tcp_segment *segment,
		 enum side side);

/* Whether `side` may have sent a segment with this sequence number that an ICMP error can be about
 * (RFC 5927 4.1): one in flight, or repeated lately. */
bool tcp_has_sent(const struct tcp_track *track, uint32_t seq, enum side side);

static inline bool tcp_is_pure_syn(const struct tcp_segment *segment) {
	return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

#endif
