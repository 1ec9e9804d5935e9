/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sequence spaces of a connection's two sides: what a segment may carry, and what
 * it teaches. The states are tcp.c's.
 */
#ifndef SALLYPORT_CORE_TCP_WINDOW_H
#define SALLYPORT_CORE_TCP_WINDOW_H

#include "sallyport/core/tcp.h"

enum side_flag {
	SIDE_SEEN = 0x01,      /* it has spoken, so `end` means something */
	SIDE_SYN_ACKED = 0x02, /* the other side has acknowledged its SYN */
	SIDE_FIN = 0x04,       /* it has sent FIN; `end` counts it */
	SIDE_FIN_ACKED = 0x08,
	SIDE_SCALE = 0x10,   /* its SYN offered a window scale */
	SIDE_LOOSE = 0x20,   /* its windows are guesses: taken up in mid-stream */
	SIDE_MUTE = 0x40,    /* after an RST: expected to say nothing more */
	SIDE_NEW_SYN = 0x80, /* sent a SYN into the open connection; its peer's stack judges it */
};

/* The sequence number behind the segment; SYN and FIN take one each. */
uint32_t segment_end(const struct tcp_segment *segment);

/* Whether a segment other than RST fits: its sequence numbers what its side may send, its
 * acknowledgment what the other side has sent. */
bool window_fits(const struct tcp_track *track, const struct tcp_segment *segment, enum side side);
/* Takes a segment that fits into account. */
void window_advance(struct tcp_track *track, const struct tcp_segment *segment, enum side side);

/* Data that passes before the answer to its side's SYN is seen here: that, and what comes behind it, may
 * acknowledge it. No more is believed than any SYN's window allows. */
void window_learn_early(struct tcp_track *track, const struct tcp_segment *segment, enum side side);

/* Whether an RST is one that its receiver might obey. */
bool window_fits_reset(const struct tcp_track *track, const struct tcp_segment *segment, enum side side);
/* Whether the receiver of that RST surely obeys it, as far as this can be seen from here. */
bool window_reset_is_exact(const struct tcp_track *track, const struct tcp_segment *segment, enum side side);

/* Whether a SYN has the sequence number of the one that this side has sent already. */
bool window_repeats_syn(const struct tcp_track *track, const struct tcp_segment *syn, enum side side);

/* From now on both windows are taken for as wide as windows can be. */
void window_loosen(struct tcp_track *track);

#endif
