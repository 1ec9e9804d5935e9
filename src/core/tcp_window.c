/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The window check after van Rooij. A segment of side S to side R fits where
 *
 *   1. it starts no later than R's window lets S send     seq <= S.max_end
 *   2. it is not older than what S may still repeat       seq + length >= S.end - max(R.max_window, 66000)
 *   3. it acknowledges nothing that R has not sent        ack <= R.end
 *   4. nor something R has forgotten long ago             ack >= R.end - 2 max(S.max_window, 66000)
 *
 * 1 takes the start, not the end: a probe of a closed window lies one byte behind it, and
 * the receiver cuts what is too much. 2 lets keep-alives through, which repeat the last
 * byte. 4 is for data that was overtaken by much and is still wanted: RFC 5961 5.2 has R
 * take what acknowledges no less than one window before the last, and R.end is one window
 * behind that at most. 66000: the largest unscaled window and a bit, so that small windows do not
 * make late copies look like attacks; the receiver ignores them. Until a SYN is acknowledged there is nothing
 * to be lenient about: the acknowledgment has to cover it, and a repeated SYN has to be the same.
 */
#include "tcp_window.h"

enum {
	OVERTAKEN = 66000,
	WIDEST = 65535 << 14, /* RFC 7323 2.3 */
};

/* Modulo 2^32: whether `left` comes before `right`. */
static bool before(uint32_t left, uint32_t right) {
	return (int32_t)(left - right) < 0;
}

static uint32_t later(uint32_t left, uint32_t right) {
	return before(left, right) ? right : left;
}

static bool within(uint32_t number, uint32_t first, uint32_t last) {
	return number - first <= last - first;
}

uint32_t segment_end(const struct tcp_segment *segment) {
	uint32_t flags = (segment->flags & TCP_SYN ? 1 : 0) + (segment->flags & TCP_FIN ? 1 : 0);
	return segment->seq + segment->length + flags;
}

/* How far in front of what the side has sent. With the widest windows the two ends of what fits lie
 * more than 2^31 apart, but neither so far from here. */
static int32_t ahead(const struct tcp_side *side, uint32_t number) {
	return (int32_t)(number - side->end);
}

/* The sequence number right behind the SYN. Only until the SYN is acknowledged. */
static uint32_t syn_end(const struct tcp_side *side) {
	return side->end - side->early;
}

static uint32_t max_window(const struct tcp_side *side) {
	return (uint32_t)side->window << side->shift;
}

/* Exact for what a segment can say: its window has 16 bits, and the shift found here is no
 * larger than the scale that shifted it. */
static void set_max_window(struct tcp_side *side, uint32_t window) {
	uint8_t shift = 0;
	while (window >> shift > UINT16_MAX)
		shift++;
	side->window = (uint16_t)(window >> shift);
	side->shift = shift;
}

/* How far back is not too late. */
static uint32_t reach(const struct tcp_side *side) {
	return max_window(side) > OVERTAKEN ? max_window(side) : OVERTAKEN;
}

/* Windows of SYNs are never scaled (RFC 7323 2.2). */
static uint32_t window_of(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	bool scaled = !(segment->flags & TCP_SYN) && track->sides[SIDE_OPENER].flags & SIDE_SCALE &&
		      track->sides[SIDE_OTHER].flags & SIDE_SCALE;
	uint32_t window = scaled ? (uint32_t)segment->window << track->sides[side].scale : segment->window;
	return window ? window : 1; /* one byte as a probe */
}

static bool may_be_syn(const struct tcp_side *side, const struct tcp_segment *segment) {
	return segment->flags & TCP_SYN && !(side->flags & SIDE_SYN_ACKED);
}

bool window_repeats_syn(const struct tcp_track *track, const struct tcp_segment *syn, enum side side) {
	return syn->seq + 1 == syn_end(&track->sides[side]);
}

static bool sequence_fits(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	const struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	uint32_t end = segment_end(segment);
	if (!(sender->flags & SIDE_SEEN))
		return segment->flags & TCP_SYN && segment->length <= UINT16_MAX;
	if (may_be_syn(sender, segment)) {
		/* A server that has forgotten its first SYN/ACK answers a repeated SYN with another. */
		bool again = side == SIDE_OTHER && segment->flags & TCP_ACK && segment->ack == receiver->end;
		return segment->length <= UINT16_MAX && (again || window_repeats_syn(track, segment, side));
	}
	if (!(sender->flags & SIDE_SYN_ACKED) && end - syn_end(sender) > UINT16_MAX)
		return false; /* more than the other SYN's window lets it send */
	return ahead(sender, segment->seq) <= ahead(sender, sender->max_end) &&
	       ahead(sender, end) >= -(int32_t)reach(receiver);
}

static bool ack_fits(const struct tcp_track *track, uint32_t ack, enum side side) {
	const struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	if (!(receiver->flags & SIDE_SEEN))
		return false;
	if (!(receiver->flags & SIDE_SYN_ACKED))
		return within(ack, syn_end(receiver), receiver->end);
	uint32_t last = receiver->flags & SIDE_LOOSE ? receiver->max_end : receiver->end;
	return within(ack, receiver->end - 2 * reach(sender), last);
}

bool window_fits(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	if (segment->flags & TCP_ACK && !ack_fits(track, segment->ack, side))
		return false;
	return sequence_fits(track, segment, side);
}

