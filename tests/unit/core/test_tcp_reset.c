/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp where a connection breaks: resets, real and guessed, hosts that have forgotten, and
 * connections that are met in mid-stream.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "flow.h"

static void a_reset_answers_a_syn_only_by_acknowledging_it(void **unused) {
	(void)unused;
	struct flow flow = opened();
	flow.isn[B] = 0;
	assert_window(&flow, B, RST, 0, 0, 0);
	assert_window(&flow, B, RST | ACK, 0, 0, 0);
	assert_window(&flow, B, RST | ACK, 0, 2, 0);
	assert_passes(&flow, B, RST | ACK, 0, 1, 0);
	assert_state(&flow, TCP_CLOSED);
	/* The same where a SYN/ACK went before (it was lost, and the server has given up). */
	flow = opened();
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	flow.isn[B] = 0;
	assert_window(&flow, B, RST | ACK, 0, 2, 0);
	assert_passes(&flow, B, RST | ACK, 0, 1, 0);
	assert_state(&flow, TCP_CLOSED);
}

static void resets_outside_the_window_are_dropped(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_window(&flow, B, RST, 10002, 0, 0);
	assert_window(&flow, A, RST, 20000, 0, 0);
	assert_window(&flow, A, RST, 1 - 10001, 0, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, A, RST, 1, 0, 0);
	assert_state(&flow, TCP_CLOSED);
}

/* A segment that starts inside the window may end behind it by more than a window. */
static void an_overrun_window_lets_no_guessed_reset_in(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, ACK, 10001, 1, 15000);
	assert_window(&flow, A, RST, 900000, 0, 0);
	assert_window(&flow, A, RST, 25002, 0, 0);
	assert_window(&flow, A, RST, 15000, 0, 0);
	assert_passes(&flow, A, RST, 25001, 0, 0);
	assert_state(&flow, TCP_CLOSED);
}

static void a_guessed_reset_ends_when_its_victim_answers(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, RST, 5000, 0, 0); /* forged: in the window, not exact */
	assert_state(&flow, TCP_CLOSED);
	assert_passes(&flow, B, ACK, 1, 1, 0); /* the challenge (RFC 5961 3.2) */
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, A, FIN, 1, 1, 0);
	assert_passes(&flow, B, RST, 5000, 0, 0);
	assert_state(&flow, TCP_CLOSED);
	assert_passes(&flow, A, ACK, 2, 1, 0);
	assert_state(&flow, TCP_FIN_WAIT); /* not simply ESTABLISHED */
}

static void a_guessed_reset_and_a_syn_do_not_end_a_connection(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, RST, 5000, 0, 0);
	struct tcp_segment syn = segment(&flow, A, SYN, 1u << 30, 0, 0);
	assert_false(tcp_reopens(flow.state, &flow.track, &syn, A));
	assert_passes(&flow, A, SYN, 1u << 30, 0, 0);
	assert_passes(&flow, B, ACK, 1, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, A, ACK, 1, 1, 1000);
	assert_passes(&flow, B, ACK, 1, 1001, 1000);
	assert_state(&flow, TCP_ESTABLISHED);
}

static void after_an_exact_reset_both_must_speak(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, RST, 1, 0, 0);
	assert_passes(&flow, B, ACK, 1, 1, 1000); /* was on its way */
	assert_state(&flow, TCP_CLOSED);
	assert_passes(&flow, A, RST, 1, 0, 0);
	assert_passes(&flow, B, ACK, 1001, 1, 0);
	assert_passes(&flow, A, ACK, 1, 1001, 0); /* somebody else has sent those RSTs */
	assert_state(&flow, TCP_ESTABLISHED);
}

/* RFC 9293 3.5.1: the opener crashed, starts again, and meets the old connection. */
static void half_open_connections_are_cleared(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_passes(&flow, B, ACK, 9999, 8888, 0);
	assert_state(&flow, TCP_SYN_SENT);
	flow.isn[A] = 8888;
	assert_passes(&flow, A, RST, 0, 0, 0); /* what the ACK acknowledged */
	assert_state(&flow, TCP_SYN_SENT);
	flow.isn[A] = 1000;
	assert_passes(&flow, A, SYN, 0, 0, 0);
	shake_hands(&flow);
	/* The same where we remember it too. */
	flow = established();
	uint32_t isn = flow.isn[A];
	flow.isn[A] = 0x12345678;
	assert_passes(&flow, A, SYN, 0, 0, 0);
	flow.isn[A] = isn;
	assert_passes(&flow, B, ACK, 1, 1, 0);
	assert_passes(&flow, A, RST, 1, 0, 0);
	assert_state(&flow, TCP_CLOSED);
	struct tcp_segment syn = segment(&flow, A, SYN, 0x12345678, 0, 0);
	assert_true(tcp_reopens(flow.state, &flow.track, &syn, A));
}

