/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp at the bounds where it once differed from RFC 9293.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "flow.h"

/* RFC 9293 3.10.7.4, fourth: it is answered and thrown away. Were it taken for something sent, a forged one
 * would keep the real RST out and the last FIN from being acknowledged. */
static void a_syn_ack_in_an_open_connection_teaches_no_sequence_number(void **unused) {
	(void)unused;
	struct flow flow = established();
	assert_passes(&flow, B, SYNACK, 10000, 1, 60000);
	assert_window(&flow, A, ACK, 1, 2, 0);
	assert_passes(&flow, B, RST, 1, 0, 0);
	assert_state(&flow, TCP_CLOSED);
	flow = in_state(TCP_LAST_ACK);
	assert_passes(&flow, B, SYNACK, 5000, 2, 0);
	assert_passes(&flow, A, ACK, 2, 2, 0);
	assert_state(&flow, TCP_TIME_WAIT);
}

/* RFC 9293 3.5, figure 7: an opener has chosen its ISN. Only a server may have forgotten its own. */
static void an_opener_does_not_change_its_isn_when_syns_cross(void **unused) {
	(void)unused;
	struct flow flow = opened();
	assert_passes(&flow, B, SYN, 0, 0, 0);
	assert_window(&flow, A, SYNACK, 500, 1, 0);
	assert_passes(&flow, A, SYNACK, 0, 1, 0);
	assert_passes(&flow, B, SYNACK, 0, 1, 0);
	assert_state(&flow, TCP_ESTABLISHED);
}

/* Of what fits, the first and the last may be more than 2^31 apart. */
static void an_old_acknowledgment_does_not_narrow_the_widest_window(void **unused) {
	(void)unused;
	struct flow flow;
	memset(&flow, 0, sizeof flow);
	flow.window = 60000;
	flow.state = TCP_ESTABLISHED;
	struct tcp_segment first = segment(&flow, A, ACK, 0, 0, 0);
	tcp_pickup(&flow.track, &first, A);
	assert_passes(&flow, A, ACK, 0, 0u - 2147450000u, 0);
	assert_passes(&flow, B, ACK, 0, 0, 1000);
	assert_passes(&flow, B, ACK, 1 << 29, 0, 1000);
	assert_window(&flow, B, ACK, 0x7fffffff, 0, 0);
}

static void an_old_segment_fits_the_widest_window(void **unused) {
	(void)unused;
	struct flow flow = opened_at(1, 1, 65535, 14);
	shake_hands(&flow);
	assert_passes(&flow, B, ACK, 1, 1, 0);
	assert_passes(&flow, A, ACK, 1, 1, 0);
	uint32_t widest = 65535 << 14;
	assert_passes(&flow, A, ACK, 1 - widest - 65535, 1, 65535);
	assert_window(&flow, A, ACK, 0 - widest - 65535, 1, 65535);
}

static void a_connection_that_starts_over_may_begin_with_data(void **unused) {
	(void)unused;
	struct flow flow = established();
	flow.isn[A] = 0x40000000;
	flow.isn[B] = 0xc0000000;
	assert_passes(&flow, A, SYN, 0, 0, 0);
	assert_window(&flow, B, SYNACK, 0, 1, 65536);
	assert_passes(&flow, B, SYNACK, 0, 1, 700);
	assert_window(&flow, A, ACK, 1, 0, 0);
	assert_passes(&flow, A, ACK, 1, 1, 0); /* takes the SYN alone */
	assert_state(&flow, TCP_ESTABLISHED);
	assert_passes(&flow, B, ACK, 1, 1, 700);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_syn_ack_in_an_open_connection_teaches_no_sequence_number),
	    cmocka_unit_test(an_opener_does_not_change_its_isn_when_syns_cross),
	    cmocka_unit_test(an_old_acknowledgment_does_not_narrow_the_widest_window),
	    cmocka_unit_test(an_old_segment_fits_the_widest_window),
	    cmocka_unit_test(a_connection_that_starts_over_may_begin_with_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
