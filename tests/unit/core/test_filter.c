/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/filter: whole packets against rules and table, in the order in which a host sees them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "world_of_one.h"

static void an_allowed_connection_lives_and_ends(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22 strict\n", 100);
	shake_hands(world, 22);
	struct connection connection = only_entry(world);
	assert_int_equal(connection.state, TCP_ESTABLISHED);
	assert_int_equal(connection.direction, DIRECTION_IN);
	assert_int_equal(connection.generation, 1);
	assert_int_equal(connection.interface, 1);
	assert_int_equal(connection.renewed, 1000);
	assert_int_equal(line_of(world, connection.rule), 1);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 1000), "pass.connection");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 1101, 1000), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 200000, 501, 10), "drop.window");
	assert_string_equal(tcp(world, HOOK_OUT, 22, FA, 1501, 1101, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, FA, 1101, 1502, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 1502, 1102, 0), "pass.connection");
	connection = only_entry(world);
	assert_int_equal(connection.state, TCP_TIME_WAIT);
	assert_int_equal(connection.renewed, 1000);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 777, 0, 0), "pass.rule"); /* the port again */
	assert_int_equal(only_entry(world).state, TCP_SYN_SENT);
	end(world);
}

static void rules_and_defaults_refuse(void **state) {
	(void)state;
	struct world_of_one *world = begin("reject in log tcp 113\n"
					   "drop in tcp 23\n"
					   "drop out tcp 25\n",
					   100);
	assert_string_equal(tcp(world, HOOK_IN, 113, S, 1, 0, 0), "reject.rule");
	assert_int_equal(world->last.verdict, VERDICT_REJECT);
	assert_true(world->last.log);
	assert_int_equal(line_of(world, world->last.rule), 1);
	assert_string_equal(tcp(world, HOOK_IN, 23, S, 1, 0, 0), "drop.rule");
	assert_int_equal(world->last.verdict, VERDICT_DROP);
	assert_false(world->last.log || world->last.opened);
	assert_string_equal(tcp(world, HOOK_IN, 80, S, 1, 0, 0), "drop.default");
	assert_true(world->last.rule == NO_RULE);
	assert_int_equal(world->last.direction, DIRECTION_IN);
	assert_string_equal(udp(world, HOOK_OUT, 5000, 53), "pass.default");
	assert_int_equal(world->last.direction, DIRECTION_OUT);
	assert_int_equal(entries(world), 1);
	end(world);
}

static void counters_are_kept_by_rule(void **state) {
	(void)state;
	struct world_of_one *world = begin("essentials off\n"
					   "allow in tcp 22\n"
					   "drop in tcp 23\n",
					   100);
	shake_hands(world, 22);
	world->now = 1005;
	tcp(world, HOOK_IN, 23, S, 1, 0, 0);
	tcp(world, HOOK_IN, 23, S, 1, 0, 0);
	tcp(world, HOOK_IN, 80, S, 1, 0, 0);
	udp(world, HOOK_OUT, 5000, 53);
	udp(world, HOOK_IN, 5000, 53);
	static const uint64_t packets[] = {3, 2, 1, 2}, connections[] = {1, 2, 1, 1};
	static const uint32_t last_hit[] = {1000, 1005, 1005, 1005};
	assert_int_equal(world->policy.ruleset->count, 2);
	for (size_t i = 0; i < 4; i++) { /* two rules, default in, default out */
		assert_int_equal(world->policy.counters[i].packets, packets[i]);
		assert_int_equal(world->policy.counters[i].connections, connections[i]);
		assert_int_equal(world->policy.counters[i].last_hit, last_hit[i]);
	}
	end(world);
}

static void repeats_of_a_syn_do_not_keep_it_alive(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	tcp(world, HOOK_IN, 22, S, 100, 0, 0);
	world->now += 100;
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.connection");
	assert_int_equal(only_entry(world).renewed, 1000);
	end(world);
}

