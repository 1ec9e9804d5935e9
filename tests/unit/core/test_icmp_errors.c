/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ICMP errors in one table: which reach the host, after what they quote. RFC 792, 4443, 5508, 5927.
 * HERE:22 is known to THERE:40000, by a `strict` rule where the case says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../packets.h"
#include "must_load.h"
#include "sallyport/core/filter.h"

enum { SYNACK = TCP_SYN | TCP_ACK, WHOLE = 0xffff, PORT = 22, CLIENT = 40000, ISN = 500, SENT = 1000 };

static const struct ends {
	const char *here, *here_too, *there, *stranger, *router, *other_family;
	size_t header;
	uint8_t unreachable, too_big, time_exceeded, parameter, echo;
} ends[] = {
    {"192.0.2.1", "192.0.2.2", "198.51.100.7", "198.51.100.8", "203.0.113.1", "2001:db8::1", 20, 3, 3, 11, 12,
     8},
    {"2001:db8::1", "2001:db8::2", "2001:db8:1::7", "2001:db8:1::8", "2001:db8:f::1", "192.0.2.1", 40, 1, 2,
     3, 4, 128},
};

struct scene {
	const struct ends *ends;
	struct filter filter;
	struct policy policy;
	struct ruleset *ruleset;
	uint32_t now;
};

static enum reason judge(struct scene *scene, enum hook hook, const struct raw *raw) {
	struct packet packet = raw_parsed(raw);
	struct arrival arrival = {.hook = hook, .interface_index = 1};
	return filter_packet(&scene->filter, &scene->policy, &packet, &arrival, scene->now).reason;
}

static void pass(struct scene *scene, enum hook hook, struct raw raw) {
	assert_true(reason_passes(judge(scene, hook, &raw)));
}

/* ---- what was sent, and was not ---- */

static struct raw segment(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port,
			  uint8_t flags, uint32_t seq, uint32_t ack, size_t payload) {
	struct raw_segment fields = {
	    .flags = flags, .seq = seq, .ack = ack, .window = 60000, .payload = payload};
	return raw_tcp(src, src_port, dst, dst_port, &fields);
}

static struct raw data_at(const struct ends *at, uint32_t seq) {
	return segment(at->here, PORT, at->there, CLIENT, TCP_ACK, seq, 101, 100);
}

static struct raw last_data(const struct ends *at) {
	return data_at(at, ISN + 1 + SENT - 100);
}

static struct raw first_data(const struct ends *at) {
	return data_at(at, ISN + 1);
}

static struct raw synack(const struct ends *at) {
	return segment(at->here, PORT, at->there, CLIENT, SYNACK, ISN, 101, 0);
}

static struct raw data_ahead(const struct ends *at) {
	return data_at(at, ISN + 1 + SENT + 1);
}

static struct raw data_far_ahead(const struct ends *at) {
	return data_at(at, ISN + (UINT32_C(1) << 31));
}

static struct raw data_long_ago(const struct ends *at) {
	return data_at(at, ISN - 70000);
}

