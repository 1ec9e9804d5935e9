/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/filter: connections whose packets pass unseen, followed by copies; and what was cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world_of_one.h"

/* A copy of what the kernel has let pass. */
static bool see_tcp(struct world_of_one *world, enum hook hook, uint16_t port, uint8_t flags, uint32_t seq,
		    uint32_t ack) {
	struct raw_segment segment = {.flags = flags, .seq = seq, .ack = ack, .window = 60000};
	struct raw raw = hook == HOOK_IN ? raw_tcp(THERE, 40000, HERE, port, &segment)
					 : raw_tcp(HERE, port, THERE, 40000, &segment);
	struct packet packet = raw_parsed(&raw);
	struct arrival arrival = {.hook = hook, .interface_index = world->interface};
	return filter_see(&world->filter, &world->policy, &packet, &arrival, world->now);
}

static void open_by_copies(struct world_of_one *world, uint16_t port) {
	assert_string_equal(tcp(world, HOOK_IN, port, S, 100, 0, 0), "pass.rule");
	assert_true(world->last.lease);
	assert_true(see_tcp(world, HOOK_OUT, port, SA, 500, 101));
	assert_true(see_tcp(world, HOOK_IN, port, AC, 101, 501));
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	assert_int_equal(only_entry(world).flags, CONNECTION_LEASED);
}

static void a_leased_connection_is_followed_by_copies(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	open_by_copies(world, 22);
	/* Megabytes later the lease has run out: whatever the numbers are, they are right. */
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 90000000, 501, 10), "pass.connection");
	assert_true(world->last.lease);
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 70000000, 90000010, 10), "pass.connection");
	assert_true(see_tcp(world, HOOK_OUT, 22, FA, 80000000, 95000000));
	assert_int_equal(only_entry(world).state, TCP_CLOSE_WAIT);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 95000000, 80000001, 10), "pass.connection");
	assert_true(world->last.lease); /* half-closed, and it may go on for hours */
	assert_true(see_tcp(world, HOOK_IN, 22, FA, 96000000, 80000001));
	assert_int_equal(only_entry(world).state, TCP_TIME_WAIT);
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 80000001, 96000001, 0), "pass.connection");
	assert_false(world->last.lease);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 7, 0, 0), "pass.rule"); /* the port is free again */
	end(world);
}

static void a_forged_ack_opens_nothing(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_true(see_tcp(world, HOOK_IN, 22, AC, 101, 4711)); /* before any SYN/ACK */
	assert_int_equal(only_entry(world).state, TCP_SYN_SENT);
	assert_true(see_tcp(world, HOOK_OUT, 22, SA, 500, 101));
	assert_true(see_tcp(world, HOOK_IN, 22, AC, 101, 4711)); /* and with a number that it does not know */
	assert_int_equal(only_entry(world).state, TCP_SYN_RECV);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 4711, 10), "drop.window");
	assert_int_equal(only_entry(world).flags, 0);
	end(world);
}

static void an_ack_may_overtake_the_copy_of_what_it_answers(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 0), "pass.connection");
	assert_false(world->last.lease); /* it may be forged: the receiver knows */
	assert_int_equal(only_entry(world).state, TCP_SYN_SENT);
	assert_true(see_tcp(world, HOOK_OUT, 22, SA, 500, 101));
	assert_int_equal(only_entry(world).state, TCP_SYN_RECV);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	assert_true(world->last.lease);
	end(world);
	/* Where every packet is seen there is nothing to overtake. */
	world = begin("allow in tcp 22 strict\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 0), "drop.state");
	end(world);
}

static void data_that_overtakes_the_copy_too_may_be_answered(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 200000, 501, 10), "pass.connection"); /* forged */
	assert_true(see_tcp(world, HOOK_OUT, 22, SA, 500, 101));
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 111, 10), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_SYN_RECV);
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 112, 10), "drop.window");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 111, 511, 0), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	assert_true(world->last.lease);
	end(world);
}

