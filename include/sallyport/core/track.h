/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One small table of operations a protocol: how a connection of it opens and moves; and
 * what each state means for timeout and eviction. filter.c and table.c know protocols only
 * through this.
 */
#ifndef SALLYPORT_CORE_TRACK_H
#define SALLYPORT_CORE_TRACK_H

#include "sallyport/core/packet.h"
#include "sallyport/core/tcp.h"

/* Names for `timeout NAME DURATION` in the rules file, and the index into
 * struct timeouts. The TCP ones come first, in the order of enum tcp_state. */
enum timeout {
	TIMEOUT_SYN_SENT,
	TIMEOUT_SYN_RECV,
	TIMEOUT_ESTABLISHED,
	TIMEOUT_FIN_WAIT,
	TIMEOUT_CLOSE_WAIT,
	TIMEOUT_LAST_ACK,
	TIMEOUT_TIME_WAIT,
	TIMEOUT_CLOSED,
	TIMEOUT_UDP,        /* only one side has spoken */
	TIMEOUT_UDP_STREAM, /* both have */
	TIMEOUT_ICMP,
	TIMEOUT_OTHER, /* protocols without ports */
	TIMEOUTS
};

struct timeouts {
	uint32_t seconds[TIMEOUTS];
};

extern const struct timeouts default_timeouts;  /* each with its source in track.c */
const char *timeout_name(enum timeout timeout); /* "syn-sent", "udp-stream", ... */

/* States of protocols other than TCP: one side has spoken, or both have. They start after
 * enum tcp_state, so that one number holds either and alone tells timeout and worth. */
enum pseudo_state {
	UDP_NEW = TCP_STATES,
	UDP_REPLIED,
	ICMP_NEW,
	ICMP_REPLIED,
	OTHER_NEW, /* protocols without ports */
	OTHER_REPLIED,
	STATE_CUT, /* killed, or forbidden by new rules: remembered, so that what is left of it stays out */
	STATES
};

/* "SYN_SENT".. for TCP, "NEW", "REPLIED" for the rest, "CUT". */
const char *state_name(uint8_t state);
/* All states of that name, in any case: a bit (1 << state) each. 0: there is none. */
uint32_t states_named(const char *name);

/* How much an entry is worth when the table is full: the cheapest goes first. */
enum worth { WORTH_HALF_OPEN, WORTH_CLOSING, WORTH_OPEN, WORTHS };

enum timeout state_timeout(uint8_t state);
enum worth state_worth(uint8_t state);
/* Whether a packet that leaves the state as it is renews the timeout. */
bool state_renews(uint8_t state);
/* Whether a handshake is under way: TCP, SYN_SENT or SYN_RECV. */
bool state_is_opening(uint8_t state);
/* Whether data may flow: TCP, handshake complete and not closed by both sides. */
bool state_is_open(uint8_t state);
/* Whether nothing more is due: TCP, closed by both sides or by an RST. */
bool state_is_over(uint8_t state);
/* Whether a connection that ran out in this state may stand all the same: its packets may
 * have passed unseen, or none may have been due. The host's socket knows. */
bool state_is_doubtful(uint8_t state);

/* What a packet is when it belongs to no known connection. */
enum role {
	ROLE_OPENS,     /* may open one */
	ROLE_MIDSTREAM, /* of one opened unseen; with `pickup on` it may stand for the opening */
	ROLE_ANSWER,    /* of one opened unseen, and tells too little to take it up */
	ROLE_RESET,     /* says that there is none */
	ROLE_ALONE,     /* needs none: judged by itself and leaves no state */
};

struct tracker {
	enum role (*role)(const struct packet *packet);
	/* ROLE_OPENS, or ROLE_MIDSTREAM taken up: fills *track, returns the first state. */
	uint8_t (*open)(struct tcp_track *track, const struct packet *packet);
	/* As tcp_step. */
	enum reason (*step)(uint8_t *state, struct tcp_track *track, const struct packet *packet,
			    enum side side);
	/* As tcp_relearn. */
	bool (*relearn)(uint8_t *state, struct tcp_track *track, const struct packet *packet, enum side side);
	/* As tcp_reopens. */
	bool (*reopens)(uint8_t state, const struct tcp_track *track, const struct packet *packet,
			enum side side);
	/* Whether the packet inside this ICMP error is one that `side` may have sent lately. */
	bool (*sent)(const struct tcp_track *track, const struct packet *error, enum side side);
};

/* Never NULL: unknown protocols are tracked by their address pair. */
const struct tracker *tracker_of(uint8_t protocol);

#endif