static struct raw other_local_port(const struct ends *at) {
	return segment(at->here, PORT + 1, at->there, CLIENT, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw other_remote_port(const struct ends *at) {
	return segment(at->here, PORT, at->there, CLIENT + 1, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw other_remote(const struct ends *at) {
	return segment(at->here, PORT, at->stranger, CLIENT, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw other_local(const struct ends *at) {
	return segment(at->here_too, PORT, at->there, CLIENT, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw other_protocol(const struct ends *at) {
	return raw_udp(at->here, PORT, at->there, CLIENT);
}

static struct raw backwards(const struct ends *at) {
	return segment(at->there, CLIENT, at->here, PORT, TCP_ACK, 101, ISN + 1, 0);
}

static struct raw ports_swapped(const struct ends *at) {
	return segment(at->here, CLIENT, at->there, PORT, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw addresses_swapped(const struct ends *at) {
	return segment(at->there, PORT, at->here, CLIENT, TCP_ACK, ISN + 1, 101, 0);
}

static struct raw of_other_family(const struct ends *at) {
	bool ipv4 = at->header == 20;
	return raw_udp(at->other_family, PORT, ipv4 ? "2001:db8::7" : "198.51.100.7", CLIENT);
}

static struct raw an_error(const struct ends *at) {
	struct raw about = last_data(at);
	return raw_icmp_error(at->here, at->there, at->unreachable, &about, at->header + 8);
}

static struct raw later_fragment(const struct ends *at) {
	static const uint8_t tail[] = {PROTOCOL_TCP, 0, 0, 8, 0, 0, 0, 9};
	struct raw raw = last_data(at);
	if (at->header == 20) {
		raw_set_be16(&raw, 6, 1);
		return raw;
	}
	struct raw fragment = raw_ip(at->here, at->there, 44);
	raw_append(&fragment, tail, sizeof tail);
	raw_append(&fragment, raw.bytes + at->header, raw.length - at->header);
	return fragment;
}

static struct raw first_fragment(const struct ends *at) {
	static const uint8_t head[] = {PROTOCOL_TCP, 0, 0, 1, 0, 0, 0, 9};
	struct raw raw = last_data(at);
	if (at->header == 20) {
		raw_set_be16(&raw, 6, 0x2000);
		return raw;
	}
	struct raw fragment = raw_ip(at->here, at->there, 44);
	raw_append(&fragment, head, sizeof head);
	raw_append(&fragment, raw.bytes + at->header, raw.length - at->header);
	return fragment;
}

static struct raw unknown_version(const struct ends *at) {
	struct raw raw = last_data(at);
	raw.bytes[0] = (uint8_t)(0x50 | (raw.bytes[0] & 0x0f));
	return raw;
}

static struct raw asked_datagram(const struct ends *at) {
	return raw_udp(at->here, 5000, at->there, 53);
}

static struct raw asked_echo(const struct ends *at) {
	return raw_icmp(at->here, at->there, at->echo, 77);
}

static struct raw echo_not_asked(const struct ends *at) {
	return raw_icmp(at->here, at->there, at->echo, 78);
}

/* ---- the table ---- */

enum kind { UNREACHABLE, TOO_BIG, TIME_EXCEEDED, PARAMETER };
enum target { TO_SENDER, TO_OTHER_ADDRESS };

static const struct error_case {
	const char *name;
	struct raw (*about)(const struct ends *);
	enum kind kind;
	unsigned quoted; /* bytes behind the IP header; WHOLE: everything */
	bool passes;
	enum target target;
	bool leased; /* by a rule without `strict` */
} cases[] = {
    {"unreachable about what was sent", last_data, UNREACHABLE, 8, true, TO_SENDER, false},
    {"too big about what was sent", last_data, TOO_BIG, 8, true, TO_SENDER, false},
    {"time exceeded about what was sent", last_data, TIME_EXCEEDED, 8, true, TO_SENDER, false},
    {"parameter problem about what was sent", last_data, PARAMETER, 8, true, TO_SENDER, false},
    {"all of the packet quoted", last_data, TOO_BIG, WHOLE, true, TO_SENDER, false},
    {"a first fragment quoted", first_fragment, TOO_BIG, WHOLE, true, TO_SENDER, false},
    {"a later fragment quoted", later_fragment, TOO_BIG, WHOLE, false, TO_SENDER, false},
    {"nothing but the IP header quoted", last_data, TOO_BIG, 0, false, TO_SENDER, false},
    {"ports cut off", last_data, TOO_BIG, 3, false, TO_SENDER, false},
    {"ports without a sequence number", last_data, TOO_BIG, 4, false, TO_SENDER, false},
    {"sequence number cut off", last_data, TOO_BIG, 7, false, TO_SENDER, false},
    {"datagram with its header", asked_datagram, UNREACHABLE, 8, true, TO_SENDER, false},
    {"datagram with half of its header", asked_datagram, UNREACHABLE, 4, false, TO_SENDER, false},
    {"echo request with its identifier", asked_echo, TIME_EXCEEDED, 8, true, TO_SENDER, false},
    {"echo request with its identifier cut off", asked_echo, TIME_EXCEEDED, 5, false, TO_SENDER, false},
    {"echo request of another identifier", echo_not_asked, TIME_EXCEEDED, 8, false, TO_SENDER, false},
    {"another local port", other_local_port, UNREACHABLE, 8, false, TO_SENDER, false},
    {"another remote port", other_remote_port, UNREACHABLE, 8, false, TO_SENDER, false},
    {"another remote address", other_remote, UNREACHABLE, 8, false, TO_SENDER, false},
    {"another local address", other_local, UNREACHABLE, 8, false, TO_SENDER, false},
    {"another protocol", other_protocol, UNREACHABLE, 8, false, TO_SENDER, false},
    {"what came and was not sent", backwards, UNREACHABLE, 8, false, TO_SENDER, false},
    {"ports swapped", ports_swapped, UNREACHABLE, 8, false, TO_SENDER, false},
    {"addresses swapped", addresses_swapped, UNREACHABLE, 8, false, TO_SENDER, false},
    {"a packet of the other family", of_other_family, UNREACHABLE, WHOLE, false, TO_SENDER, false},
    {"an error about an error", an_error, UNREACHABLE, WHOLE, false, TO_SENDER, false},
    {"an IP version that there is not", unknown_version, UNREACHABLE, WHOLE, false, TO_SENDER, false},
    {"to somebody else than the sender", last_data, UNREACHABLE, 8, false, TO_OTHER_ADDRESS, false},
    {"to somebody else, leased", last_data, UNREACHABLE, 8, false, TO_OTHER_ADDRESS, true},
    {"the handshake's own segment", synack, TOO_BIG, 8, true, TO_SENDER, false},
    {"the first data again", first_data, TOO_BIG, 8, true, TO_SENDER, false},
    {"a sequence number not sent yet", data_ahead, TOO_BIG, 8, false, TO_SENDER, false},
    {"a sequence number far ahead", data_far_ahead, UNREACHABLE, 8, false, TO_SENDER, false},
    {"a sequence number of long ago", data_long_ago, UNREACHABLE, 8, false, TO_SENDER, false},
    {"with a lease the stack judges the sequence number", data_far_ahead, UNREACHABLE, 8, true, TO_SENDER,
     true},
};

static uint8_t type_of(const struct ends *at, enum kind kind) {
	switch (kind) {
	case TOO_BIG:
		return at->too_big;
	case TIME_EXCEEDED:
		return at->time_exceeded;
	case PARAMETER:
		return at->parameter;
	default:
		return at->unreachable;
	}
}

static void scene_open(struct scene *scene, const struct ends *at, bool leased) {
	static const struct hash_secret secret = {{1, 2}};
	*scene = (struct scene){.ends = at, .now = 1000};
	scene->filter.table = table_new(100, &secret);
	scene->ruleset = must_load(leased ? "default out allow\nallow in tcp 22\n"
					  : "default out allow\nallow in tcp 22 strict\n");
	scene->policy.ruleset = scene->ruleset;
	scene->policy.counters = calloc(scene->ruleset->count + 2, sizeof *scene->policy.counters);
	pass(scene, HOOK_IN, segment(at->there, CLIENT, at->here, PORT, TCP_SYN, 100, 0, 0));
	pass(scene, HOOK_OUT, synack(at));
	pass(scene, HOOK_IN, segment(at->there, CLIENT, at->here, PORT, TCP_ACK, 101, ISN + 1, 0));
	pass(scene, HOOK_OUT, segment(at->here, PORT, at->there, CLIENT, TCP_ACK, ISN + 1, 101, SENT));
	pass(scene, HOOK_OUT, asked_datagram(at));
	pass(scene, HOOK_OUT, asked_echo(at));
}

static void scene_close(struct scene *scene) {
	table_free(scene->filter.table);
	ruleset_free(scene->ruleset);
	free(scene->policy.counters);
}

static enum reason judge_error_about(struct scene *scene, const struct error_case *one) {
	const struct ends *at = scene->ends;
	struct raw about = one->about(at);
	size_t quoted = one->quoted == WHOLE ? about.length : at->header + one->quoted;
	const char *target = one->target == TO_SENDER ? at->here : at->here_too;
	if (one->about == other_local)
		target = at->here_too; /* whose it would be */
	struct raw raw = raw_icmp_error(at->router, target, type_of(at, one->kind), &about, quoted);
	return judge(scene, HOOK_IN, &raw);
}

/* ---- one test a case and family ---- */

struct subject {
	const struct error_case *one;
	const struct ends *at;
	char name[80];
};

static void the_error_meets_its_verdict(void **state) {
	const struct subject *subject = *state;
	struct scene scene;
	scene_open(&scene, subject->at, subject->one->leased);
	enum reason reason = judge_error_about(&scene, subject->one);
	assert_string_equal(reason_name(reason), subject->one->passes ? "pass.related" : "drop.stray-error");
	scene_close(&scene);
}

/* ---- what is no matter of one packet ---- */

static enum reason unreachable(struct scene *scene, struct raw about) {
	const struct ends *at = scene->ends;
	struct raw raw = raw_icmp_error(at->router, at->here, at->unreachable, &about, at->header + 8);
	return judge(scene, HOOK_IN, &raw);
}

static struct keyed_connection entry(struct scene *scene, uint8_t protocol) {
	struct keyed_connection copies[8];
	uint64_t cursor = 0;
	size_t count = table_copy(scene->filter.table, &cursor, copies, 8);
	for (size_t i = 0; i < count; i++)
		if (copies[i].key.protocol == protocol)
			return copies[i];
	fail_msg("no such entry");
	return copies[0];
}

static void each_family(void (*check)(struct scene *scene)) {
	for (size_t i = 0; i < 2; i++) {
		struct scene scene;
		scene_open(&scene, &ends[i], false);
		check(&scene);
		scene_close(&scene);
	}
}

static void check_renewal(struct scene *scene) {
	struct keyed_connection before = entry(scene, PROTOCOL_TCP);
	scene->now += 50;
	assert_int_equal(unreachable(scene, last_data(scene->ends)), PASS_RELATED);
	struct keyed_connection after = entry(scene, PROTOCOL_TCP);
	assert_true(key_equal(&after.key, &before.key));
	assert_memory_equal(&after.connection, &before.connection, sizeof after.connection);
}

/* RFC 5508 REQ-5: no ICMP error ends or refreshes what it is about. */
static void an_error_changes_nothing(void **state) {
	(void)state;
	each_family(check_renewal);
}

static int to_cut(const struct key *key, struct connection *connection, void *context) {
	(void)key, (void)connection, (void)context;
	return STATE_CUT;
}

static void check_cut(struct scene *scene) {
	table_sweep(scene->filter.table, scene->now, to_cut, NULL);
	assert_int_equal(unreachable(scene, last_data(scene->ends)), DROP_STRAY_ERROR);
}

static void an_error_about_a_cut_connection_is_dropped(void **state) {
	(void)state;
	each_family(check_cut);
}

static void check_unseen(struct scene *scene) {
	assert_int_equal(unreachable(scene, data_far_ahead(scene->ends)), DROP_STRAY_ERROR);
	scene->filter.epoch++;
	assert_int_equal(unreachable(scene, data_far_ahead(scene->ends)), PASS_RELATED);
}

static void nothing_is_held_against_a_window_that_may_have_moved_unseen(void **state) {
	(void)state;
	each_family(check_unseen);
}

static void check_own(struct scene *scene) {
	struct raw about = backwards(scene->ends);
	struct raw raw = raw_icmp_error(scene->ends->here, scene->ends->there, scene->ends->unreachable,
					&about, about.length);
	assert_int_equal(judge(scene, HOOK_OUT, &raw), PASS_RELATED);
	assert_int_equal(judge(scene, HOOK_LEARN, &raw), PASS_LEARNED);
}

static void the_hosts_own_errors_pass(void **state) {
	(void)state;
	each_family(check_own);
}

static void check_every_length(struct scene *scene) {
	const struct ends *at = scene->ends;
	struct raw about = last_data(at);
	for (size_t quoted = 0; quoted <= about.length; quoted++) {
		struct raw raw = raw_icmp_error(at->router, at->here, at->too_big, &about, quoted);
		enum reason expected = quoted < at->header + 8 ? DROP_STRAY_ERROR : PASS_RELATED;
		assert_int_equal(judge(scene, HOOK_IN, &raw), expected);
	}
}

/* RFC 792: the IP header and 64 bits. */
static void an_error_cut_at_any_byte_passes_from_64_bits_on(void **state) {
	(void)state;
	each_family(check_every_length);
}

/* The SYN of a connection of ours is all that can be in flight. */
static void check_handshake(struct scene *scene) {
	const struct ends *at = scene->ends;
	ruleset_free(scene->ruleset);
	free(scene->policy.counters);
	scene->ruleset = must_load("default out drop\nallow out tcp 443 strict\n");
	scene->policy.ruleset = scene->ruleset;
	scene->policy.counters = calloc(scene->ruleset->count + 2, sizeof *scene->policy.counters);
	pass(scene, HOOK_OUT, segment(at->here, 5001, at->there, 443, TCP_SYN, 7000, 0, 0));
	assert_int_equal(unreachable(scene, segment(at->here, 5001, at->there, 443, TCP_SYN, 7000, 0, 0)),
			 PASS_RELATED);
	assert_int_equal(unreachable(scene, segment(at->here, 5001, at->there, 443, TCP_SYN, 7002, 0, 0)),
			 DROP_STRAY_ERROR);
	assert_int_equal(unreachable(scene, segment(at->here, 5001, at->there, 443, TCP_SYN, 6999, 0, 0)),
			 DROP_STRAY_ERROR);
}

static void an_error_about_a_syn_quotes_that_syn(void **state) {
	(void)state;
	each_family(check_handshake);
}

/* RFC 4890 4.4.1: none of these is refused, whatever the file says. */
static void what_rfc4890_wants_open_no_rule_closes(void **state) {
	(void)state;
	static const uint8_t types[] = {130, 131, 132, 133, 134, 135, 136, 141,
					142, 143, 148, 149, 151, 152, 153};
	struct ruleset *ruleset = must_load("default in drop\ndefault out drop\ndrop in icmpv6\n"
					    "drop out icmpv6\ndrop in any\ndrop out any\n");
	for (size_t i = 0; i < sizeof types; i++) {
		for (int direction = 0; direction <= DIRECTION_OUT; direction++) {
			struct question question = {.direction = (enum direction)direction,
						    .from = address("fe80::1"),
						    .to = address("ff02::1"),
						    .protocol = PROTOCOL_ICMPV6,
						    .icmp_type = types[i]};
			struct answer answer = eval(ruleset, &question);
			assert_int_equal(answer.action, ACTION_ALLOW);
		}
	}
	ruleset_free(ruleset);
}

enum { CASES = sizeof cases / sizeof cases[0] };

static void describe(struct subject *subject, struct CMUnitTest *test) {
	snprintf(subject->name, sizeof subject->name, "%s, %s", subject->one->name,
		 subject->at == &ends[0] ? "IPv4" : "IPv6");
	*test = (struct CMUnitTest){
	    .name = subject->name, .test_func = the_error_meets_its_verdict, .initial_state = subject};
}

int main(void) {
	static struct subject subjects[2 * CASES];
	static struct CMUnitTest by_case[2 * CASES];
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_error_changes_nothing),
	    cmocka_unit_test(an_error_about_a_cut_connection_is_dropped),
	    cmocka_unit_test(nothing_is_held_against_a_window_that_may_have_moved_unseen),
	    cmocka_unit_test(the_hosts_own_errors_pass),
	    cmocka_unit_test(an_error_cut_at_any_byte_passes_from_64_bits_on),
	    cmocka_unit_test(an_error_about_a_syn_quotes_that_syn),
	    cmocka_unit_test(what_rfc4890_wants_open_no_rule_closes),
	};

	for (size_t i = 0; i < 2 * CASES; i++) {
		subjects[i] = (struct subject){.one = &cases[i / 2], .at = &ends[i % 2]};
		describe(&subjects[i], &by_case[i]);
	}
	return cmocka_run_group_tests(by_case, NULL, NULL) + cmocka_run_group_tests(tests, NULL, NULL);
}
