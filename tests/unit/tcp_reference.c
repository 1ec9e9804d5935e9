/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The reference for core/tcp. Each rule names its section of RFC 9293, or begins with "Differs" where the
 * firewall, which stands between, must or may do something else than an end does.
 *
 * Differs, throughout: an end knows what it has received; we know only what was sent, and it may be
 * lost behind us. So what an end would take is not one window but every window that it may have now.
 */
#include "tcp_reference.h"

enum {
	NO_SCALE = -1,
	LATE = 66000, /* a copy this late is no attack, however small the windows are */
	LARGEST_SYN = 65535,
};

static const int64_t WIDEST = 65535 << 14; /* RFC 7323 2.3 */

/* ---- numbers ---- */

uint32_t reference_number(int64_t position) {
	return (uint32_t)(uint64_t)position;
}

/* RFC 9293 3.4: of all positions with this number, the one closest to `near`. */
static int64_t position_of(uint32_t number, int64_t near) {
	int64_t position = near - reference_number(near) + number;
	if (position - near > INT32_MAX)
		position -= INT64_C(1) << 32;
	if (position - near < INT32_MIN)
		position += INT64_C(1) << 32;
	return position;
}

static bool lies_in(int64_t position, int64_t first, int64_t last) {
	return first <= position && position <= last;
}

static int64_t larger(int64_t left, int64_t right) {
	return left > right ? left : right;
}

/* ---- segments ---- */

/* A segment, with places in both streams in place of numbers. */
struct placed {
	enum side side;
	bool syn, fin, rst, acks;
	int64_t from, to; /* SEG.SEQ, and one behind the last that it occupies */
	int64_t ack;
	int64_t payload, window;
	int scale;
};

static struct placed place(const struct reference *reference, const struct tcp_segment *segment,
			   enum side side) {
	const struct reference_end *sender = &reference->ends[side], *receiver = &reference->ends[!side];
	struct placed placed = {
	    .side = side,
	    .syn = segment->flags & TCP_SYN,
	    .fin = segment->flags & TCP_FIN,
	    .rst = segment->flags & TCP_RST,
	    .acks = segment->flags & TCP_ACK,
	    .from = sender->has_spoken ? position_of(segment->seq, sender->sent) : segment->seq,
	    .ack = receiver->has_spoken ? position_of(segment->ack, receiver->sent) : segment->ack,
	    .payload = segment->length,
	    .window = segment->window,
	    .scale = segment->scale_permitted ? segment->scale : NO_SCALE,
	};
	placed.to = placed.from + placed.payload + placed.syn + placed.fin;
	return placed;
}

/* RFC 7323 2.2: the window of a SYN is never scaled, that of others where both SYNs had the option.
 * RFC 9293 3.8.6.1: of a closed window one byte is tried. */
static int64_t advertised(const struct reference *reference, const struct placed *segment) {
	bool scales = reference->ends[SIDE_OPENER].scale != NO_SCALE &&
		      reference->ends[SIDE_OTHER].scale != NO_SCALE && !segment->syn;
	return larger(segment->window << (scales ? reference->ends[segment->side].scale : 0), 1);
}

/* ---- what the ends are known to be ---- */

enum end_state reference_end_state(const struct reference *reference, enum side side) {
	const struct reference_end *end = &reference->ends[side], *peer = &reference->ends[!side];
	if (!end->has_spoken)
		return END_LISTEN;
	if (end->fin_sent && end->fin_acknowledged)
		return peer->fin_acknowledged ? END_TIME_WAIT : END_FIN_WAIT_2;
	if (end->fin_sent)
		return peer->fin_acknowledged ? END_CLOSING : END_FIN_WAIT_1;
	if (peer->fin_acknowledged)
		return END_CLOSE_WAIT;
	if (end->syn_acknowledged && peer->syn_acknowledged)
		return END_ESTABLISHED;
	return peer->syn_acknowledged ? END_SYN_RECEIVED : END_SYN_SENT;
}

static bool has_closed(enum end_state end) {
	return end == END_FIN_WAIT_1 || end == END_FIN_WAIT_2 || end == END_CLOSING || end == END_TIME_WAIT;
}

enum tcp_state reference_state(const struct reference *reference) {
	enum end_state opener = reference_end_state(reference, SIDE_OPENER);
	enum end_state other = reference_end_state(reference, SIDE_OTHER);
	if (reference->closed)
		return TCP_CLOSED;
	if (other == END_LISTEN)
		return TCP_SYN_SENT;
	if (has_closed(opener) && has_closed(other))
		return opener == END_TIME_WAIT && other == END_TIME_WAIT ? TCP_TIME_WAIT : TCP_LAST_ACK;
	if (has_closed(opener))
		return TCP_FIN_WAIT;
	if (has_closed(other))
		return TCP_CLOSE_WAIT;
	return opener == END_ESTABLISHED && other == END_ESTABLISHED ? TCP_ESTABLISHED : TCP_SYN_RECV;
}

