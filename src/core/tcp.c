/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The states of a TCP connection seen from beside: the transition table, and what
 * surrounds it. Whether a segment fits the windows is tcp_window.c's to say.
 */
#include "sallyport/core/tcp.h"

#include <ctype.h>
#include <stddef.h>

#include "tcp_window.h"

enum segment_kind { SEGMENT_SYN, SEGMENT_SYN_ACK, SEGMENT_ACK, SEGMENT_FIN, SEGMENT_RST, SEGMENT_KINDS };

/* The cells: a state, or one of these two. */
enum cell {
	SS = TCP_SYN_SENT,
	SR = TCP_SYN_RECV,
	ES = TCP_ESTABLISHED,
	FW = TCP_FIN_WAIT,
	CW = TCP_CLOSE_WAIT,
	LA = TCP_LAST_ACK,
	TW = TCP_TIME_WAIT,
	CL = TCP_CLOSED,
	NO = TCP_STATES,     /* dropped: DROP_STATE */
	IG = TCP_STATES + 1, /* ignored: passes unchecked and teaches nothing; the receiver judges it */
};

/*
 * Where a segment that fits the windows leads. Three cells are completed by settle(): SR
 * becomes ESTABLISHED once both SYNs are acknowledged, LA becomes TIME_WAIT once both FINs
 * are, and CL goes back where the RST turns out not to have closed anything.
 *
 * The opener sends
 *
 *  SYN      SS: repeats its SYN, which nobody answered.
 *           SR..LA, CL: a repeated SYN whose SYN/ACK was lost, or the opener has lost its memory and
 *           starts again: the other side answers with an ACK (RFC 5961 4), which the
 *           opener answers with an RST, or with a SYN/ACK where it has forgotten too (see
 *           starts_over). The rules have allowed this opening on this very key.
 *           TW: another connection, see tcp_reopens.
 *  SYN/ACK  SR: simultaneous open. Later: repeated, since the answer was lost.
 *           SS: there is nothing that it could acknowledge.
 *  ACK      SR: completes the handshake. SS: nothing to acknowledge.
 *  FIN      the first one: FIN_WAIT, also right with the handshake's ACK. The second: LAST_ACK.
 *           Repeats stay where they are; those in TIME_WAIT mean that an ACK was lost.
 *  RST      CLOSED.
 *
 * The other side sends
 *
 *  SYN      SS: the SYNs crossed. SR: the same repeated. Later it would be a connection in
 *           the other direction, about which no rule has been asked.
 *  SYN/ACK  SS: answers. Later: repeated, since the opener's ACK was lost.
 *  ACK, FIN SS: it still has an old connection on this 4-tuple; the opener will reset that
 *           (RFC 9293 3.5.1). SR: data before the handshake is complete (RFC 7413).
 *           Then as the opener's, with CLOSE_WAIT in place of FIN_WAIT.
 *  RST      CLOSED.
 */
/* clang-format off */
static const uint8_t transitions[2][TCP_STATES][SEGMENT_KINDS] = {
	[SIDE_OPENER] = {
		/*                     SYN SYN/ACK ACK FIN RST */
		[TCP_SYN_SENT] =    { SS,   NO,   NO, NO, CL },
		[TCP_SYN_RECV] =    { IG,   SR,   SR, FW, CL },
		[TCP_ESTABLISHED] = { IG,   ES,   ES, FW, CL },
		[TCP_FIN_WAIT] =    { IG,   FW,   FW, FW, CL },
		[TCP_CLOSE_WAIT] =  { IG,   CW,   CW, LA, CL },
		[TCP_LAST_ACK] =    { IG,   LA,   LA, LA, CL },
		[TCP_TIME_WAIT] =   { NO,   TW,   TW, TW, CL },
		[TCP_CLOSED] =      { IG,   CL,   CL, CL, CL },
	},
	[SIDE_OTHER] = {
		/*                     SYN SYN/ACK ACK FIN RST */
		[TCP_SYN_SENT] =    { SR,   SR,   IG, IG, CL },
		[TCP_SYN_RECV] =    { SR,   SR,   SR, CW, CL },
		[TCP_ESTABLISHED] = { NO,   ES,   ES, CW, CL },
		[TCP_FIN_WAIT] =    { NO,   FW,   FW, LA, CL },
		[TCP_CLOSE_WAIT] =  { NO,   CW,   CW, CW, CL },
		[TCP_LAST_ACK] =    { NO,   LA,   LA, LA, CL },
		[TCP_TIME_WAIT] =   { NO,   TW,   TW, TW, CL },
		[TCP_CLOSED] =      { NO,   CL,   CL, CL, CL },
	},
};
/* clang-format on */

