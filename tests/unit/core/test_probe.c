/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Probes and durations: what is read, what is refused and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "must_load.h"
#include "sallyport/core/print.h"

static struct question must_probe(const char *text) {
	const struct memory_file none[] = {{NULL, NULL}};
	struct world world = memory_world(none);
	struct question question;
	struct error err;

	if (!probe_parse(text, NULL, &world, &question, &err))
		fail_msg("%s: %s", text, err.text);
	return question;
}

static void probes_print_in_canonical_form(void **state) {
	static const struct {
		const char *text, *canonical;
	} cases[] = {
	    {"in tcp from 192.0.2.7:40000 to 22", "in tcp from 192.0.2.7:40000 to 22"},
	    {"in  tcp to ssh  from 192.0.2.7", "in tcp from 192.0.2.7 to 22"},
	    {"in 6 to 22", "in tcp to 22"},
	    {"out udp to [2001:db8::1]:domain on eth0", "out udp to [2001:db8::1]:53 on eth0"},
	    {"in tcp from [2001:db8::1] to 22", "in tcp from 2001:db8::1 to 22"},
	    {"in tcp from [2001:db8::1]:ssh to 192", "in tcp from [2001:db8::1]:22 to 192"},
	    {"in tcp from 2001:db8::1 to [::]:22", "in tcp from 2001:db8::1 to 22"},
	    {"in tcp to [::]:22", "in tcp from :: to 22"},
	    {"in tcp to 192.0.2.1:http", "in tcp to 192.0.2.1:80"},
	    {"in icmp", "in icmp echo-request"},
	    {"in icmp 3 from 192.0.2.1", "in icmp destination-unreachable from 192.0.2.1"},
	    {"out icmpv6 200 to 2001:db8::1", "out icmpv6 200 to 2001:db8::1"},
	    {"in gre from 192.0.2.1 to 192.0.2.2", "in gre from 192.0.2.1 to 192.0.2.2"},
	    {"in 253", "in 253"},
	    {"in udp to dns", "in udp to 53"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct question question = must_probe(cases[i].text), again;
		char *text = question_print(&question);

		assert_string_equal(text, cases[i].canonical);
		again = must_probe(text);
		assert_true(addr_equal(&question.from, &again.from) && addr_equal(&question.to, &again.to));
		assert_int_equal(question.to_port, again.to_port);
		assert_int_equal(question.icmp_type, again.icmp_type);
		free((char *)question.interface);
		free((char *)again.interface);
		free(text);
	}
}

static void a_missing_address_is_the_unspecified_one(void **state) {
	static const uint8_t zeroes[16];
	struct addr ipv4 = addr_from_ipv4(zeroes), ipv6 = addr_from_ipv6(zeroes);
	struct question question = must_probe("in tcp to 22");

	(void)state;
	assert_true(addr_equal(&question.from, &ipv4) && addr_equal(&question.to, &ipv4));
	assert_int_equal(question.from_port, 0);
	assert_null(question.interface);
	question = must_probe("in tcp to [2001:db8::1]:22");
	assert_true(addr_equal(&question.from, &ipv6));
	question = must_probe("in tcp from 2001:db8::1 to 22");
	assert_true(addr_equal(&question.to, &ipv6));
	question = must_probe("in icmpv6");
	assert_true(addr_equal(&question.from, &ipv6) && addr_equal(&question.to, &ipv6));
	assert_int_equal(question.icmp_type, 128);
}

static void bad_probes_are_refused_with_the_reason(void **state) {
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"", "expected `in` or `out`"},
	    {"in", "expected a protocol"},
	    {"in tpc to 22", "did you mean `tcp`?"},
	    {"in any to 22", "expected a protocol"},
	    {"in tcp", "expected `to PORT`"},
	    {"in tcp from 192.0.2.1", "expected `to PORT`"},
	    {"in tcp to 192.0.2.1", "ADDRESS:PORT"},
	    {"in tcp to 2001:db8::1", "[ADDRESS]:PORT"},
	    {"in tcp to 2001:db8::1:22", "[ADDRESS]:PORT"},
	    {"in tcp to 65536", "not a port"},
	    {"in tcp to 192.0.2.1:", "not a port"},
	    {"in tcp to :22", "not an address before the :"},
	    {"in tcp to [192.0.2.1]:22", "not an IPv6 address"},
	    {"in tcp to [2001:db8::1:22", "the closing ]"},
	    {"in tcp to [2001:db8::1]22", "only :PORT"},
	    {"in tcp to sssh", "did you mean `ssh`?"},
	    {"in tcp to syslog", "service `syslog` has no port on tcp"},
	    {"in tcp to 22 to 23", "twice"},
	    {"in tcp to 22 on eth0 on eth1", "twice"},
	    {"in tcp to 22 on eth*", "one interface"},
	    {"in tcp to 22 on eth0,eth1", "one interface"},
	    {"in tcp to 22 on not eth0", "one interface"},
	    {"in tcp to 22 on", "network interface"},
	    {"in tcp to 22 form 192.0.2.1", "did you mean `from`?"},
	    {"in tcp from 192.0.2.1 to [2001:db8::1]:22", "mix IPv4 and IPv6"},
	    {"in icmp from 2001:db8::1", "write icmpv6"},
	    {"in icmpv6 to 192.0.2.1", "write icmp"},
	    {"in icmp echo-request,echo-reply", "one message type"},
	    {"in icmp echo", "no known icmp type"},
	    {"in gre to 22", "is no address"},
	    {"in gre from 192.0.2.1:22", "no ports"},
	    {"in tcp to 22 \"x", "the closing \""},
	    {"in tcp to 22\nin tcp to 23", "more than one line"},
	};
	const struct memory_file none[] = {{NULL, NULL}};
	struct world world = memory_world(none);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct question question, untouched;
		struct error err = {""};

		memset(&question, 0x5a, sizeof question);
		memset(&untouched, 0x5a, sizeof untouched);
		assert_false(probe_parse(cases[i].text, NULL, &world, &question, &err));
		assert_memory_equal(&question, &untouched, sizeof question);
		if (!strstr(err.text, cases[i].message))
			fail_msg("%s: \"%s\" is not in \"%s\"", cases[i].text, cases[i].message, err.text);
	}
}