static void packets_that_lead_on_or_belong_renew(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22 strict\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	world->now = 1010; /* another state */
	assert_string_equal(tcp(world, HOOK_OUT, 22, SA, 500, 101, 0), "pass.connection");
	assert_int_equal(only_entry(world).renewed, 1010);
	world->now = 1020;
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 0), "pass.connection");
	world->now = 1030; /* the same state */
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
	assert_int_equal(only_entry(world).renewed, 1030);
	world->now = 1040; /* not of it */
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 900000, 501, 10), "drop.window");
	assert_int_equal(only_entry(world).renewed, 1030);
	assert_int_equal(only_entry(world).opened, 1000);
	end(world);
}

static void what_belongs_to_nothing_is_dropped(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in any\nallow out any\n", 100);
	static const uint8_t flags[] = {AC, SA, FA, R, R | AC};
	for (size_t i = 0; i < sizeof flags; i++)
		assert_string_equal(tcp(world, HOOK_IN, 22, flags[i], 1, 1, 0), "drop.no-connection");
	assert_string_equal(icmp(world, HOOK_IN, 0, 5), "drop.no-connection");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 1, 1, 0), "drop.no-connection");
	assert_string_equal(tcp(world, HOOK_OUT, 22, R, 1, 1, 0), "pass.reset");
	assert_string_equal(tcp(world, HOOK_OUT, 22, R | AC, 1, 1, 0), "pass.reset");
	assert_int_equal(entries(world), 0);
	end(world);
}

static void pickup_takes_up_what_the_rules_allow(void **state) {
	(void)state;
	struct world_of_one *world = begin("pickup on\nallow in tcp 22\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 80, AC, 1, 1, 0), "drop.default");
	assert_string_equal(tcp(world, HOOK_IN, 22, R, 1, 0, 0), "drop.no-connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, TCP_SYN | AC, 1, 1, 0), "drop.no-connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 5000, 9000, 10), "pass.pickup");
	assert_true(world->last.opened);
	assert_int_equal(only_entry(world).flags, CONNECTION_LEASED);
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 90000, 5010, 1000), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 5010, 91000, 0), "pass.connection");
	end(world);
}

static void udp_and_echo_replies_pass_and_strangers_do_not(void **state) {
	(void)state;
	struct world_of_one *world = begin("default out allow\n", 100);
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "drop.default");
	assert_string_equal(udp(world, HOOK_OUT, 5000, 53), "pass.default");
	assert_int_equal(only_entry(world).state, UDP_NEW);
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "pass.connection");
	assert_int_equal(only_entry(world).state, UDP_REPLIED);
	assert_string_equal(udp(world, HOOK_IN, 5000, 54), "drop.default");
	assert_string_equal(icmp(world, HOOK_OUT, 8, 77), "pass.default");
	assert_string_equal(icmp(world, HOOK_IN, 0, 78), "drop.no-connection");
	assert_string_equal(icmp(world, HOOK_IN, 0, 77), "pass.connection");
	end(world);
}

static void echo_requests_need_a_rule_by_their_type(void **state) {
	(void)state;
	struct world_of_one *world = begin("essentials off\nallow in icmp echo-request\n", 100);
	assert_string_equal(icmp(world, HOOK_IN, 8, 77), "pass.rule");
	assert_string_equal(icmp(world, HOOK_OUT, 0, 77), "pass.connection");
	assert_string_equal(icmp(world, HOOK_IN, 13, 77), "drop.default"); /* timestamp */
	struct keyed_connection copies[8];
	assert_int_equal(standing(world, copies), 1);
	struct question question = connection_question(&copies[0].key, DIRECTION_IN, NULL);
	assert_int_equal(question.icmp_type, 8);
	assert_int_equal(question.from_port, 0);
	end(world);
}

static void other_icmp_is_judged_packet_by_packet(void **state) {
	(void)state;
	struct world_of_one *world = begin("essentials off\nallow in icmpv6 nd-router-solicit\n", 100);
	struct raw solicitation = raw_icmp("fe80::7", "ff02::2", 133, 0);
	struct raw redirect = raw_icmp("fe80::7", "fe80::1", 137, 0);
	assert_string_equal(judge(world, HOOK_IN, &solicitation), "pass.rule");
	assert_false(world->last.opened);
	assert_string_equal(judge(world, HOOK_IN, &redirect), "drop.default");
	assert_int_equal(entries(world), 0);
	end(world);
}

