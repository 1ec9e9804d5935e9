/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/track: what each protocol's tracker says of packets, states, timeouts and worth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../packets.h"
#include "sallyport/core/track.h"

static struct packet tcp_packet(uint8_t flags) {
	struct raw_segment segment = {.flags = flags, .seq = 1, .ack = 1, .window = 1000};
	struct raw raw = raw_tcp("192.0.2.7", 40000, "192.0.2.1", 22, &segment);
	return raw_parsed(&raw);
}

static struct packet icmp_packet(const char *from, const char *to, uint8_t type) {
	struct raw raw = raw_icmp(from, to, type, 7);
	return raw_parsed(&raw);
}

static struct packet protocol_packet(uint8_t protocol) {
	struct raw raw = raw_ip("192.0.2.7", "192.0.2.1", protocol);
	raw_pad(&raw, 20);
	return raw_parsed(&raw);
}

static enum role role_of(struct packet packet) {
	return tracker_of(packet.tuple.protocol)->role(&packet);
}

static void only_a_pure_syn_opens_tcp(void **state) {
	(void)state;
	assert_int_equal(role_of(tcp_packet(TCP_SYN)), ROLE_OPENS);
	assert_int_equal(role_of(tcp_packet(TCP_SYN | TCP_PSH)), ROLE_OPENS);
	assert_int_equal(role_of(tcp_packet(TCP_SYN | TCP_ACK)), ROLE_MIDSTREAM);
	assert_int_equal(role_of(tcp_packet(TCP_ACK)), ROLE_MIDSTREAM);
	assert_int_equal(role_of(tcp_packet(TCP_FIN | TCP_ACK)), ROLE_MIDSTREAM);
	assert_int_equal(role_of(tcp_packet(TCP_RST)), ROLE_RESET);
	assert_int_equal(role_of(tcp_packet(TCP_RST | TCP_ACK)), ROLE_RESET);
}

static void queries_open_and_answers_do_not(void **state) {
	(void)state;
	assert_int_equal(role_of(icmp_packet("192.0.2.7", "192.0.2.1", 8)), ROLE_OPENS);
	assert_int_equal(role_of(icmp_packet("192.0.2.7", "192.0.2.1", 0)), ROLE_ANSWER);
	assert_int_equal(role_of(icmp_packet("192.0.2.7", "192.0.2.1", 5)), ROLE_ALONE); /* redirect */
	assert_int_equal(role_of(icmp_packet("2001:db8::7", "2001:db8::1", 128)), ROLE_OPENS);
	assert_int_equal(role_of(icmp_packet("2001:db8::7", "2001:db8::1", 129)), ROLE_ANSWER);
	assert_int_equal(role_of(icmp_packet("2001:db8::7", "2001:db8::1", 135)), ROLE_ALONE);
}

static void every_other_packet_opens(void **state) {
	(void)state;
	assert_int_equal(role_of(protocol_packet(47)), ROLE_OPENS);
	assert_int_equal(role_of(protocol_packet(132)), ROLE_OPENS);
	for (unsigned protocol = 0; protocol < 256; protocol++)
		assert_non_null(tracker_of((uint8_t)protocol));
}

static void the_other_side_s_packet_is_the_reply(void **state) {
	(void)state;
	struct packet packet = protocol_packet(47);
	const struct tracker *tracker = tracker_of(47);
	struct tcp_track track;
	uint8_t current;
	tracker->open(&current, &track, &packet);
	assert_int_equal(current, PSEUDO_NEW);
	assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OPENER), REASON_NONE);
	assert_int_equal(current, PSEUDO_NEW);
	assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OTHER), REASON_NONE);
	assert_int_equal(current, PSEUDO_REPLIED);
	assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OPENER), REASON_NONE);
	assert_int_equal(current, PSEUDO_REPLIED);
	assert_false(tracker->reopens(current, &track, &packet, SIDE_OPENER));
}

static uint32_t seconds(uint8_t protocol, uint8_t state) {
	return default_timeouts.seconds[tracker_of(protocol)->timeout(state)];
}

