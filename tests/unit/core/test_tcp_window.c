/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp_window: windows are kept in 16 bits and a shift. Against a reference that keeps
 * them in 32, on long random exchanges whose segments lie on and beside every bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flow.h"

enum { OVERTAKEN = 66000, WIDEST = 65535 << 14 };

static uint32_t next_random(uint32_t *random) {
	*random ^= *random << 13;
	*random ^= *random >> 17;
	return *random ^= *random << 5;
}

static uint32_t kept_window(const struct tcp_track *track, enum side side) {
	return (uint32_t)track->sides[side].window << track->sides[side].shift;
}

/* One side of an established connection. */
struct reference {
	uint32_t end, max_end, max_window;
	unsigned scale; /* in force: 0 unless both offered one */
};

static bool in_order(uint32_t left, uint32_t right) {
	return (int32_t)(right - left) >= 0;
}

/* Two numbers near `end` may be more than 2^31 apart. */
static int32_t ahead(const struct reference *side, uint32_t number) {
	return (int32_t)(number - side->end);
}

static uint32_t reach(const struct reference *side) {
	return side->max_window > OVERTAKEN ? side->max_window : OVERTAKEN;
}

static uint32_t true_window(const struct reference *sender, const struct tcp_segment *segment) {
	uint32_t window = (uint32_t)segment->window << sender->scale;
	return window ? window : 1;
}

/* The four rules at the head of tcp_window.c. */
static bool reference_fits(const struct reference *sides, const struct tcp_segment *segment, enum side side) {
	const struct reference *sender = &sides[side], *receiver = &sides[!side];
	return ahead(sender, segment->seq) <= ahead(sender, sender->max_end) &&
	       in_order(sender->end - reach(receiver), segment->seq + segment->length) &&
	       in_order(segment->ack, receiver->end) &&
	       in_order(receiver->end - 2 * reach(sender), segment->ack);
}

static void reference_advance(struct reference *sides, const struct tcp_segment *segment, enum side side) {
	struct reference *sender = &sides[side], *receiver = &sides[!side];
	uint32_t window = true_window(sender, segment), end = segment->seq + segment->length;
	if (in_order(sender->end, end))
		sender->end = end;
	if (window > sender->max_window)
		sender->max_window = window;
	if (ahead(receiver, receiver->max_end) < ahead(receiver, segment->ack + window))
		receiver->max_end = segment->ack + window;
}

static bool reference_fits_reset(const struct reference *sides, const struct tcp_segment *reset,
				 enum side side) {
	const struct reference *sender = &sides[side], *receiver = &sides[!side];
	return in_order(sender->end - receiver->max_window, reset->seq) &&
	       (in_order(reset->seq, sender->max_end) || in_order(reset->seq, sender->end));
}

/* Small, large and any; a SYN's need not be a multiple of what its scale could say. */
static uint16_t some_window(uint32_t *random) {
	static const uint16_t edges[] = {0, 1, 2, 64240, 65534, 65535};
	uint32_t number = next_random(random);
	return number % 4 ? (uint16_t)(number >> 8 >> number % 16) : edges[(number >> 8) % 6];
}

static struct tcp_segment some_syn(uint32_t *random) {
	uint32_t number = next_random(random);
	bool scales = number % 4;
	return (struct tcp_segment){
	    .flags = TCP_SYN,
	    .seq = next_random(random),
	    .window = some_window(random),
	    .scale = scales ? (uint8_t)((number >> 8) % 15) : TCP_NO_SCALE,
	    .scale_permitted = scales,
	};
}

static uint32_t syn_window(const struct tcp_segment *syn) {
	return syn->window ? syn->window : 1;
}

/* Random SYN and SYN/ACK, and the ACK. */
static void shake_hands_at_random(struct flow *flow, struct reference *sides, uint32_t *random) {
	struct tcp_segment syn = some_syn(random), syn_ack = some_syn(random), ack = {.flags = TCP_ACK};
	bool both = syn.scale_permitted && syn_ack.scale_permitted;
	syn_ack.flags = TCP_SYN | TCP_ACK;
	syn_ack.ack = syn.seq + 1;
	ack.seq = syn.seq + 1;
	ack.ack = syn_ack.seq + 1;
	ack.window = some_window(random);
	sides[A] = (struct reference){syn.seq + 1, syn.seq + 1 + syn_window(&syn_ack), syn_window(&syn),
				      both ? syn.scale : 0};
	sides[B] = (struct reference){syn_ack.seq + 1, syn_ack.seq + 1 + syn_window(&syn),
				      syn_window(&syn_ack), both ? syn_ack.scale : 0};
	tcp_open(&flow->track, &syn);
	flow->state = TCP_SYN_SENT;
	assert_int_equal(tcp_step(&flow->state, &flow->track, &syn_ack, B), REASON_NONE);
	assert_int_equal(tcp_step(&flow->state, &flow->track, &ack, A), REASON_NONE);
	assert_state(flow, TCP_ESTABLISHED);
	reference_advance(sides, &ack, A);
}

