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
	assert_int_equal(role_of(tcp_packet(TCP_SYN | TCP_ACK)), ROLE_ANSWER); /* proves no handshake */
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

static struct packet query_of(uint8_t protocol) {
	struct raw datagram = raw_udp("192.0.2.7", 40000, "192.0.2.1", 53);
	switch (protocol) {
	case PROTOCOL_UDP:
		return raw_parsed(&datagram);
	case PROTOCOL_ICMP:
		return icmp_packet("192.0.2.7", "192.0.2.1", 8);
	case PROTOCOL_ICMPV6:
		return icmp_packet("2001:db8::7", "2001:db8::1", 128);
	default:
		return protocol_packet(protocol);
	}
}

static void the_other_side_s_packet_is_the_reply(void **state) {
	(void)state;
	static const struct {
		uint8_t protocol, new, replied;
	} cases[] = {
	    {PROTOCOL_UDP, UDP_NEW, UDP_REPLIED},
	    {PROTOCOL_ICMP, ICMP_NEW, ICMP_REPLIED},
	    {PROTOCOL_ICMPV6, ICMP_NEW, ICMP_REPLIED},
	    {47, OTHER_NEW, OTHER_REPLIED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct packet packet = query_of(cases[i].protocol);
		const struct tracker *tracker = tracker_of(cases[i].protocol);
		struct tcp_track track;
		uint8_t current = tracker->open(&track, &packet);
		assert_int_equal(current, cases[i].new);
		assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OPENER), REASON_NONE);
		assert_int_equal(current, cases[i].new);
		assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OTHER), REASON_NONE);
		assert_int_equal(current, cases[i].replied);
		assert_int_equal(tracker->step(&current, &track, &packet, SIDE_OPENER), REASON_NONE);
		assert_int_equal(current, cases[i].replied);
		assert_false(tracker->reopens(current, &track, &packet, SIDE_OPENER));
	}
}

static uint32_t seconds(uint8_t state) {
	return default_timeouts.seconds[state_timeout(state)];
}

static void timeouts_are_what_the_rfcs_ask_for(void **state) {
	(void)state;
	assert_int_equal(seconds(TCP_ESTABLISHED), 2 * 3600 + 4 * 60);
	assert_int_equal(seconds(TCP_FIN_WAIT), 240);
	assert_int_equal(seconds(TCP_TIME_WAIT), 60);
	assert_int_equal(seconds(TCP_CLOSED), 15);
	assert_int_equal(seconds(UDP_NEW), 30);
	assert_int_equal(seconds(UDP_REPLIED), 300);
	assert_int_equal(seconds(ICMP_NEW), 60);
	assert_int_equal(seconds(ICMP_REPLIED), 60);
	assert_int_equal(seconds(OTHER_NEW), 600);
	assert_int_equal(seconds(OTHER_REPLIED), 600);
	for (int i = 0; i < TIMEOUTS; i++)
		assert_true(default_timeouts.seconds[i] > 0);
}

static void a_tcp_state_has_the_timeout_of_its_name(void **state) {
	(void)state;
	for (uint8_t i = 0; i < TCP_STATES; i++)
		assert_int_equal(states_named(timeout_name(state_timeout(i))), 1u << i);
}

static void only_an_established_connection_is_safe_from_eviction(void **state) {
	(void)state;
	static const uint8_t half_open[] = {TCP_SYN_SENT, TCP_SYN_RECV, UDP_NEW, ICMP_NEW, OTHER_NEW};
	enum worth expected[STATES];
	for (uint8_t i = 0; i < STATES; i++)
		expected[i] = WORTH_CLOSING;
	for (size_t i = 0; i < sizeof half_open; i++)
		expected[half_open[i]] = WORTH_HALF_OPEN;
	expected[TCP_ESTABLISHED] = WORTH_OPEN;
	for (uint8_t i = 0; i < STATES; i++)
		assert_int_equal(state_worth(i), expected[i]);
}

static void repeated_openings_renew_nothing(void **state) {
	(void)state;
	for (uint8_t i = 0; i < STATES; i++)
		assert_int_equal(state_renews(i), i != TCP_SYN_SENT && i != TCP_SYN_RECV && i != TCP_CLOSED);
}

static void only_what_may_have_gone_on_unseen_is_doubtful(void **state) {
	(void)state;
	for (uint8_t i = 0; i < STATES; i++)
		assert_int_equal(state_is_doubtful(i), i == TCP_ESTABLISHED || i == TCP_FIN_WAIT ||
							   i == TCP_CLOSE_WAIT || i == TCP_CLOSED ||
							   i == STATE_CUT);
}

static void a_name_stands_for_all_states_that_have_it(void **state) {
	(void)state;
	for (uint8_t i = 0; i < STATES; i++) {
		uint32_t named = states_named(state_name(i));
		for (uint8_t j = 0; j < STATES; j++)
			assert_int_equal(named >> j & 1, strcmp(state_name(i), state_name(j)) == 0);
	}
	assert_int_equal(states_named("new"), 1u << UDP_NEW | 1u << ICMP_NEW | 1u << OTHER_NEW);
	assert_int_equal(states_named("Replied"),
			 1u << UDP_REPLIED | 1u << ICMP_REPLIED | 1u << OTHER_REPLIED);
	assert_int_equal(states_named("syn-sent"), 1u << TCP_SYN_SENT);
	assert_int_equal(states_named("OPEN"), 0);
	assert_int_equal(states_named(""), 0);
}

static void every_timeout_has_a_name_of_its_own(void **state) {
	(void)state;
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
	    cmocka_unit_test(a_tcp_state_has_the_timeout_of_its_name),
	    cmocka_unit_test(only_an_established_connection_is_safe_from_eviction),
	    cmocka_unit_test(repeated_openings_renew_nothing),
	    cmocka_unit_test(only_what_may_have_gone_on_unseen_is_doubtful),
	    cmocka_unit_test(a_name_stands_for_all_states_that_have_it),
	    cmocka_unit_test(every_timeout_has_a_name_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