/* ---- what a segment that fits teaches ---- */

static void learn_syn(struct reference *reference, const struct placed *syn) {
	struct reference_end *sender = &reference->ends[syn->side], *receiver = &reference->ends[!syn->side];
	int64_t data = syn->payload;
	/* RFC 7413: data sent with the SYN may be left out when it is repeated. It has been sent all the
	 * same. */
	if (sender->has_spoken && sender->iss == syn->from)
		data = larger(data, sender->sent - sender->iss - 1);
	sender->has_spoken = true;
	sender->iss = syn->from;
	sender->sent = syn->from + 1 + data;
	sender->allowed = syn->from + 1 + larger(receiver->has_spoken ? receiver->widest : 0, data);
	/* Differs: a SYN repeated without the option takes nothing back. The first may have arrived. */
	if (syn->scale != NO_SCALE)
		sender->scale = syn->scale;
	/* RFC 9293 3.5, figure 7: SYNs that cross tell a window, but acknowledge nothing. */
	if (receiver->has_spoken && !syn->acks)
		receiver->allowed = larger(receiver->allowed, receiver->iss + 1 + syn->window);
}

static void learn_ack(struct reference *reference, const struct placed *segment) {
	struct reference_end *receiver = &reference->ends[!segment->side];
	if (receiver->guessed)
		receiver->sent = larger(receiver->sent, segment->ack);
	receiver->allowed = larger(receiver->allowed, segment->ack + advertised(reference, segment));
	receiver->syn_acknowledged = true;
	/* Differs: an end knows where its FIN stands. We know how far it has sent, which is the same unless
	 * it sends behind its FIN, as no TCP does; then LAST_ACK runs out in place of TIME_WAIT, as late. */
	if (receiver->fin_sent && segment->ack == receiver->sent)
		receiver->fin_acknowledged = true;
}

static void learn(struct reference *reference, const struct placed *segment) {
	struct reference_end *sender = &reference->ends[segment->side];
	if (segment->syn && !sender->syn_acknowledged)
		learn_syn(reference, segment);
	/* RFC 9293 3.10.7.4, fourth: a SYN behind the SYN is answered, but nothing that it carries is taken.
	 */
	if (!segment->syn)
		sender->sent = larger(sender->sent, segment->to);
	sender->widest = larger(sender->widest, advertised(reference, segment));
	sender->fin_sent |= segment->fin;
	if (segment->acks)
		learn_ack(reference, segment);
	sender->reset = sender->has_forgotten = false;
	if (!reference->ends[SIDE_OPENER].reset && !reference->ends[SIDE_OTHER].reset)
		reference->closed = false;
}

/* ---- whether the numbers fit ---- */

static int64_t late(const struct reference_end *receiver) {
	return larger(receiver->widest, LATE);
}

static bool syn_fits(const struct reference *reference, const struct placed *syn) {
	const struct reference_end *sender = &reference->ends[syn->side];
	const struct reference_end *receiver = &reference->ends[!syn->side];
	if (syn->payload > LARGEST_SYN)
		return false;
	/* RFC 9293 3.8.1: what is repeated is the same. Differs: a server may keep nothing of a SYN that it
	 * has answered (RFC 4987 3.6), so that it answers the next with another ISN. */
	bool another = syn->side == SIDE_OTHER && syn->acks && syn->ack == receiver->sent;
	return !sender->has_spoken || syn->from == sender->iss || another;
}

/* RFC 9293 3.10.7.4, first: the four cases of what is acceptable. Differs: a segment that begins in the
 * window and ends behind it passes, the receiver cuts it; so does one byte behind a closed window, which is a
 * probe; and what was acknowledged may come once more, as a keep-alive or as a late copy. */
static bool sequence_fits(const struct reference *reference, const struct placed *segment) {
	const struct reference_end *sender = &reference->ends[segment->side];
	const struct reference_end *receiver = &reference->ends[!segment->side];
	if (!sender->has_spoken || (segment->syn && !sender->syn_acknowledged))
		return segment->syn && syn_fits(reference, segment);
	/* RFC 7413, and 9293 3.10.7.2: as long as its SYN is not acknowledged, it sends behind its SYN, and
	 * no more than the peer's SYN has let it, whose window had no scale. */
	if (!sender->syn_acknowledged && !lies_in(segment->to - sender->iss - 1, 0, LARGEST_SYN))
		return false;
	return segment->from <= sender->allowed && segment->to >= sender->sent - late(receiver);
}