static const char *error_about(struct world_of_one *world, enum hook hook, const struct raw *about) {
	struct raw raw = hook == HOOK_IN ? raw_icmp_error("203.0.113.1", HERE, 3, about, 28)
					 : raw_icmp_error(HERE, THERE, 3, about, 28);
	return judge(world, hook, &raw);
}

static void errors_pass_only_about_known_connections(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	struct raw known = raw_udp(HERE, 5000, THERE, 53), unknown = raw_udp(HERE, 5001, THERE, 53);
	udp(world, HOOK_OUT, 5000, 53);
	world->now += 5;
	assert_string_equal(error_about(world, HOOK_IN, &known), "pass.related");
	assert_int_equal(only_entry(world).renewed, 1000); /* renews nothing */
	assert_string_equal(error_about(world, HOOK_IN, &unknown), "drop.stray-error");
	struct raw backwards = raw_udp(THERE, 53, HERE, 5000);
	assert_string_equal(error_about(world, HOOK_IN, &backwards), "drop.stray-error");
	struct raw cut = raw_icmp_error("203.0.113.1", HERE, 3, &known, 20);
	assert_string_equal(judge(world, HOOK_IN, &cut), "drop.stray-error");
	struct raw refused = raw_udp(THERE, 1, HERE, 2);
	assert_string_equal(error_about(world, HOOK_OUT, &refused), "pass.related");
	end(world);
}

static void errors_about_what_the_busy_kernel_admitted_pass_before_it_is_known(void **state) {
	(void)state;
	struct world_of_one *world =
	    begin("allow in tcp 80 on eth0\nallow in tcp 82 strict\ndefault out allow\n", 100);
	struct raw_segment data = {.flags = AC, .seq = 1, .ack = 1, .window = 100, .payload = 10};
	struct raw answer = raw_tcp(HERE, 80, THERE, 40000, &data);
	struct raw closed = raw_tcp(HERE, 81, THERE, 40000, &data), udp = raw_udp(HERE, 80, THERE, 40000);
	struct raw strict = raw_tcp(HERE, 82, THERE, 40000, &data);
	assert_string_equal(error_about(world, HOOK_IN, &answer), "drop.stray-error");
	world->filter.behind = true;
	assert_string_equal(error_about(world, HOOK_IN, &answer), "pass.related");
	assert_string_equal(error_about(world, HOOK_IN, &closed), "drop.stray-error");
	assert_string_equal(error_about(world, HOOK_IN, &udp), "drop.stray-error");
	assert_string_equal(error_about(world, HOOK_IN, &strict), "drop.stray-error");
	world->interface = 2;
	assert_string_equal(error_about(world, HOOK_IN, &answer), "drop.stray-error");
	assert_int_equal(entries(world), 0);
	end(world);
}

/* Another worker has judged by the new rules already, and the number is one of those. */
static void a_worker_with_old_rules_reads_no_rule_of_the_new(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	struct rule_counters counters[200] = {0};
	struct raw_segment answer = {.flags = SA, .seq = 500, .ack = 101, .window = 100};
	struct raw about = raw_tcp(HERE, 22, THERE, 40000, &answer);
	char many[8192] = "";
	size_t length = 0;
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	for (unsigned i = 0; i < 150; i++)
		length += (size_t)snprintf(many + length, sizeof many - length, "drop in udp %u\n", i + 1);
	snprintf(many + length, sizeof many - length, "allow in tcp 22\n");
	load(world, many);
	error_about(world, HOOK_IN, &about);
	assert_true(only_entry(world).rule > 100);
	free(world->policy.counters);
	world->policy = (struct policy){world->rulesets[0], counters};
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 0), "drop.state");
	world->policy.counters = NULL;
	end(world);
}