static void timeouts_are_what_the_rfcs_ask_for(void **state) {
	(void)state;
	assert_int_equal(seconds(PROTOCOL_TCP, TCP_ESTABLISHED), 2 * 3600 + 4 * 60);
	assert_int_equal(seconds(PROTOCOL_TCP, TCP_FIN_WAIT), 240);
	assert_int_equal(seconds(PROTOCOL_TCP, TCP_TIME_WAIT), 60);
	assert_int_equal(seconds(PROTOCOL_TCP, TCP_CLOSED), 10);
	assert_int_equal(seconds(PROTOCOL_UDP, PSEUDO_NEW), 30);
	assert_int_equal(seconds(PROTOCOL_UDP, PSEUDO_REPLIED), 300);
	assert_int_equal(seconds(PROTOCOL_ICMP, PSEUDO_NEW), 60);
	assert_int_equal(seconds(PROTOCOL_ICMPV6, PSEUDO_REPLIED), 60);
	assert_int_equal(seconds(47, PSEUDO_REPLIED), 600);
	for (int i = 0; i < TIMEOUTS; i++)
		assert_true(default_timeouts.seconds[i] > 0);
}

static void tcp_timeouts_stand_in_the_order_of_the_states(void **state) {
	(void)state;
	for (uint8_t i = 0; i < TCP_STATES; i++) {
		uint8_t parsed;
		enum timeout timeout = tracker_of(PROTOCOL_TCP)->timeout(i);
		assert_true(state_parse(timeout_name(timeout), &parsed));
		assert_int_equal(parsed, i);
	}
}

static void only_an_established_connection_is_safe_from_eviction(void **state) {
	(void)state;
	const struct tracker *tcp = tracker_of(PROTOCOL_TCP), *udp = tracker_of(PROTOCOL_UDP);
	assert_int_equal(tcp->worth(TCP_SYN_SENT), WORTH_HALF_OPEN);
	assert_int_equal(tcp->worth(TCP_SYN_RECV), WORTH_HALF_OPEN);
	assert_int_equal(tcp->worth(TCP_ESTABLISHED), WORTH_OPEN);
	for (uint8_t i = TCP_FIN_WAIT; i < TCP_STATES; i++)
		assert_int_equal(tcp->worth(i), WORTH_CLOSING);
	assert_int_equal(udp->worth(PSEUDO_NEW), WORTH_HALF_OPEN);
	assert_int_equal(udp->worth(PSEUDO_REPLIED), WORTH_CLOSING);
}

static void repeated_openings_renew_nothing(void **state) {
	(void)state;
	const struct tracker *tcp = tracker_of(PROTOCOL_TCP), *udp = tracker_of(PROTOCOL_UDP);
	assert_false(tcp->renews(TCP_SYN_SENT) || tcp->renews(TCP_SYN_RECV) || tcp->renews(TCP_CLOSED));
	assert_true(tcp->renews(TCP_ESTABLISHED) && tcp->renews(TCP_FIN_WAIT) && tcp->renews(TCP_CLOSE_WAIT));
	assert_true(udp->renews(PSEUDO_NEW) && udp->renews(PSEUDO_REPLIED));
}

static void every_state_and_timeout_has_a_name_of_its_own(void **state) {
	(void)state;
	for (uint8_t i = 0; i < STATES; i++) {
		uint8_t parsed = 255;
		assert_true(state_parse(state_name(i), &parsed));
		assert_int_equal(parsed, i);
	}
	uint8_t parsed = 99;
	assert_false(state_parse("OPEN", &parsed));
	assert_int_equal(parsed, 99);
	for (int i = 0; i < TIMEOUTS; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(timeout_name((enum timeout)i), timeout_name((enum timeout)j));
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_a_pure_syn_opens_tcp),
	    cmocka_unit_test(queries_open_and_answers_do_not),
	    cmocka_unit_test(every_other_packet_opens),
	    cmocka_unit_test(the_other_side_s_packet_is_the_reply),
	    cmocka_unit_test(timeouts_are_what_the_rfcs_ask_for),
	    cmocka_unit_test(tcp_timeouts_stand_in_the_order_of_the_states),
	    cmocka_unit_test(only_an_established_connection_is_safe_from_eviction),
	    cmocka_unit_test(repeated_openings_renew_nothing),
	    cmocka_unit_test(every_state_and_timeout_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
