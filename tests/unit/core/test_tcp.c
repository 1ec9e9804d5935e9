/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp: the transitions, and what fits and what does not. Resets and lost memories are in
 * test_tcp_reset.c, long random exchanges in test_tcp_exchange.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "flow.h"

/* What the next segment of `side` looks like where nothing was lost. */
static enum reason next_segment(struct flow *flow, enum side side, unsigned flags) {
	const struct tcp_side *sender = &flow->track.sides[side], *receiver = &flow->track.sides[!side];
	uint32_t seq = flags & SYN ? 0 : sender->end - flow->isn[side];
	if (flow->state == TCP_SYN_SENT && side == B)
		seq = flags == ACK || flags == FIN ? 77777 : 0; /* an old connection's */
	return step(flow, side, flags, seq, receiver->end - flow->isn[!side], 0);
}

/* Every cell of state x segment x side: where it leads, '-' where it is dropped. */
static void every_transition_is_as_it_should_be(void **unused) {
	(void)unused;
	static const char letters[TCP_STATES + 1] = "srEFCLTX"; /* in the order of enum tcp_state */
	static const unsigned kinds[] = {SYN, SYNACK, ACK, FIN, RST, RST | ACK};
	static const struct {
		enum tcp_state state;
		const char *opener, *other; /* SYN, SYN/ACK, ACK, FIN, RST, RST/ACK */
	} rows[] = {
	    /* In CLOSED an ACK of both sides, not of one, would show that it lives. */
	    {TCP_SYN_SENT, "s---XX", "rrss-X"},    {TCP_SYN_RECV, "rEEFXX", "rrrCXX"},
	    {TCP_ESTABLISHED, "EEEFXX", "-EECXX"}, {TCP_FIN_WAIT, "FFFFXX", "-FFLXX"},
	    {TCP_CLOSE_WAIT, "CCCLXX", "-CCCXX"},  {TCP_LAST_ACK, "LTTTXX", "-LLLXX"},
	    {TCP_TIME_WAIT, "-TTTXX", "-TTTXX"},   {TCP_CLOSED, "XXXXXX", "-XXXXX"},
	};
	assert_int_equal(sizeof rows / sizeof *rows, TCP_STATES);
	for (size_t row = 0; row < TCP_STATES; row++) {
		for (int side = 0; side < 2; side++) {
			for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
				struct flow flow = in_state(rows[row].state);
				enum reason reason = next_segment(&flow, (enum side)side, kinds[kind]);
				char got = reason ? '-' : letters[flow.state];
				char want = (side == A ? rows[row].opener : rows[row].other)[kind];
				if (got != want)
					fail_msg("%s, side %d, kind %zu: %c, not %c",
						 tcp_state_name(rows[row].state), side, kind, got, want);
			}
		}
	}
}

static void flags_that_no_tcp_sends_fit_nothing(void **unused) {
	(void)unused;
	for (int state = 0; state < TCP_STATES; state++) {
		struct flow flow = in_state((enum tcp_state)state);
		assert_no_state(&flow, A, 0, 1, 0, 0);
		assert_no_state(&flow, B, TCP_PSH, 1, 0, 0);
	}
}

static void states_have_names(void **unused) {
	(void)unused;
	enum tcp_state state;
	for (int i = 0; i < TCP_STATES; i++) {
		assert_true(tcp_state_parse(tcp_state_name((enum tcp_state)i), &state));
		assert_int_equal(state, i);
	}
	assert_true(tcp_state_parse("syn-sent", &state));
	assert_int_equal(state, TCP_SYN_SENT);
	assert_false(tcp_state_parse("syn", &state) || tcp_state_parse("", &state) ||
		     tcp_state_parse("closed2", &state));
}