/* RFC 9293 3.10.7.3, first, and 3.10.7.4, fifth: in SYN-SENT and SYN-RECEIVED SND.UNA < SEG.ACK =< SND.NXT.
 * Later RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT. Differs: SND.UNA of the receiver may lie a
 * window behind what it has sent. */
static bool ack_fits(const struct reference *reference, const struct placed *segment) {
	const struct reference_end *sender = &reference->ends[segment->side];
	const struct reference_end *receiver = &reference->ends[!segment->side];
	if (!receiver->has_spoken)
		return false;
	if (!receiver->syn_acknowledged)
		return lies_in(segment->ack, receiver->iss + 1, receiver->sent);
	return lies_in(segment->ack, receiver->sent - 2 * late(sender),
		       receiver->guessed ? receiver->allowed : receiver->sent);
}

static bool numbers_fit(const struct reference *reference, const struct placed *segment) {
	return (!segment->acks || ack_fits(reference, segment)) && sequence_fits(reference, segment);
}

/* ---- RST ---- */

/* RFC 9293 3.10.7.3, second: in SYN-SENT a RST is good where it acknowledges the SYN, whatever its sequence
 * number. Differs: with SYN/ACK seen and not answered the receiver may still be in SYN-SENT. */
static bool refuses_syn(const struct reference *reference, const struct placed *reset) {
	const struct reference_end *sender = &reference->ends[reset->side];
	const struct reference_end *receiver = &reference->ends[!reset->side];
	if (!receiver->has_spoken || !reset->acks)
		return false;
	if (!receiver->syn_acknowledged)
		return lies_in(reset->ack, receiver->iss + 1, receiver->sent);
	return !sender->syn_acknowledged && reset->ack == receiver->sent;
}

/* RFC 9293 3.10.7.4, second, with RFC 5961 3.2: in the window it is obeyed or challenged. */
static bool reset_fits(const struct reference *reference, const struct placed *reset) {
	const struct reference_end *sender = &reference->ends[reset->side];
	const struct reference_end *receiver = &reference->ends[!reset->side];
	if (refuses_syn(reference, reset))
		return true;
	if (!sender->has_spoken)
		return false;
	if (!receiver->has_spoken)
		return lies_in(reset->from, sender->iss, sender->sent);
	return lies_in(reset->from, sender->sent - receiver->widest, larger(sender->allowed, sender->sent));
}

/* RFC 5961 3.2: only SEG.SEQ = RCV.NXT ends the connection at once. */
static bool reset_is_exact(const struct reference *reference, const struct placed *reset) {
	return refuses_syn(reference, reset) || !reference->ends[!reset->side].has_spoken ||
	       reset->from == reference->ends[reset->side].sent;
}

static enum judgement judge_reset(struct reference *reference, const struct placed *reset) {
	if (!reset_fits(reference, reset)) {
		/* RFC 9293 3.5.1: the opener's answer to what is left of an older connection. */
		bool older = reset->side == SIDE_OPENER && reference_state(reference) == TCP_SYN_SENT;
		return older ? JUDGED_FIT : JUDGED_OUTSIDE;
	}
	reference->ends[!reset->side].reset = true;
	if (reset_is_exact(reference, reset))
		reference->ends[reset->side].reset = true;
	reference->closed = true;
	return JUDGED_FIT;
}

/* ---- SYN ---- */

/* RFC 9293 3.6.1 (TIME-WAIT) and 3.5.1 (the opener has forgotten its SYN and sends another). Differs: after
 * an RST only where it was exact, since two forged packets must not end a connection. */
static bool begins_another(const struct reference *reference, const struct placed *syn) {
	const struct reference_end *ends = reference->ends;
	switch (reference_state(reference)) {
	case TCP_TIME_WAIT:
		return true;
	case TCP_CLOSED:
		return ends[SIDE_OPENER].reset && ends[SIDE_OTHER].reset;
	case TCP_SYN_SENT:
		return syn->side == SIDE_OPENER && syn->from != ends[SIDE_OPENER].iss;
	default:
		return false;
	}
}