static void a_reload_keeps_what_stays_allowed_and_cuts_the_rest(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\nallow in tcp 80\n", 100);
	shake_hands(world, 22);
	shake_hands(world, 80);
	load(world, "# other lines\n\nallow in tcp 22\n");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 101, 10), "pass.connection");
	assert_string_equal(tcp(world, HOOK_OUT, 80, AC, 501, 101, 10), "drop.cut");
	assert_string_equal(tcp(world, HOOK_IN, 80, AC, 101, 501, 10), "drop.cut");
	assert_string_equal(tcp(world, HOOK_OUT, 80, R, 501, 0, 0), "pass.reset");
	struct connection connection = only_entry(world);
	assert_int_equal(connection.generation, 2);
	assert_int_equal(line_of(world, connection.rule), 3);
	load(world, "drop in tcp 22\ndefault in allow\n");
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 9000, 0, 0), "drop.rule"); /* judged anew */
	assert_int_equal(entries(world), 0);
	end(world);
}

static void a_thread_with_older_rules_cuts_nothing_newer(void **state) {
	(void)state;
	struct world_of_one *world = begin("default in drop\n", 100);
	struct policy older = world->policy;
	world->policy.counters = NULL;
	load(world, "allow in tcp 22\nallow in tcp 80\n");
	shake_hands(world, 22);
	struct policy newer = world->policy;
	world->policy = older;
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
	assert_int_equal(only_entry(world).generation, 2);
	free(older.counters);
	world->policy = newer;
	end(world);
}

/* A connection keeps its generation's low byte. */
static void the_next_generation_is_newer_wherever_the_byte_wraps(void **state) {
	(void)state;
	static const uint32_t generations[] = {126, 127, 128, 254, 255, 256, 65535};
	for (size_t i = 0; i < sizeof generations / sizeof *generations; i++) {
		struct world_of_one *world = begin("allow in tcp 22\nallow in tcp 80\n", 100);
		world->rulesets[0]->generation = generations[i];
		shake_hands(world, 22);
		shake_hands(world, 80);
		load(world, "allow in tcp 22\n");
		world->rulesets[1]->generation = generations[i] + 1;
		assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 101, 10), "pass.connection");
		assert_string_equal(tcp(world, HOOK_OUT, 80, AC, 501, 101, 10), "drop.cut");
		assert_int_equal(only_entry(world).generation, (uint8_t)(generations[i] + 1));
		world->policy.ruleset = world->rulesets[0]; /* a thread that has not heard of it yet */
		assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 101, 10), "pass.connection");
		assert_int_equal(only_entry(world).generation, (uint8_t)(generations[i] + 1));
		end(world);
	}
}

static void an_interface_counts_where_the_connection_was_opened(void **state) {
	(void)state;
	static const char rules[] = "allow in tcp 22 on eth1\n";
	struct world_of_one *world = begin(rules, 100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "drop.default");
	world->interface = 2;
	shake_hands(world, 22);
	load(world, rules);
	world->interface = 1; /* the replies leave elsewhere */
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 501, 101, 10), "pass.connection");
	assert_int_equal(only_entry(world).generation, 2);
	load(world, "allow in tcp 22 on eth0\n");
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 511, 101, 10), "drop.cut");
	end(world);
}

static void learned_connections_pass_and_get_replies(void **state) {
	(void)state;
	struct world_of_one *world = begin("default out drop\n", 100);
	assert_string_equal(udp(world, HOOK_LEARN, 5000, 53), "pass.learned");
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "pass.connection");
	load(world, "default out drop\n"); /* no rule was asked, none can take it back */
	assert_string_equal(udp(world, HOOK_IN, 5000, 53), "pass.connection");
	assert_true(only_entry(world).flags & CONNECTION_LEARNED);
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, S, 100, 0, 0), "pass.learned");
	assert_string_equal(tcp(world, HOOK_IN, 6000, SA, 900, 101, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, AC, 101, 901, 50), "pass.connection");
	/* Out of any window, but not ours to stop; and its answer passes. */
	assert_string_equal(tcp(world, HOOK_LEARN, 6000, AC, 900000, 901, 50), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 6000, AC, 901, 900050, 50), "pass.connection");
	end(world);
}