static void what_comes_behind_the_reset_of_a_handshake_opens_nothing(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_true(see_tcp(world, HOOK_IN, 22, R, 101, 0));
	assert_int_equal(only_entry(world).state, TCP_CLOSED);
	see_tcp(world, HOOK_OUT, 22, AC, 500, 101);
	see_tcp(world, HOOK_OUT, 22, AC, 500, 101);
	see_tcp(world, HOOK_IN, 22, AC, 101, 500);
	assert_int_equal(only_entry(world).state, TCP_CLOSED);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 500, 0), "drop.window");
	end(world);
}

static void a_reset_on_a_lease_is_the_receivers_to_judge(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	open_by_copies(world, 22);
	assert_true(see_tcp(world, HOOK_IN, 22, TCP_RST, 4711, 0));
	assert_int_equal(only_entry(world).state, TCP_CLOSED);
	/* It was forged: both sides speak on when the lease has run out. */
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 90000000, 30000, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 30000, 90000010, 10), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	assert_true(world->last.lease);
	end(world);
}

static void a_handshake_that_both_sides_gave_up_does_not_stop_the_next(void **state) {
	(void)state;
	static const char *const rules[] = {"allow in tcp 22\n", "allow in tcp 22 strict\n"};
	for (size_t i = 0; i < 2; i++) {
		struct world_of_one *world = begin(rules[i], 100);
		assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
		assert_true(see_tcp(world, HOOK_OUT, 22, SA, 500, 101));
		assert_int_equal(only_entry(world).state, TCP_SYN_RECV);
		assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.connection"); /* repeated */
		assert_string_equal(tcp(world, HOOK_OUT, 22, SA, 900000, 3000000001, 0), "drop.window");
		assert_string_equal(tcp(world, HOOK_IN, 22, S, 3000000000, 0, 0), "pass.connection");
		assert_string_equal(tcp(world, HOOK_OUT, 22, SA, 900000, 3000000001, 0), "pass.connection");
		assert_string_equal(tcp(world, HOOK_IN, 22, AC, 3000000001, 900001, 10), "pass.connection");
		assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
		end(world);
	}
}

static void nothing_is_leased_where_all_is_inspected(void **state) {
	(void)state;
	static const char *const rules[] = {"allow in tcp 22 strict\nallow in udp 53 strict\n",
					    "inspect all\nallow in tcp 22\nallow in udp 53\n"};
	for (size_t i = 0; i < 2; i++) {
		struct world_of_one *world = begin(rules[i], 100);
		shake_hands(world, 22);
		assert_false(world->last.lease);
		assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
		assert_false(world->last.lease);
		assert_int_equal(only_entry(world).flags, 0);
		for (int again = 0; again < 3; again++) {
			udp(world, HOOK_IN, 53, 5000);
			assert_false(world->last.lease);
		}
		end(world);
	}
}

static void a_rule_that_became_strict_ends_leases(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	open_by_copies(world, 22);
	load(world, "allow in tcp 22 strict\n");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 90000000, 501, 10), "pass.connection");
	assert_false(world->last.lease);
	assert_int_equal(only_entry(world).flags, 0);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 3000000000, 501, 10), "drop.window");
	end(world);
}

static void a_udp_lease_takes_more_than_one_packet_from_outside(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in udp 53\n", 100);
	assert_string_equal(udp(world, HOOK_IN, 53, 5000), "pass.rule");
	assert_false(world->last.lease);
	assert_string_equal(udp(world, HOOK_OUT, 53, 5000), "pass.connection");
	assert_false(world->last.lease); /* one question, one answer */
	assert_string_equal(udp(world, HOOK_IN, 53, 5000), "pass.connection");
	assert_true(world->last.lease);
	assert_string_equal(udp(world, HOOK_OUT, 6000, 53), "pass.default");
	assert_true(world->last.lease); /* nobody else can make this one */
	end(world);
}