static enum judgement judge_syn(struct reference *reference, const struct placed *syn) {
	enum tcp_state state = reference_state(reference);
	bool opening = state == TCP_SYN_SENT || (state == TCP_SYN_RECV && syn->side == SIDE_OTHER);
	if (begins_another(reference, syn))
		return JUDGED_NEW;
	if (opening) { /* repeated, or crossing the opener's: RFC 9293 3.5, figure 7 */
		if (!numbers_fit(reference, syn))
			return JUDGED_OUTSIDE;
		learn(reference, syn);
		return JUDGED_FIT;
	}
	/* RFC 9293 3.10.7.4, fourth: the other end answers with an ACK and stays as it is. The rules have let
	 * the opener open this; they have not been asked about the other direction. */
	if (syn->side == SIDE_OTHER)
		return JUDGED_IMPOSSIBLE;
	reference->ends[SIDE_OPENER].has_forgotten |=
	    state != TCP_SYN_RECV || syn->from != reference->ends[SIDE_OPENER].iss;
	return JUDGED_FIT;
}

/* ---- the rest: what acknowledges ---- */

/* RFC 9293 3.5.1, figure 9: both ends have forgotten, and the SYN is answered by a SYN/ACK. Differs: what the
 * SYN said has not been kept, so the windows are guessed. */
static void begin_anew(struct reference *reference, const struct placed *syn_ack) {
	*reference = (struct reference){0};
	struct reference_end *server = &reference->ends[SIDE_OTHER], *client = &reference->ends[SIDE_OPENER];
	for (int i = 0; i < 2; i++)
		reference->ends[i] = (struct reference_end){
		    .has_spoken = true, .guessed = true, .widest = WIDEST, .scale = 14};
	server->iss = syn_ack->from;
	server->sent = syn_ack->to;
	server->allowed = server->sent + WIDEST;
	client->sent = syn_ack->ack;
	client->iss = client->sent - 1;
	client->allowed = client->sent + WIDEST;
	client->syn_acknowledged = true;
}

/* Which end can send that at all. */
static bool is_possible(const struct reference *reference, const struct placed *segment) {
	/* RFC 9293 3.10.7.3: before it has heard anything there is nothing that it could acknowledge. */
	return reference_end_state(reference, !segment->side) != END_LISTEN || reference->closed;
}

/* RFC 9293 3.5.1, figure 10: still in an older connection, as the answer to the opener's SYN shows. */
static bool is_of_an_older_one(const struct reference *reference, const struct placed *segment) {
	return reference_state(reference) == TCP_SYN_SENT && segment->side == SIDE_OTHER && !segment->syn;
}

static enum judgement judge_acknowledging(struct reference *reference, const struct placed *segment) {
	if (!is_possible(reference, segment))
		return JUDGED_IMPOSSIBLE;
	if (is_of_an_older_one(reference, segment))
		return JUDGED_FIT;
	if (numbers_fit(reference, segment)) {
		learn(reference, segment);
		return JUDGED_FIT;
	}
	bool anew = segment->syn && segment->side == SIDE_OTHER && segment->payload <= LARGEST_SYN &&
		    reference->ends[SIDE_OPENER].has_forgotten;
	if (!anew)
		return JUDGED_OUTSIDE;
	begin_anew(reference, segment);
	return JUDGED_FIT;
}

enum judgement reference_judge(struct reference *reference, const struct tcp_segment *segment,
			       enum side side) {
	struct placed placed = place(reference, segment, side);
	if (placed.rst)
		return judge_reset(reference, &placed);
	if (placed.syn && !placed.acks)
		return judge_syn(reference, &placed);
	/* RFC 9293 3.10.7.4, fifth: without ACK it is dropped. */
	return placed.acks ? judge_acknowledging(reference, &placed) : JUDGED_IMPOSSIBLE;
}

struct reference reference_open(const struct tcp_segment *syn) {
	struct reference reference = {.ends = {{.scale = NO_SCALE}, {.scale = NO_SCALE}}};
	struct placed placed = place(&reference, syn, SIDE_OPENER);
	learn(&reference, &placed);
	return reference;
}

/* Not of RFC 9293: a connection met in mid-stream. Its first segment is believed, its windows are guessed. */
struct reference reference_pickup(const struct tcp_segment *segment, enum side side) {
	struct reference reference = {.closed = false};
	struct placed placed = place(&reference, segment, side);
	const int64_t sent[2] = {placed.to, placed.ack};
	for (int i = 0; i < 2; i++)
		reference.ends[i == 0 ? side : !side] = (struct reference_end){
		    .has_spoken = true,
		    .syn_acknowledged = true,
		    .fin_sent = i == 0 && placed.fin,
		    .iss = sent[i] - 1,
		    .sent = sent[i],
		    .allowed = sent[i] + WIDEST,
		    .widest = WIDEST,
		    .scale = 14,
		    .guessed = true,
		};
	return reference;
}