static void what_answers_is_not_learned(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 8080\n", 100);
	shake_hands(world, 8080);
	load(world, "default in drop\n");
	/* A published port's answer must not open again what was just cut. */
	assert_string_equal(tcp(world, HOOK_LEARN, 8080, AC, 501, 101, 10), "pass.learned");
	assert_string_equal(tcp(world, HOOK_IN, 8080, AC, 101, 511, 10), "drop.cut");
	assert_string_equal(tcp(world, HOOK_LEARN, 8080, R, 511, 101, 0), "pass.learned");
	assert_string_equal(icmp(world, HOOK_LEARN, 0, 4), "pass.learned");
	assert_int_equal(entries(world), 0);
	load(world, "pickup on\n");
	assert_string_equal(tcp(world, HOOK_LEARN, 6001, AC, 1, 1, 0), "pass.learned");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	end(world);
}

static void replies_of_a_published_port_leave_as_its_connection(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 8080\n", 100);
	assert_string_equal(tcp(world, HOOK_IN, 8080, S, 100, 0, 0), "pass.rule");
	assert_string_equal(tcp(world, HOOK_LEARN, 8080, SA, 500, 101, 0), "pass.connection");
	assert_string_equal(tcp(world, HOOK_IN, 8080, AC, 101, 501, 0), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	end(world);
}

static void a_full_table_refuses_what_is_new(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\nallow in tcp 80\nallow in tcp 81\n", 1);
	assert_string_equal(tcp(world, HOOK_IN, 80, S, 100, 0, 0), "pass.rule");
	shake_hands(world, 22); /* takes the place of the half-open one */
	assert_int_equal(entries(world), 1);
	assert_string_equal(tcp(world, HOOK_IN, 81, S, 100, 0, 0), "drop.table-full");
	assert_int_equal(world->last.verdict, VERDICT_DROP);
	assert_false(world->last.opened);
	assert_string_equal(udp(world, HOOK_LEARN, 5000, 53), "pass.learned");
	assert_false(world->last.opened);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 101, 501, 10), "pass.connection");
	end(world);
}

static void after_packets_passed_unseen_windows_are_learned_again(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22 strict\n", 100);
	shake_hands(world, 22);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 5000000, 700000, 10), "drop.window");
	atomic_store(&world->filter.epoch, 1);
	assert_string_equal(tcp(world, HOOK_IN, 22, AC, 5000000, 700000, 10), "pass.connection");
	assert_int_equal(only_entry(world).epoch, 1);
	assert_string_equal(tcp(world, HOOK_OUT, 22, AC, 700000, 5000010, 900), "pass.connection");
	assert_int_equal(only_entry(world).state, TCP_ESTABLISHED);
	end(world);
}

static void both_families_are_judged_alike(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100);
	struct raw_segment syn = {.flags = S, .seq = 100, .window = 60000};
	struct raw_segment syn_ack = {.flags = SA, .seq = 500, .ack = 101, .window = 60000};
	struct raw raw = raw_tcp("2001:db8::7", 40000, "2001:db8::1", 22, &syn);
	assert_string_equal(judge(world, HOOK_IN, &raw), "pass.rule");
	raw = raw_tcp("2001:db8::1", 22, "2001:db8::7", 40000, &syn_ack);
	assert_string_equal(judge(world, HOOK_OUT, &raw), "pass.connection");
	raw = raw_tcp("2001:db8::7", 40000, "2001:db8::1", 23, &syn);
	assert_string_equal(judge(world, HOOK_IN, &raw), "drop.default");
	end(world);
}

