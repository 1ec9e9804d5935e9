/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Logged packets: the line, the journal's fields, the limit of lines a second, and that
 * no event sleeps in a ring with nobody woken.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules_of.h"
#include "sallyport/daemon/packet_log.h"
#include "sallyport/daemon/packet_text.h"

enum { WAKE_MS = 10000, ROUNDS = 150 };

/* ---- text ---- */

static struct addr addr(const char *text) {
	struct addr result;

	assert_true(addr_parse(text, &result));
	return result;
}

static struct policy_version *sample_policy(void) {
	return version_of("allow in tcp 22\ndrop in log tcp 23\n", 1);
}

static uint32_t rule_on_line_2(const struct policy_version *version) {
	for (uint32_t i = 0; i < version->ruleset->count; i++) {
		if (!version->ruleset->rules[i].essential && version->ruleset->rules[i].place.line == 2)
			return i;
	}
	fail();
	return 0;
}

static struct packet_event sample_event(struct policy_version *version) {
	return (struct packet_event){
	    .policy = version,
	    .rule = rule_on_line_2(version),
	    .verdict = VERDICT_DROP,
	    .reason = DROP_RULE,
	    .direction = DIRECTION_IN,
	    .tuple = {.src = addr("203.0.113.9"),
		      .dst = addr("192.0.2.1"),
		      .src_port = 51000,
		      .dst_port = 23,
		      .protocol = PROTOCOL_TCP},
	};
}

static void assert_text(const struct packet_event *event, const char *interface, const char *expected) {
	char text[PACKET_LINE];

	packet_event_text(event, interface, text);
	assert_string_equal(text, expected);
}

static void test_line(void **state) {
	struct policy_version *version = sample_policy();
	struct packet_event event = sample_event(version);

	(void)state;
	assert_text(&event, "eth0", "drop in tcp 203.0.113.9:51000 -> 192.0.2.1:23 on eth0 by test.rules:2");
	event.verdict = VERDICT_ACCEPT;
	event.direction = DIRECTION_OUT;
	event.rule = NO_RULE;
	event.tuple.src = addr("2001:db8::1");
	event.tuple.dst = addr("2001:db8::2");
	assert_text(&event, NULL, "allow out tcp [2001:db8::1]:51000 -> [2001:db8::2]:23 by default");
	event.verdict = VERDICT_REJECT;
	event.tuple.protocol = PROTOCOL_ICMPV6;
	event.icmp_type = 128;
	assert_text(&event, NULL, "reject out icmpv6 echo-request 2001:db8::1 -> 2001:db8::2 by default");
	event.tuple.protocol = 253;
	assert_text(&event, NULL, "reject out 253 2001:db8::1 -> 2001:db8::2 by default");
	policy_drop(version);
}

static bool has_field(const struct packet_fields *fields, const char *field) {
	for (size_t i = 0; fields->list[i]; i++) {
		if (strcmp(fields->list[i], field) == 0)
			return true;
	}
	return false;
}

static void test_fields(void **state) {
	static const char *const expected[] = {
	    "SALLYPORT_VERDICT=drop",      "SALLYPORT_REASON=drop.rule", "SALLYPORT_DIRECTION=in",
	    "SALLYPORT_RULE=test.rules:2", "SALLYPORT_PROTO=tcp",        "SALLYPORT_SRC=203.0.113.9",
	    "SALLYPORT_DST=192.0.2.1",     "SALLYPORT_SRC_PORT=51000",   "SALLYPORT_DST_PORT=23",
	    "SALLYPORT_INTERFACE=eth0",
	};
	struct policy_version *version = sample_policy();
	struct packet_event event = sample_event(version);
	struct packet_fields fields;

	(void)state;
	packet_event_fields(&event, "eth0", &fields);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (!has_field(&fields, expected[i]))
			fail_msg("missing: %s", expected[i]);
	}
	event.tuple.protocol = PROTOCOL_ICMP;
	packet_event_fields(&event, NULL, &fields);
	assert_false(has_field(&fields, "SALLYPORT_SRC_PORT=51000"));
	assert_false(has_field(&fields, "SALLYPORT_INTERFACE=eth0"));
	policy_drop(version);
}