static const char *const names[TCP_STATES] = {
    [TCP_SYN_SENT] = "SYN_SENT",   [TCP_SYN_RECV] = "SYN_RECV",     [TCP_ESTABLISHED] = "ESTABLISHED",
    [TCP_FIN_WAIT] = "FIN_WAIT",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT", [TCP_LAST_ACK] = "LAST_ACK",
    [TCP_TIME_WAIT] = "TIME_WAIT", [TCP_CLOSED] = "CLOSED",
};

const char *tcp_state_name(enum tcp_state state) {
	return (size_t)state < TCP_STATES ? names[state] : "UNKNOWN";
}

static bool same_name(const char *text, const char *name) {
	for (; *text && *name; text++, name++) {
		char letter = *text == '-' ? '_' : *text;
		if (tolower((unsigned char)letter) != tolower((unsigned char)*name))
			return false;
	}
	return *text == *name;
}

bool tcp_state_parse(const char *name, enum tcp_state *state) {
	for (int i = 0; i < TCP_STATES; i++) {
		if (same_name(name, names[i])) {
			*state = (enum tcp_state)i;
			return true;
		}
	}
	return false;
}

static enum segment_kind kind_of(const struct tcp_segment *segment) {
	if (segment->flags & TCP_RST)
		return SEGMENT_RST;
	if (segment->flags & TCP_SYN)
		return segment->flags & TCP_ACK ? SEGMENT_SYN_ACK : SEGMENT_SYN;
	if (!(segment->flags & TCP_ACK))
		return SEGMENT_KINDS; /* packet_parse lets no such thing through */
	return segment->flags & TCP_FIN ? SEGMENT_FIN : SEGMENT_ACK;
}

/* The state that what is known of the two sides amounts to. */
static enum tcp_state state_of(const struct tcp_track *track) {
	uint8_t opener = track->sides[SIDE_OPENER].flags, other = track->sides[SIDE_OTHER].flags;
	uint8_t both = opener & other;
	if (!(other & SIDE_SEEN))
		return TCP_SYN_SENT;
	if (both & SIDE_FIN)
		return both & SIDE_FIN_ACKED ? TCP_TIME_WAIT : TCP_LAST_ACK;
	if (opener & SIDE_FIN)
		return TCP_FIN_WAIT;
	if (other & SIDE_FIN)
		return TCP_CLOSE_WAIT;
	return both & SIDE_SYN_ACKED ? TCP_ESTABLISHED : TCP_SYN_RECV;
}

static enum tcp_state settle(enum tcp_state next, const struct tcp_track *track) {
	bool mute = (track->sides[SIDE_OPENER].flags | track->sides[SIDE_OTHER].flags) & SIDE_MUTE;
	if (next == TCP_SYN_RECV || next == TCP_LAST_ACK || (next == TCP_CLOSED && !mute))
		return state_of(track);
	return next;
}

void tcp_open(struct tcp_track *track, const struct tcp_segment *syn) {
	*track = (struct tcp_track){0};
	window_advance(track, syn, SIDE_OPENER);
}

void tcp_pickup(struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	*track = (struct tcp_track){0};
	track->sides[side].end = segment_end(segment);
	track->sides[!side].end = segment->ack;
	for (int i = 0; i < 2; i++) {
		track->sides[i].max_end = track->sides[i].end;
		track->sides[i].flags = SIDE_SEEN | SIDE_SYN_ACKED;
	}
	window_loosen(track);
	if (segment->flags & TCP_FIN)
		track->sides[side].flags |= SIDE_FIN;
}

/* Where the sides are is not known, so no RST can be refused, nor taken for exact. */
static void expect_reset(struct tcp_track *track, const struct tcp_segment *reset, enum side side) {
	if (track->sides[SIDE_OPENER].flags & track->sides[SIDE_OTHER].flags & SIDE_SEEN) {
		window_loosen(track);
	} else {
		tcp_pickup(track, reset, side);
		track->sides[side].end++;
	}
}

/* Of what an earlier daemon has seen only the state is left: it tells who has sent FIN. */
static void recall_fins(enum tcp_state state, struct tcp_track *track) {
	bool both = state == TCP_LAST_ACK || state == TCP_TIME_WAIT;
	if (both || state == TCP_FIN_WAIT)
		track->sides[SIDE_OPENER].flags |= SIDE_FIN;
	if (both || state == TCP_CLOSE_WAIT)
		track->sides[SIDE_OTHER].flags |= SIDE_FIN;
}

/* What the SYN said of windows is not known. */
static void start_over(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *syn_ack) {
	tcp_pickup(track, syn_ack, SIDE_OTHER);
	track->sides[SIDE_OTHER].early = (uint16_t)syn_ack->length;
	track->sides[SIDE_OTHER].flags &= (uint8_t)~SIDE_SYN_ACKED;
	*state = TCP_SYN_RECV;
}

static bool knows_nothing(const struct tcp_track *track) {
	return !((track->sides[SIDE_OPENER].flags | track->sides[SIDE_OTHER].flags) & SIDE_SEEN);
}