static void both_sides_may_have_forgotten(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, A, FIN, 1, 1, 0);
	flow.isn[A] = 0x40000000;
	flow.isn[B] = 0xc0000000;
	assert_window(&flow, B, SYNACK, 0, 1, 0); /* nobody has asked */
	assert_passes(&flow, A, SYN, 0, 0, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_state(&flow, TCP_SYN_RECV);
	assert_window(&flow, A, ACK, 1, 2, 0);
	assert_passes(&flow, A, ACK, 1, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, A, ACK, 1, 1, 100000);
	assert_passes(&flow, B, ACK, 1, 100001, 100000);
	/* A SYN that led to nothing does not leave the door open. */
	flow = established();
	assert_passes(&flow, A, SYN, 0x40000000, 0, 0);
	assert_passes(&flow, B, ACK, 1, 1, 0);
	assert_passes(&flow, A, ACK, 1, 1, 10);
	assert_window(&flow, B, SYNACK, 0x30000000, 0x40000001, 0);
}

static void mid_stream_connections_are_not_cut(void **unused) {
	(void)unused;
	struct flow flow;
	memset(&flow, 0, sizeof flow);
	flow.isn[A] = 0xfff00000;
	flow.isn[B] = 0x10;
	flow.window = 65535;
	flow.state = TCP_ESTABLISHED;
	struct tcp_segment first = segment(&flow, A, ACK, 5000000, 7000000, 1448);
	tcp_pickup(&flow.track, &first, A);
	/* Much is on its way that was never seen here. */
	assert_passes(&flow, A, ACK, 5001448, 7000000 + (20 << 20), 0);
	assert_passes(&flow, B, ACK, 7000000 + (30 << 20), 5001448, 60000);
	assert_passes(&flow, B, ACK, 7000000, 5001448, 1448);
	assert_passes(&flow, A, ACK, 5001448 + (25 << 20), 7000000 + (30 << 20), 1448);
	assert_window(&flow, A, ACK, 5000000 + 0x50000000, 7000000, 0);
	assert_passes(&flow, A, FIN, 5001448 + (26 << 20), 7000000 + (30 << 20), 0);
	assert_state(&flow, TCP_FIN_WAIT);
}

