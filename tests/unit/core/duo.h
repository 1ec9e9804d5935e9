/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp and the reference led through one connection. cmocka.h comes first.
 */
#ifndef SALLYPORT_TESTS_DUO_H
#define SALLYPORT_TESTS_DUO_H

#include <string.h>

#include "../tcp_reference.h"
#include "flow.h"

struct duo {
	enum tcp_state state;
	struct tcp_track track;
	struct reference reference;
};

static inline struct duo duo_open(const struct tcp_segment *syn) {
	struct duo duo = {.state = TCP_SYN_SENT, .reference = reference_open(syn)};
	tcp_open(&duo.track, syn);
	return duo;
}

static inline struct duo duo_pickup(const struct tcp_segment *segment) {
	struct duo duo = {.state = segment->flags & TCP_FIN ? TCP_FIN_WAIT : TCP_ESTABLISHED,
			  .reference = reference_pickup(segment, SIDE_OPENER)};
	tcp_pickup(&duo.track, segment, SIDE_OPENER);
	return duo;
}

static inline enum judgement tcp_judge(struct duo *duo, const struct tcp_segment *segment, enum side side) {
	if (tcp_reopens(duo->state, &duo->track, segment, side))
		return JUDGED_NEW;
	switch (tcp_step(&duo->state, &duo->track, segment, side)) {
	case REASON_NONE:
		return JUDGED_FIT;
	case DROP_STATE:
		return JUDGED_IMPOSSIBLE;
	default:
		return JUDGED_OUTSIDE;
	}
}

static inline const char *judgement_name(enum judgement judgement) {
	static const char *const names[] = {
	    [JUDGED_FIT] = "passes",
	    [JUDGED_IMPOSSIBLE] = "drop.state",
	    [JUDGED_OUTSIDE] = "drop.window",
	    [JUDGED_NEW] = "another connection",
	};
	return names[judgement];
}

static inline void assert_same_knowledge(const struct duo *duo, const char *where) {
	for (int i = 0; i < 2; i++) {
		const struct tcp_side *ours = &duo->track.sides[i];
		const struct reference_end *right = &duo->reference.ends[i];
		if (!right->has_spoken)
			continue;
		if (ours->end != reference_number(right->sent) ||
		    ours->max_end != reference_number(right->allowed) ||
		    (int64_t)ours->window << ours->shift != right->widest)
			fail_msg("%s: side %d has sent %u, not %u, may send to %u, not %u, window %u, not %u",
				 where, i, ours->end, reference_number(right->sent), ours->max_end,
				 reference_number(right->allowed), (unsigned)ours->window << ours->shift,
				 (unsigned)right->widest);
	}
}

/* Both judge; the test fails where they disagree. A segment that does not pass changes nothing. */
static inline enum judgement duo_step(struct duo *duo, const struct tcp_segment *segment, enum side side) {
	struct duo before = *duo;
	enum judgement ours = tcp_judge(duo, segment, side);
	enum judgement right = reference_judge(&duo->reference, segment, side);
	if (ours != right || duo->state != reference_state(&duo->reference)) {
		const struct reference_end *sender = &before.reference.ends[side];
		const struct reference_end *receiver = &before.reference.ends[!side];
		fail_msg(
		    "%s, side %d, flags %#x, seq sent%+d, ack sent%+d, length %u: %s and %s, not %s and %s",
		    tcp_state_name(before.state), side, segment->flags,
		    (int)(segment->seq - reference_number(sender->sent)),
		    (int)(segment->ack - reference_number(receiver->sent)), segment->length,
		    judgement_name(ours), tcp_state_name(duo->state), judgement_name(right),
		    tcp_state_name(reference_state(&duo->reference)));
	}
	if (ours != JUDGED_FIT && (memcmp(&duo->track, &before.track, sizeof duo->track) != 0 ||
				   memcmp(&duo->reference, &before.reference, sizeof duo->reference) != 0))
		fail_msg("%s: what was dropped has left a trace", tcp_state_name(before.state));
	if (ours == JUDGED_NEW && duo->state != TCP_CLOSED) /* nor is it taken into the old connection */
		assert_int_not_equal(tcp_step(&before.state, &before.track, segment, side), REASON_NONE);
	assert_same_knowledge(duo, tcp_state_name(before.state));
	return ours;
}

/* As that side would send it where nothing was lost: from where it is, acknowledging all. Its first SYN
 * starts at `isn`. */
static inline struct tcp_segment duo_segment(const struct duo *duo, enum side side, unsigned flags,
					     uint32_t length, uint32_t isn) {
	const struct reference_end *sender = &duo->reference.ends[side];
	const struct reference_end *receiver = &duo->reference.ends[!side];
	uint32_t seq = !sender->has_spoken ? isn : reference_number(flags & SYN ? sender->iss : sender->sent);
	return (struct tcp_segment){
	    .flags = (uint8_t)flags,
	    .seq = seq,
	    .ack = flags & ACK && receiver->has_spoken ? reference_number(receiver->sent) : 0,
	    .length = length,
	    .window = 20000,
	    .scale = TCP_NO_SCALE,
	};
}

#endif