/* On a bound, one beside it, or anywhere within a few windows. */
static struct tcp_segment segment_at_a_bound(const struct reference *sides, enum side side,
					     uint32_t *random) {
	const struct reference *sender = &sides[side], *receiver = &sides[!side];
	uint32_t number = next_random(random), length = number % 3 ? 0 : number >> 20;
	const uint32_t seqs[] = {sender->end, sender->max_end, sender->end - reach(receiver) - length,
				 sender->end - receiver->max_window,
				 sender->end - length + next_random(random) % 4000};
	const uint32_t acks[] = {receiver->end, receiver->end - 2 * reach(sender),
				 receiver->end - next_random(random) % (reach(sender) + 1)};
	return (struct tcp_segment){
	    .flags = TCP_ACK,
	    .seq = seqs[number % 5] + (number >> 3) % 3 - 1,
	    .ack = acks[(number >> 5) % 3] + (number % 2 ? (number >> 7) % 3 - 1 : 0),
	    .length = length,
	    .window = some_window(random),
	    .scale = TCP_NO_SCALE,
	};
}

static void assert_reset_agrees(const struct flow *flow, const struct reference *sides,
				const struct tcp_segment *segment, enum side side) {
	struct flow copy = *flow;
	struct tcp_segment reset = *segment;
	reset.flags = TCP_RST;
	bool fits = tcp_step(&copy.state, &copy.track, &reset, side) == REASON_NONE;
	assert_int_equal(fits, reference_fits_reset(sides, &reset, side));
}

static void the_check_is_that_of_a_full_window(void **state) {
	(void)state;
	enum { CONNECTIONS = 3000, SEGMENTS = 200 };
	uint32_t random = 2463534242, passed = 0;
	for (int i = 0; i < CONNECTIONS; i++) {
		struct flow flow;
		struct reference sides[2];
		shake_hands_at_random(&flow, sides, &random);
		for (int j = 0; j < SEGMENTS; j++) {
			enum side side = next_random(&random) % 2 ? A : B;
			struct tcp_segment segment = segment_at_a_bound(sides, side, &random);
			assert_reset_agrees(&flow, sides, &segment, side);
			bool fits = tcp_step(&flow.state, &flow.track, &segment, side) == REASON_NONE;
			assert_int_equal(fits, reference_fits(sides, &segment, side));
			if (fits)
				reference_advance(sides, &segment, side);
			passed += fits;
			assert_int_equal(kept_window(&flow.track, A), sides[A].max_window);
			assert_int_equal(kept_window(&flow.track, B), sides[B].max_window);
		}
	}
	/* Neither of the two is the rule, so both sides of the bounds were met. */
	assert_in_range(passed, CONNECTIONS * SEGMENTS / 10, CONNECTIONS * SEGMENTS * 9 / 10);
}

static void every_window_at_every_scale_is_kept_exactly(void **state) {
	(void)state;
	for (uint8_t scale = 0; scale <= 14; scale++) {
		struct flow shaken = opened_at(1000, 500000, 0, scale);
		shake_hands(&shaken);
		for (uint32_t window = 0; window <= UINT16_MAX; window++) {
			struct flow flow = shaken;
			flow.window = (uint16_t)window;
			assert_int_equal(step(&flow, A, ACK, 1, 1, 0), REASON_NONE);
			assert_int_equal(kept_window(&flow.track, A), window ? window << scale : 1);
			assert_int_equal(kept_window(&flow.track, B), 1);
		}
	}
}

static void the_widest_window_is_kept_exactly(void **state) {
	(void)state;
	struct tcp_segment segment = {.flags = TCP_ACK, .seq = 5000, .ack = 9000, .window = UINT16_MAX};
	struct tcp_track track;
	enum tcp_state current = TCP_ESTABLISHED;
	tcp_pickup(&track, &segment, SIDE_OPENER);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kept_window(&track, SIDE_OPENER), WIDEST);
		assert_int_equal(kept_window(&track, SIDE_OTHER), WIDEST);
		assert_int_equal(tcp_step(&current, &track, &segment, SIDE_OPENER), REASON_NONE);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_check_is_that_of_a_full_window),
	    cmocka_unit_test(every_window_at_every_scale_is_kept_exactly),
	    cmocka_unit_test(the_widest_window_is_kept_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