static void the_rules_are_asked_what_the_packet_says(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22 from 198.51.100.7 port 40000 to 192.0.2.1\n"
					   "allow out udp 53 to 198.51.100.7\n"
					   "default out drop\n",
					   100);
	assert_string_equal(tcp(world, HOOK_IN, 22, S, 100, 0, 0), "pass.rule");
	assert_string_equal(udp(world, HOOK_OUT, 5000, 53), "pass.rule");
	assert_string_equal(udp(world, HOOK_OUT, 5000, 54), "drop.default");
	assert_string_equal(tcp(world, HOOK_OUT, 22, S, 100, 0, 0), "pass.connection"); /* SYNs cross */
	struct keyed_connection copies[3];
	uint64_t cursor = 0;
	size_t count = table_copy(world->filter.table, &cursor, copies, 3);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) { /* the question of its opening gives the same answer */
		assert_true(filter_recheck(&world->policy, &copies[i].key, &copies[i].connection, NULL));
		assert_int_equal(copies[i].connection.generation, 1);
	}
	end(world);
}

enum { THREADS = 3, ROUNDS = 4000 };

struct shared {
	struct world_of_one *world;
	uint16_t first;
	_Atomic uint32_t *opened;
};

static void *judge_many(void *argument) {
	struct shared *shared = argument;
	struct world_of_one *world = shared->world;
	struct arrival arrival = {.hook = HOOK_IN, .interface_index = 1, .name_of = interface_names};
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct raw_segment syn = {.flags = S, .seq = 100, .window = 60000};
		struct raw raw = raw_tcp(THERE, (uint16_t)(1024 + i), HERE, 22, &syn);
		struct packet packet = raw_parsed(&raw);
		struct decision decision =
		    filter_packet(&world->filter, &world->policy, &packet, &arrival, world->now);
		if (decision.opened)
			atomic_fetch_add(shared->opened, 1);
	}
	return NULL;
}

static void two_threads_never_open_one_connection_twice(void **state) {
	(void)state;
	struct world_of_one *world = begin("allow in tcp 22\n", 100000);
	_Atomic uint32_t opened = 0;
	struct shared shared = {world, 0, &opened};
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, judge_many, &shared), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(opened, ROUNDS);
	assert_int_equal(entries(world), ROUNDS);
	end(world);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_allowed_connection_lives_and_ends),
	    cmocka_unit_test(rules_and_defaults_refuse),
	    cmocka_unit_test(counters_are_kept_by_rule),
	    cmocka_unit_test(repeats_of_a_syn_do_not_keep_it_alive),
	    cmocka_unit_test(packets_that_lead_on_or_belong_renew),
	    cmocka_unit_test(what_belongs_to_nothing_is_dropped),
	    cmocka_unit_test(pickup_takes_up_what_the_rules_allow),
	    cmocka_unit_test(udp_and_echo_replies_pass_and_strangers_do_not),
	    cmocka_unit_test(echo_requests_need_a_rule_by_their_type),
	    cmocka_unit_test(other_icmp_is_judged_packet_by_packet),
	    cmocka_unit_test(errors_pass_only_about_known_connections),
	    cmocka_unit_test(errors_about_what_the_busy_kernel_admitted_pass_before_it_is_known),
	    cmocka_unit_test(a_worker_with_old_rules_reads_no_rule_of_the_new),
	    cmocka_unit_test(a_reload_keeps_what_stays_allowed_and_cuts_the_rest),
	    cmocka_unit_test(a_thread_with_older_rules_cuts_nothing_newer),
	    cmocka_unit_test(the_next_generation_is_newer_wherever_the_byte_wraps),
	    cmocka_unit_test(an_interface_counts_where_the_connection_was_opened),
	    cmocka_unit_test(learned_connections_pass_and_get_replies),
	    cmocka_unit_test(what_answers_is_not_learned),
	    cmocka_unit_test(replies_of_a_published_port_leave_as_its_connection),
	    cmocka_unit_test(a_full_table_refuses_what_is_new),
	    cmocka_unit_test(after_packets_passed_unseen_windows_are_learned_again),
	    cmocka_unit_test(both_families_are_judged_alike),
	    cmocka_unit_test(the_rules_are_asked_what_the_packet_says),
	    cmocka_unit_test(two_threads_never_open_one_connection_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