/* Of what is over nobody sends one: the SYN that it answers has passed unseen. Of what is open it may be a
 * repeat, and where nothing is known of that its receiver judges it. */
static bool relearn_answer(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *syn_ack,
			   enum side side) {
	bool over = *state == TCP_LAST_ACK || *state == TCP_TIME_WAIT;
	bool unknown = knows_nothing(track);
	if (side == SIDE_OTHER && (over || (unknown && *state == TCP_SYN_RECV))) {
		start_over(state, track, syn_ack);
		return true;
	}
	if (unknown)
		tcp_pickup(track, syn_ack, side);
	return false;
}

bool tcp_relearn(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *segment,
		 enum side side) {
	enum { KEPT = SIDE_FIN | SIDE_FIN_ACKED | SIDE_MUTE };
	enum segment_kind kind = kind_of(segment);
	if (kind == SEGMENT_RST)
		expect_reset(track, segment, side);
	if (kind == SEGMENT_SYN_ACK)
		return relearn_answer(state, track, segment, side);
	if (kind != SEGMENT_ACK && kind != SEGMENT_FIN)
		return false;
	uint8_t kept[2] = {track->sides[0].flags & KEPT, track->sides[1].flags & KEPT};
	tcp_pickup(track, segment, side);
	track->sides[0].flags |= kept[0];
	track->sides[1].flags |= kept[1];
	recall_fins(*state, track);
	if (*state == TCP_SYN_SENT || *state == TCP_SYN_RECV)
		*state = TCP_ESTABLISHED;
	return true;
}

static enum reason step_reset(enum tcp_state *state, struct tcp_track *track,
			      const struct tcp_segment *segment, enum side side) {
	/* The opener ends an old connection that the other side still has (RFC 9293 3.5.1). */
	bool clears_old = *state == TCP_SYN_SENT && side == SIDE_OPENER;
	if (!window_fits_reset(track, segment, side))
		return clears_old ? REASON_NONE : DROP_WINDOW;
	track->sides[!side].flags |= SIDE_MUTE;
	if (window_reset_is_exact(track, segment, side))
		track->sides[side].flags |= SIDE_MUTE;
	*state = TCP_CLOSED;
	return REASON_NONE;
}

/* The other side answers a SYN that came into the open connection with a SYN/ACK: so both
 * have forgotten that connection. */
static bool starts_over(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	return kind_of(segment) == SEGMENT_SYN_ACK && side == SIDE_OTHER && segment->length <= UINT16_MAX &&
	       track->sides[SIDE_OPENER].flags & SIDE_NEW_SYN;
}

/* In SYN_RECV a repeated SYN is the plain case, and a SYN/ACK that answers it fits. */
static void ignore_syn(enum tcp_state state, struct tcp_track *track, const struct tcp_segment *syn,
		       enum side side) {
	if (state != TCP_SYN_RECV || !window_repeats_syn(track, syn, side))
		track->sides[side].flags |= SIDE_NEW_SYN;
}

enum reason tcp_step(enum tcp_state *state, struct tcp_track *track, const struct tcp_segment *segment,
		     enum side side) {
	enum segment_kind kind = kind_of(segment);
	uint8_t next = kind == SEGMENT_KINDS ? (uint8_t)NO : transitions[side][*state][kind];
	if (next == NO)
		return DROP_STATE;
	if (next == IG) {
		if (kind == SEGMENT_SYN)
			ignore_syn(*state, track, segment, side);
		return REASON_NONE;
	}
	if (kind == SEGMENT_RST)
		return step_reset(state, track, segment, side);
	if (!window_fits(track, segment, side)) {
		if (!starts_over(track, segment, side))
			return DROP_WINDOW;
		start_over(state, track, segment);
		return REASON_NONE;
	}
	window_advance(track, segment, side);
	track->sides[side].flags &= (uint8_t) ~(SIDE_MUTE | SIDE_NEW_SYN);
	*state = settle((enum tcp_state)next, track);
	return REASON_NONE;
}

void tcp_overtake(struct tcp_track *track, const struct tcp_segment *segment) {
	window_learn_early(track, segment, SIDE_OPENER);
}

bool tcp_reopens(enum tcp_state state, const struct tcp_track *track, const struct tcp_segment *segment,
		 enum side side) {
	if (!tcp_is_pure_syn(segment))
		return false;
	const struct tcp_side *sides = track->sides;
	switch (state) {
	case TCP_TIME_WAIT:
		return true;
	case TCP_CLOSED: /* not after a guessed RST: two forged packets must not end a connection */
		return sides[SIDE_OPENER].flags & sides[SIDE_OTHER].flags & SIDE_MUTE;
	case TCP_SYN_SENT:
		return side == SIDE_OPENER && !window_repeats_syn(track, segment, side);
	default:
		return false;
	}
}
