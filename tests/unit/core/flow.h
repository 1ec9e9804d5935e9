/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A TCP connection for the tests of core/tcp, led segment by segment. cmocka.h comes first.
 */
#ifndef SALLYPORT_TESTS_FLOW_H
#define SALLYPORT_TESTS_FLOW_H

#include <string.h>

#include "sallyport/core/tcp.h"

#define A SIDE_OPENER
#define B SIDE_OTHER
enum { SYN = TCP_SYN, ACK = TCP_ACK, FIN = TCP_FIN | TCP_ACK, RST = TCP_RST, SYNACK = TCP_SYN | TCP_ACK };

/* A connection under test; sequence numbers of segments are given relative to both ISNs. */
struct flow {
	enum tcp_state state;
	struct tcp_track track;
	uint32_t isn[2];
	uint16_t window;
	uint8_t scale; /* of SYNs */
};

static inline struct tcp_segment segment(const struct flow *flow, enum side side, unsigned flags,
					 uint32_t seq, uint32_t ack, uint32_t length) {
	return (struct tcp_segment){
	    .flags = (uint8_t)flags,
	    .seq = flow->isn[side] + seq,
	    .ack = flags & ACK ? flow->isn[!side] + ack : 0,
	    .length = length,
	    .window = flow->window,
	    .scale = flags & SYN ? flow->scale : TCP_NO_SCALE,
	    .scale_permitted = flags & SYN && flow->scale != TCP_NO_SCALE,
	};
}

static inline enum reason step(struct flow *flow, enum side side, unsigned flags, uint32_t seq, uint32_t ack,
			       uint32_t length) {
	struct flow before = *flow;
	struct tcp_segment sent = segment(flow, side, flags, seq, ack, length);
	enum reason reason = tcp_step(&flow->state, &flow->track, &sent, side);
	if (reason) /* nothing is changed */
		assert_memory_equal(flow, &before, sizeof before);
	return reason;
}

#define assert_passes(...)   assert_string_equal(reason_name(step(__VA_ARGS__)), "none")
#define assert_window(...)   assert_string_equal(reason_name(step(__VA_ARGS__)), "drop.window")
#define assert_no_state(...) assert_string_equal(reason_name(step(__VA_ARGS__)), "drop.state")
#define assert_state(flow, expected)                                                                         \
	assert_string_equal(tcp_state_name((flow)->state), tcp_state_name(expected))

static inline struct flow opened_at(uint32_t isn, uint32_t other_isn, uint16_t window, uint8_t scale) {
	struct flow flow;
	memset(&flow, 0, sizeof flow);
	flow.isn[A] = isn;
	flow.isn[B] = other_isn;
	flow.window = window;
	flow.scale = scale;
	struct tcp_segment syn = segment(&flow, A, SYN, 0, 0, 0);
	tcp_open(&flow.track, &syn);
	flow.state = TCP_SYN_SENT;
	return flow;
}

static inline struct flow opened(void) {
	return opened_at(1000, 500000, 10000, TCP_NO_SCALE);
}

static inline void shake_hands(struct flow *flow) {
	assert_passes(flow, B, SYNACK, 0, 1, 0);
	assert_state(flow, TCP_SYN_RECV);
	assert_passes(flow, A, ACK, 1, 1, 0);
	assert_state(flow, TCP_ESTABLISHED);
}

static inline struct flow established(void) {
	struct flow flow = opened();
	shake_hands(&flow);
	return flow;
}

/* Every state, by the way that leads there. Both sides have sent nothing but SYN, FIN. */
static inline struct flow in_state(enum tcp_state state) {
	struct flow flow = opened();
	if (state == TCP_SYN_SENT)
		return flow;
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	if (state == TCP_SYN_RECV)
		return flow;
	assert_passes(&flow, A, ACK, 1, 1, 0);
	if (state == TCP_CLOSED)
		assert_passes(&flow, B, RST, 1, 0, 0);
	else if (state == TCP_CLOSE_WAIT)
		assert_passes(&flow, B, FIN, 1, 1, 0);
	else if (state != TCP_ESTABLISHED)
		assert_passes(&flow, A, FIN, 1, 1, 0);
	if (state == TCP_LAST_ACK || state == TCP_TIME_WAIT)
		assert_passes(&flow, B, FIN, 1, 2, 0);
	if (state == TCP_TIME_WAIT)
		assert_passes(&flow, A, ACK, 2, 2, 0);
	assert_state(&flow, state);
	return flow;
}

#endif