static void services_of_the_rules_win_over_the_database(void **state) {
	static const struct {
		const char *text;
		uint8_t protocol;
		uint16_t port;
	} cases[] = {{"in tcp to game", PROTOCOL_TCP, 7000},
		     {"in udp to 192.0.2.1:game", PROTOCOL_UDP, 7005},
		     {"in tcp to ssh", PROTOCOL_TCP, 2222},
		     {"in tcp to http", PROTOCOL_TCP, 80}};
	const struct memory_file none[] = {{NULL, NULL}};
	struct ruleset *ruleset =
	    must_load("service game = tcp 7000-7010, udp 7005\nservice ssh = tcp 2222\n");
	struct world world = memory_world(none);
	struct question question;
	struct error err = {""};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (!probe_parse(cases[i].text, ruleset, &world, &question, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_int_equal(question.protocol, cases[i].protocol);
		assert_int_equal(question.to_port, cases[i].port);
	}
	assert_false(probe_parse("in udp to ssh", ruleset, &world, &question, &err));
	assert_string_equal(err.text, "probe: service `ssh` has no port on udp");
	assert_false(probe_parse("in tcp to gme", ruleset, &world, &question, &err));
	assert_non_null(strstr(err.text, "did you mean `game`?"));
	ruleset_free(ruleset);
}

static void durations_are_read(void **state) {
	static const struct {
		const char *text;
		uint32_t seconds;
	} cases[] = {{"1", 1},       {"90", 90},       {"90s", 90},           {"5m", 300},
		     {"2h4m", 7440}, {"1d", 86400},    {"1d1h1m1s", 90061},   {"365d", 31536000},
		     {"90m", 5400},  {"1h0m5s", 3605}, {"31536000", 31536000}};
	static const char *const bad[] = {"",         "0",    "0s",           "s",   "m5", "5x",
					  "5m5m",     "4m2h", "-5",           "5 m", "5M", "366d",
					  "31536001", "1.5h", "99999999999d", "5ms", "1h5"};
	uint32_t seconds;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(duration_parse(cases[i].text, &seconds));
		assert_int_equal(seconds, cases[i].seconds);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (duration_parse(bad[i], &seconds))
			fail_msg("%s is read as %u", bad[i], seconds);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(probes_print_in_canonical_form),
	    cmocka_unit_test(a_missing_address_is_the_unspecified_one),
	    cmocka_unit_test(bad_probes_are_refused_with_the_reason),
	    cmocka_unit_test(services_of_the_rules_win_over_the_database),
	    cmocka_unit_test(durations_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