static void what_passed_unseen_is_learned_again(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_window(&flow, A, ACK, 5000000, 900000, 0);
	struct tcp_segment later = segment(&flow, A, ACK, 5000000, 900000, 0);
	assert_true(tcp_relearn(&flow.state, &flow.track, &later, A));
	assert_passes(&flow, A, ACK, 5000000, 900000, 0);
	assert_passes(&flow, B, ACK, 900000, 5000000, 10000);
	assert_state(&flow, TCP_ESTABLISHED);
	/* The handshake went by. */
	flow = opened();
	later = segment(&flow, B, ACK, 3000, 200, 0);
	assert_true(tcp_relearn(&flow.state, &flow.track, &later, B));
	assert_passes(&flow, B, ACK, 3000, 200, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	/* A FIN that was seen is not forgotten. */
	flow = in_state(TCP_FIN_WAIT);
	later = segment(&flow, B, ACK, 90000, 2, 100);
	assert_true(tcp_relearn(&flow.state, &flow.track, &later, B));
	assert_passes(&flow, B, ACK, 90000, 2, 100);
	assert_state(&flow, TCP_FIN_WAIT);
	assert_passes(&flow, B, FIN, 90100, 2, 0);
	assert_passes(&flow, A, ACK, 2, 90101, 0);
	assert_state(&flow, TCP_TIME_WAIT);
	/* SYNs and RSTs teach nothing. */
	flow = established();
	later = segment(&flow, B, RST, 90000, 0, 0);
	assert_false(tcp_relearn(&flow.state, &flow.track, &later, B));
	assert_passes(&flow, B, RST, 90000, 0, 0);
	assert_state(&flow, TCP_CLOSED);
}

/* The host's sockets say that a connection is open, and nothing of its numbers. */
static void an_adopted_connection_learns_from_whatever_comes(void **unused) {
	(void)unused;
	struct flow known = {.state = TCP_ESTABLISHED, .isn = {1000, 2000}, .window = 500};
	struct flow flow = known;
	struct tcp_segment first = segment(&flow, B, ACK, 70000, 80000, 10);
	assert_true(tcp_relearn(&flow.state, &flow.track, &first, B));
	assert_passes(&flow, B, ACK, 70000, 80000, 10);
	assert_passes(&flow, A, ACK, 80000, 70010, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	flow = known; /* an RST, real or forged, and an answer that shows which */
	first = segment(&flow, A, RST, 80000, 0, 0);
	assert_false(tcp_relearn(&flow.state, &flow.track, &first, A));
	assert_passes(&flow, A, RST, 80000, 0, 0);
	assert_state(&flow, TCP_CLOSED);
	first = segment(&flow, B, ACK, 300000, 400000, 0);
	assert_true(tcp_relearn(&flow.state, &flow.track, &first, B));
	assert_passes(&flow, B, ACK, 300000, 400000, 0);
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, A, ACK, 400000, 300000, 100);
}

/* The SYN that it answers went by: the 4-tuple was free again, as its port was to the client. */
static void an_answer_to_an_unseen_syn_starts_over_what_was_over(void **unused) {
	(void)unused;
	const enum tcp_state over[] = {TCP_SYN_RECV, TCP_LAST_ACK, TCP_TIME_WAIT};
	for (size_t i = 0; i < sizeof over / sizeof over[0]; i++) {
		struct flow flow = {.state = over[i], .isn = {1000, 2000}, .window = 500};
		struct tcp_segment answer = segment(&flow, B, SYNACK, 0, 1, 0);
		assert_true(tcp_relearn(&flow.state, &flow.track, &answer, B));
		assert_passes(&flow, B, SYNACK, 0, 1, 0);
		assert_passes(&flow, B, SYNACK, 0, 1, 0); /* repeated */
		assert_state(&flow, TCP_SYN_RECV);
		assert_window(&flow, A, ACK, 1, 2, 0);
		assert_passes(&flow, A, ACK, 1, 1, 0);
		assert_state(&flow, TCP_ESTABLISHED);
		assert_passes(&flow, A, FIN, 1, 1, 100);
		assert_state(&flow, TCP_FIN_WAIT); /* the other FIN was another connection's */
	}
}

/* Of an open one it may be a repeat, whose ACK was lost; the receiver judges it. */
static void an_answer_in_an_adopted_connection_passes_and_teaches_nothing(void **unused) {
	(void)unused;
	const enum tcp_state open[] = {TCP_ESTABLISHED, TCP_FIN_WAIT, TCP_CLOSE_WAIT};
	for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
		struct flow flow = {.state = open[i], .isn = {1000, 2000}, .window = 500};
		struct tcp_segment answer = segment(&flow, B, SYNACK, 0, 1, 0);
		assert_false(tcp_relearn(&flow.state, &flow.track, &answer, B));
		assert_passes(&flow, B, SYNACK, 0, 1, 0);
		assert_state(&flow, open[i]);
		struct tcp_segment next = segment(&flow, B, ACK, 700000, 800000, 0);
		assert_true(tcp_relearn(&flow.state, &flow.track, &next, B));
		assert_passes(&flow, B, ACK, 700000, 800000, 0);
		assert_state(&flow, open[i]);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_reset_answers_a_syn_only_by_acknowledging_it),
	    cmocka_unit_test(resets_outside_the_window_are_dropped),
	    cmocka_unit_test(an_overrun_window_lets_no_guessed_reset_in),
	    cmocka_unit_test(a_guessed_reset_ends_when_its_victim_answers),
	    cmocka_unit_test(a_guessed_reset_and_a_syn_do_not_end_a_connection),
	    cmocka_unit_test(after_an_exact_reset_both_must_speak),
	    cmocka_unit_test(half_open_connections_are_cleared),
	    cmocka_unit_test(both_sides_may_have_forgotten),
	    cmocka_unit_test(mid_stream_connections_are_not_cut),
	    cmocka_unit_test(what_passed_unseen_is_learned_again),
	    cmocka_unit_test(an_adopted_connection_learns_from_whatever_comes),
	    cmocka_unit_test(an_answer_to_an_unseen_syn_starts_over_what_was_over),
	    cmocka_unit_test(an_answer_in_an_adopted_connection_passes_and_teaches_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