static void learn_syn(struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	uint16_t early = (uint16_t)segment->length;
	/* A SYN with data may be repeated without. */
	if (sender->flags & SIDE_SEEN && window_repeats_syn(track, segment, side) && sender->early > early)
		early = sender->early;
	sender->early = early;
	sender->end = segment->seq + 1 + early;
	uint32_t window = receiver->flags & SIDE_SEEN ? max_window(receiver) : 0;
	sender->max_end = segment->seq + 1 + (window > early ? window : early);
	sender->flags |= SIDE_SEEN;
	if (segment->scale_permitted) {
		sender->scale = segment->scale;
		sender->flags |= SIDE_SCALE;
	}
	/* Crossing SYNs acknowledge nothing, but tell the window. */
	if (receiver->flags & SIDE_SEEN && !(segment->flags & TCP_ACK))
		receiver->max_end = later(receiver->max_end, syn_end(receiver) + segment->window);
}

static void learn_data(struct tcp_side *sender, const struct tcp_segment *segment) {
	uint32_t end = segment_end(segment);
	if (!before(sender->end, end))
		return;
	if (!(sender->flags & SIDE_SYN_ACKED))
		sender->early = (uint16_t)(end - syn_end(sender));
	sender->end = end;
}

void window_learn_early(struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	struct tcp_side *sender = &track->sides[side];
	uint32_t first = syn_end(sender), last = first + UINT16_MAX;
	if (!(sender->flags & SIDE_SYN_ACKED) && within(segment->seq, first, last) &&
	    within(segment_end(segment), first, last))
		learn_data(sender, segment);
}

static void raise_max_end(struct tcp_side *side, uint32_t max_end) {
	if (ahead(side, side->max_end) < ahead(side, max_end))
		side->max_end = max_end;
}

static void learn_ack(struct tcp_side *receiver, const struct tcp_segment *segment, uint32_t window) {
	if (receiver->flags & SIDE_LOOSE)
		receiver->end = later(receiver->end, segment->ack); /* it must have sent it */
	raise_max_end(receiver, segment->ack + window);
	receiver->flags |= SIDE_SYN_ACKED;
	if (receiver->flags & SIDE_FIN && segment->ack == receiver->end)
		receiver->flags |= SIDE_FIN_ACKED;
}

void window_advance(struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	if (may_be_syn(sender, segment))
		learn_syn(track, segment, side);
	else if (!(segment->flags & TCP_SYN)) /* else its receiver takes nothing (RFC 9293 3.10.7.4) */
		learn_data(sender, segment);
	uint32_t window = window_of(track, segment, side);
	if (window > max_window(sender))
		set_max_window(sender, window);
	if (segment->flags & TCP_FIN)
		sender->flags |= SIDE_FIN;
	if (segment->flags & TCP_ACK)
		learn_ack(receiver, segment, window);
}

/* RFC 9293 3.10.7.3: an RST that answers a SYN is good where it acknowledges it. */
static bool answers_syn(const struct tcp_track *track, const struct tcp_segment *reset, enum side side) {
	const struct tcp_side *receiver = &track->sides[!side];
	if (!(reset->flags & TCP_ACK))
		return false;
	if (!(receiver->flags & SIDE_SYN_ACKED))
		return within(reset->ack, syn_end(receiver), receiver->end);
	return !(track->sides[side].flags & SIDE_SYN_ACKED) && reset->ack == receiver->end;
}

bool window_fits_reset(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	const struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	if (receiver->flags & SIDE_SEEN && answers_syn(track, segment, side))
		return true;
	if (!(sender->flags & SIDE_SEEN))
		return false;
	if (!(receiver->flags & SIDE_SEEN))
		return within(segment->seq, syn_end(sender) - 1, sender->end);
	/* What began inside the window may have ended behind it. */
	uint32_t last = later(sender->max_end, sender->end);
	return within(segment->seq, sender->end - max_window(receiver), last);
}

bool window_reset_is_exact(const struct tcp_track *track, const struct tcp_segment *segment, enum side side) {
	const struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	if (receiver->flags & SIDE_SEEN && answers_syn(track, segment, side))
		return true;
	return !(receiver->flags & SIDE_SEEN) || segment->seq == sender->end;
}

bool tcp_has_sent(const struct tcp_track *track, uint32_t seq, enum side side) {
	const struct tcp_side *sender = &track->sides[side], *receiver = &track->sides[!side];
	if (!(sender->flags & SIDE_SEEN))
		return false;
	if (!(sender->flags & SIDE_SYN_ACKED))
		return within(seq, syn_end(sender) - 1, sender->end);
	uint32_t last = sender->flags & SIDE_LOOSE ? sender->max_end : sender->end;
	return within(seq, sender->end - reach(receiver), last);
}

static void loosen_side(struct tcp_side *side) {
	set_max_window(side, WIDEST);
	side->scale = 14;
	side->flags |= SIDE_SCALE | SIDE_LOOSE;
	side->max_end = later(side->max_end, side->end + WIDEST);
}

void window_loosen(struct tcp_track *track) {
	loosen_side(&track->sides[SIDE_OPENER]);
	loosen_side(&track->sides[SIDE_OTHER]);
}
