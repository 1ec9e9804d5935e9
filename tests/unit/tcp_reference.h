/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What core/tcp ought to do, said a second time and in another way: no table, but the two ends of a
 * connection, each a TCP of RFC 9293 of which is known what its own segments prove. Numbers are
 * positions of 64 bits, which do not wrap. It is slow and keeps nothing packed.
 */
#ifndef SALLYPORT_TESTS_TCP_REFERENCE_H
#define SALLYPORT_TESTS_TCP_REFERENCE_H

#include "sallyport/core/tcp.h"

/* RFC 9293 3.3.2. */
enum end_state {
	END_LISTEN, /* or CLOSED: it has said nothing yet */
	END_SYN_SENT,
	END_SYN_RECEIVED,
	END_ESTABLISHED,
	END_FIN_WAIT_1,
	END_FIN_WAIT_2,
	END_CLOSE_WAIT,
	END_CLOSING, /* or LAST-ACK: from outside they are the same */
	END_TIME_WAIT,
};

/* One end. Positions count from its first SYN's, which is its ISN. */
struct reference_end {
	bool has_spoken;
	bool syn_acknowledged, fin_sent, fin_acknowledged;
	int64_t iss;        /* where its SYN stands */
	int64_t sent;       /* one behind the last that it has sent: SND.NXT at the most */
	int64_t allowed;    /* one behind the last that its peer's window has ever let it send */
	int64_t widest;     /* window that it has advertised */
	int scale;          /* NO_SCALE: its SYNs have offered none */
	bool guessed;       /* met in mid-stream: `sent` and the windows are not known, only bounded */
	bool reset;         /* an RST should have silenced it, and so far it is silent */
	bool has_forgotten; /* it has sent a SYN into the connection, and nothing of the connection since */
};

struct reference {
	struct reference_end ends[2]; /* by enum side */
	bool closed;                  /* by an RST */
};

enum judgement { JUDGED_FIT, JUDGED_IMPOSSIBLE, JUDGED_OUTSIDE, JUDGED_NEW };

struct reference reference_open(const struct tcp_segment *syn);
struct reference reference_pickup(const struct tcp_segment *segment, enum side side);

/* FIT: passes, and the reference has followed. IMPOSSIBLE: no TCP in that state sends it. OUTSIDE: its
 * numbers do not fit. NEW: it does not belong to this connection, it begins another. */
enum judgement reference_judge(struct reference *reference, const struct tcp_segment *segment,
			       enum side side);

enum end_state reference_end_state(const struct reference *reference, enum side side);
/* What the states of the two ends are in the words of core/tcp. */
enum tcp_state reference_state(const struct reference *reference);

/* The sequence number of a position. */
uint32_t reference_number(int64_t position);

#endif