static void a_plain_connection_passes(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, ACK, 1, 1, 300);
	assert_passes(&flow, B, ACK, 1, 301, 0);
	for (uint32_t sent = 0; sent < 1000000; sent += 2000) {
		assert_passes(&flow, B, ACK, 1 + sent, 301, 1000);
		assert_passes(&flow, B, ACK, 1001 + sent, 301, 1000);
		assert_passes(&flow, A, ACK, 301, 2001 + sent, 0);
	}
	assert_passes(&flow, B, FIN, 1000001, 301, 0);
	assert_state(&flow, TCP_CLOSE_WAIT);
	assert_passes(&flow, A, ACK, 301, 1000002, 0);
	assert_passes(&flow, A, FIN, 301, 1000002, 0);
	assert_state(&flow, TCP_LAST_ACK);
	assert_passes(&flow, B, ACK, 1000002, 302, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

static void a_half_closed_connection_carries_data(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, FIN, 1, 1, 100);
	assert_passes(&flow, B, ACK, 1, 102, 0);
	for (uint32_t sent = 0; sent < 100000; sent += 5000) {
		assert_passes(&flow, B, ACK, 1 + sent, 102, 5000);
		assert_passes(&flow, A, ACK, 102, 5001 + sent, 0);
	}
	assert_state(&flow, TCP_FIN_WAIT);
	assert_passes(&flow, B, FIN, 100001, 102, 0);
	assert_state(&flow, TCP_LAST_ACK);
	assert_passes(&flow, A, ACK, 102, 100002, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

static void fins_may_cross(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, FIN, 1, 1, 0);
	assert_passes(&flow, B, FIN, 1, 1, 0);
	assert_state(&flow, TCP_LAST_ACK);
	assert_passes(&flow, A, ACK, 2, 2, 0);
	assert_state(&flow, TCP_LAST_ACK);
	assert_passes(&flow, B, ACK, 2, 2, 0);
	assert_state(&flow, TCP_TIME_WAIT);
	assert_passes(&flow, B, FIN, 1, 2, 0); /* the ACK was lost */
	assert_passes(&flow, A, ACK, 2, 2, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

static void what_is_lost_in_the_handshake_is_repeated(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_passes(&flow, A, SYN, 0, 0, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_passes(&flow, A, SYN, 0, 0, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_state(&flow, TCP_SYN_RECV);
	assert_passes(&flow, A, ACK, 1, 1, 0); /* lost behind us */
	assert_passes(&flow, A, ACK, 1, 1, 5000);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_passes(&flow, A, ACK, 5001, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void a_server_may_answer_a_repeated_syn_with_another_isn(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	flow.isn[B] = 77;
	assert_window(&flow, B, SYNACK, 0, 2, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_window(&flow, A, ACK, 1, 0, 0);
	assert_passes(&flow, A, ACK, 1, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void the_handshake_is_exact(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_window(&flow, B, SYNACK, 0, 0, 0);
	assert_window(&flow, B, SYNACK, 0, 2, 0);
	assert_window(&flow, A, SYN, 5, 0, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_window(&flow, A, ACK, 1, 0, 0);
	assert_window(&flow, A, ACK, 1, 2, 0);
	assert_window(&flow, A, FIN, 1, 2, 0);
	assert_window(&flow, A, ACK, 10002, 1, 0);
	assert_passes(&flow, A, FIN, 1, 1, 10);
	assert_state(&flow, TCP_FIN_WAIT);
}

static void crossing_syns_open_one_connection(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_passes(&flow, B, SYN, 0, 0, 0);
	assert_state(&flow, TCP_SYN_RECV);
	assert_window(&flow, A, SYNACK, 0, 2, 0);
	assert_passes(&flow, A, SYNACK, 0, 1, 0);
	assert_state(&flow, TCP_SYN_RECV);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_passes(&flow, A, ACK, 1, 1, 9000);
	assert_passes(&flow, B, ACK, 1, 9001, 9000);
	assert_passes(&flow, A, ACK, 9001, 9001, 0);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void data_may_come_with_the_syn(void **unused) {
	(void)unused;
	struct flow flow = opened();
	struct tcp_segment syn = segment(&flow, A, SYN, 0, 0, 500);
	tcp_open(&flow.track, &syn);
	assert_passes(&flow, A, SYN, 0, 0, 0); /* repeated without */
	struct flow refused = flow;
	assert_passes(&refused, B, SYNACK, 0, 1, 0); /* the server takes the SYN alone */
	assert_passes(&refused, A, ACK, 1, 1, 500);
	assert_state(&refused, TCP_ESTABLISHED);
	assert_window(&flow, B, SYNACK, 0, 502, 0);
	assert_passes(&flow, B, SYNACK, 0, 501, 0);
	assert_passes(&flow, B, ACK, 1, 501, 4000); /* it answers before the handshake ends */
	assert_window(&flow, B, ACK, 10002, 501, 10);
	assert_passes(&flow, B, SYNACK, 0, 501, 0);
	assert_state(&flow, TCP_SYN_RECV);
	assert_passes(&flow, B, FIN, 4001, 501, 0);
	assert_state(&flow, TCP_CLOSE_WAIT);
	assert_passes(&flow, A, ACK, 501, 1, 0);
	assert_passes(&flow, A, ACK, 501, 4002, 0);
	assert_passes(&flow, A, FIN, 501, 4002, 0);
	assert_passes(&flow, B, ACK, 4002, 502, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

static void what_is_outside_the_window_is_dropped(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, ACK, 1, 1, 5000);
	assert_passes(&flow, B, ACK, 1, 5001, 0);
	assert_passes(&flow, A, ACK, 15001, 1, 0);     /* the first byte behind the window: a probe */
	assert_window(&flow, A, ACK, 15002, 1, 0);     /* behind that */
	assert_window(&flow, A, ACK, 5001, 2, 0);      /* acknowledges what was never sent */
	assert_window(&flow, B, ACK, 10002, 5001, 10); /* the opener lets it send 10000 */
	assert_passes(&flow, B, ACK, 10001, 5001, 0);
	assert_window(&flow, A, ACK, 5001 - 66101, 1, 100); /* repeats what is acknowledged long since */
	assert_window(&flow, B, ACK, 1, 5001 - 132001, 0);  /* an acknowledgment from the past */
	assert_window(&flow, A, ACK, 1u << 31, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void repeats_and_overtaken_acks_pass(void **unused) {
	(void)unused;
	struct flow flow = established();
	for (uint32_t seq = 1; seq < 10000; seq += 1000)
		assert_passes(&flow, A, ACK, seq, 1, 1000);
	assert_passes(&flow, B, ACK, 1, 5001, 0);
	for (int i = 0; i < 3; i++)
		assert_passes(&flow, B, ACK, 1, 2001, 0); /* duplicates, late */
	assert_passes(&flow, A, ACK, 2001, 1, 1000);      /* the repeat */
	assert_passes(&flow, B, ACK, 1, 10001, 0);
	assert_passes(&flow, B, ACK, 1, 3001, 0); /* overtaken */
	assert_state(&flow, TCP_ESTABLISHED);
}

static void keepalives_and_window_probes_pass(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, ACK, 0, 1, 0); /* RFC 1122 4.2.3.6: without and with a byte */
	assert_passes(&flow, A, ACK, 0, 1, 1);
	assert_passes(&flow, B, ACK, 1, 1, 0);
	assert_passes(&flow, B, ACK, 0, 1, 0);
	assert_passes(&flow, A, ACK, 1, 1, 10000);
	flow.window = 0;
	assert_passes(&flow, B, ACK, 1, 10001, 0); /* closed */
	flow.window = 10000;
	for (int i = 0; i < 5; i++) {
		assert_passes(&flow, A, ACK, 10001, 1, 1); /* RFC 9293 3.8.6.1 */
		assert_passes(&flow, A, ACK, 10000, 1, 0); /* as Linux probes */
		flow.window = 0;
		assert_passes(&flow, B, ACK, 1, 10001, 0);
		flow.window = 10000;
	}
	assert_passes(&flow, A, ACK, 10002, 1, 0); /* BSD counts the probe as sent */
	assert_passes(&flow, B, ACK, 1, 10002, 0); /* opens */
	assert_passes(&flow, A, ACK, 10002, 1, 10000);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void windows_scale_only_where_both_offer_it(void **unused) {
	(void)unused;
	struct flow both = opened_at(1, 1, 1000, 7);
	shake_hands(&both);
	assert_passes(&both, B, ACK, 1, 1, 0);
	assert_passes(&both, A, ACK, 1 + 128000, 1, 0);
	assert_window(&both, A, ACK, 2 + 128000, 1, 0);
	struct flow one = opened_at(1, 1, 1000, 7);
	one.scale = TCP_NO_SCALE;
	shake_hands(&one);
	assert_passes(&one, B, ACK, 1, 1, 0);
	assert_passes(&one, A, ACK, 1 + 1000, 1, 0);
	assert_window(&one, A, ACK, 2 + 1000, 1, 0);
	struct flow syns = opened_at(1, 1, 1000, 7);
	shake_hands(&syns); /* the SYN/ACK's own window is not scaled */
	assert_window(&syns, A, ACK, 1 + 1001, 1, 0);
}

static void sequence_numbers_wrap(void **unused) {
	(void)unused;
	struct flow flow = opened_at(0xffffff00, 0x7fffff00, 60000, 4);
	shake_hands(&flow);
	uint32_t sent = 1;
	for (int i = 0; i < 20000; i++, sent += 500000) { /* more than twice around */
		assert_passes(&flow, A, ACK, sent, sent, 500000);
		assert_passes(&flow, B, ACK, sent, sent + 500000, 500000);
		assert_passes(&flow, A, ACK, sent + 500000, sent + 500000, 0);
	}
	assert_window(&flow, A, ACK, sent + 0x40000000, sent, 0);
	assert_passes(&flow, A, FIN, sent, sent, 0);
	assert_passes(&flow, B, FIN, sent, sent + 1, 0);
	assert_passes(&flow, A, ACK, sent + 1, sent + 1, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

static void a_new_connection_may_follow_an_old_one(void **unused) {
	(void)unused;
	static const bool expected[TCP_STATES] = {
	    [TCP_SYN_SENT] = true, [TCP_TIME_WAIT] = true, [TCP_CLOSED] = true};
	for (int i = 0; i < TCP_STATES; i++) {
		struct flow flow = in_state((enum tcp_state)i);
		struct tcp_segment syn = segment(&flow, A, SYN, 123456, 0, 0);
		assert_int_equal(tcp_reopens(flow.state, &flow.track, &syn, A), expected[i]);
		syn = segment(&flow, A, SYN, 0, 0, 0);
		bool again = i != TCP_SYN_SENT && expected[i]; /* there it is the same SYN once more */
		assert_int_equal(tcp_reopens(flow.state, &flow.track, &syn, A), again);
		syn = segment(&flow, A, ACK, 123456, 0, 0);
		assert_false(tcp_reopens(flow.state, &flow.track, &syn, A));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_transition_is_as_it_should_be),
	    cmocka_unit_test(flags_that_no_tcp_sends_fit_nothing),
	    cmocka_unit_test(states_have_names),
	    cmocka_unit_test(a_plain_connection_passes),
	    cmocka_unit_test(a_half_closed_connection_carries_data),
	    cmocka_unit_test(fins_may_cross),
	    cmocka_unit_test(what_is_lost_in_the_handshake_is_repeated),
	    cmocka_unit_test(a_server_may_answer_a_repeated_syn_with_another_isn),
	    cmocka_unit_test(the_handshake_is_exact),
	    cmocka_unit_test(crossing_syns_open_one_connection),
	    cmocka_unit_test(data_may_come_with_the_syn),
	    cmocka_unit_test(what_is_outside_the_window_is_dropped),
	    cmocka_unit_test(repeats_and_overtaken_acks_pass),
	    cmocka_unit_test(keepalives_and_window_probes_pass),
	    cmocka_unit_test(windows_scale_only_where_both_offer_it),
	    cmocka_unit_test(sequence_numbers_wrap),
	    cmocka_unit_test(a_new_connection_may_follow_an_old_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