/* ---- the log, with stderr in a file ---- */

struct bench {
	struct log log;
	struct links_watch *watch;
	struct links *links;
	struct packet_log *packets;
	struct ring *ring;
	struct policy_version *version;
	FILE *output;
	int saved_stderr;
};

static void bench_open(struct bench *bench) {
	struct error err;

	bench->log = (struct log){.journal = false};
	bench->watch = links_watch_open(&err);
	assert_non_null(bench->watch);
	bench->links = links_new(bench->watch);
	bench->packets = packet_log_open(&bench->log, bench->links, &err);
	assert_non_null(bench->packets);
	bench->ring = packet_log_ring(bench->packets);
	assert_non_null(bench->ring);
	bench->version = sample_policy();
	bench->output = tmpfile();
	assert_non_null(bench->output);
	fflush(stderr);
	bench->saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(bench->output), STDERR_FILENO);
}

static void bench_close(struct bench *bench) {
	packet_log_close(bench->packets);
	fflush(stderr);
	dup2(bench->saved_stderr, STDERR_FILENO);
	close(bench->saved_stderr);
	/* Every event gave its reference back. */
	assert_int_equal(atomic_load(&bench->version->references), 1);
	policy_drop(bench->version);
	fclose(bench->output);
	links_free(bench->links);
	links_watch_close(bench->watch);
}

static void push(struct bench *bench) {
	struct packet_event event = sample_event(policy_hold(bench->version));

	packet_log_push(bench->packets, bench->ring, &event);
}

static unsigned lines_with(struct bench *bench, const char *words) {
	char line[1024];
	unsigned count = 0;

	fflush(stderr);
	rewind(bench->output);
	while (fgets(line, sizeof(line), bench->output))
		count += strstr(line, words) != NULL;
	return count;
}

static bool is_readable(struct bench *bench, int wait_ms) {
	struct pollfd state = {.fd = packet_log_fd(bench->packets), .events = POLLIN};

	return poll(&state, 1, wait_ms) == 1;
}

static void test_at_most_200_lines_a_second(void **state) {
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (unsigned i = 0; i < RING_SLOTS + 100; i++)
		push(&bench);
	packet_log_drain(bench.packets);
	packet_log_drain(bench.packets);
	assert_int_equal(lines_with(&bench, "drop in tcp"), LOG_LINES_A_SECOND);
	/* A flood wakes nobody until the next second. */
	push(&bench);
	assert_false(is_readable(&bench, 0));
	packet_log_tick(bench.packets);
	assert_int_equal(lines_with(&bench, "drop in tcp"), LOG_LINES_A_SECOND);
	assert_int_equal(packet_log_suppressed(bench.packets), RING_SLOTS + 101 - LOG_LINES_A_SECOND);
	assert_int_equal(lines_with(&bench, "925 more packets were not logged"), 1);
	/* Then it goes on. */
	push(&bench);
	assert_true(is_readable(&bench, 0));
	packet_log_drain(bench.packets);
	assert_int_equal(lines_with(&bench, "drop in tcp"), LOG_LINES_A_SECOND + 1);
	bench_close(&bench);
}

static void *push_some(void *argument) {
	for (unsigned i = 0; i < ROUNDS; i++)
		push(argument);
	return NULL;
}

/* Whoever pushes into a ring that the reader has left wakes it: waiting for the eventfd
 * alone, the reader sees every event. */
static void test_no_event_is_slept_over(void **state) {
	struct bench bench;
	pthread_t writer;

	(void)state;
	bench_open(&bench);
	assert_int_equal(pthread_create(&writer, NULL, push_some, &bench), 0);
	while (lines_with(&bench, "drop in tcp") < ROUNDS) {
		if (!is_readable(&bench, WAKE_MS)) {
			bench_close(&bench);
			fail_msg("an event was left in the ring");
		}
		packet_log_drain(bench.packets);
	}
	pthread_join(writer, NULL);
	bench_close(&bench);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_at_most_200_lines_a_second),
	    cmocka_unit_test(test_no_event_is_slept_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