static void a_copy_of_a_stranger_changes_nothing(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	assert_false(see_tcp(world, HOOK_IN, 22, AC, 1, 1));
	assert_int_equal(entries(world), 0);
	end(world);
}

static void the_windows_follow_what_leaves_translated_and_does_not_fit(void **state) {
	(void)state;
	struct world_of_one *world = begin("inspect all\ndefault out drop\n", 100);
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, S, 100, 0, 0), "pass.learned");
	assert_string_equal(tcp(world, HOOK_IN, 6000, SA, 900, 101, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, AC, 101, 901, 0), "pass.connection");
	assert_int_equal(only_entry(world).flags & CONNECTION_LEASED, 0);
	assert_string_equal(tcp(world, HOOK_IN, 6000, AC, 901, 3000000050, 10), "drop.window");
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, AC, 3000000000, 901, 50), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 6000, AC, 901, 3000000050, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, AC, 3000000050, 911, 50), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 6000, AC, 911, 101, 10), "drop.window"); /* the old place */
	end(world);
}

static void the_windows_follow_a_copy_that_does_not_fit(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22 strict\n", 100);
	shake_hands(world, 22);
	assert_int_equal(only_entry(world).flags & CONNECTION_LEASED, 0);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 3000000000, 501, 10), "drop.window");
	assert_true(see_tcp(world, HOOK_IN, 22, AC, 3000000000, 501)); /* the kernel has let it pass */
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 3000000000, 501, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 3000000010, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "drop.window"); /* the old place */
	end(world);
}

static void what_was_cut_stays_out(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\nallow in udp 5000\n", 100);
	shake_hands(world, 22);
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "pass.rule");
	load(world, "allow in tcp 23\n");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "drop.cut");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 101, 10), "drop.cut");
	/* A published port's next datagram looks like an opening, and must not be learned as one. */
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "drop.default");
	end(world);

	world = begin("allow in udp 5000\n", 100);
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "pass.rule");
	load(world, "allow in tcp 23\n");
	assert_string_equal(udp(world, HOOK_LEARN, 5000, 53), "pass.learned");
	assert_false(world->last.opened);
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "drop.default");
	end(world);
}

static void a_syn_takes_the_place_of_what_was_cut(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\nallow in tcp 80\n", 100);
	shake_hands(world, 22);
	load(world, "allow in tcp 80\n");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "drop.cut");
	load(world, "allow in tcp 22\n");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "drop.cut"); /* for good */
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 9000, 0, 0), "pass.rule");
	assert_int_equal(only_entry(world).state, TCP_SYN_SENT);
	end(world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_leased_connection_is_followed_by_copies),
	    cmocka_unit_test(a_forged_ack_opens_nothing),
	    cmocka_unit_test(an_ack_may_overtake_the_copy_of_what_it_answers),
	    cmocka_unit_test(data_that_overtakes_the_copy_too_may_be_answered),
	    cmocka_unit_test(what_comes_behind_the_reset_of_a_handshake_opens_nothing),
	    cmocka_unit_test(a_reset_on_a_lease_is_the_receivers_to_judge),
	    cmocka_unit_test(a_handshake_that_both_sides_gave_up_does_not_stop_the_next),
	    cmocka_unit_test(nothing_is_leased_where_all_is_inspected),
	    cmocka_unit_test(a_rule_that_became_strict_ends_leases),
	    cmocka_unit_test(a_udp_lease_takes_more_than_one_packet_from_outside),
	    cmocka_unit_test(a_copy_of_a_stranger_changes_nothing),
	    cmocka_unit_test(the_windows_follow_what_leaves_translated_and_does_not_fit),
	    cmocka_unit_test(the_windows_follow_a_copy_that_does_not_fit),
	    cmocka_unit_test(what_was_cut_stays_out),
	    cmocka_unit_test(a_syn_takes_the_place_of_what_was_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
