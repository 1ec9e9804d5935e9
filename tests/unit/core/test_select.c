/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words of `list` and `kill`: what they select, and what is said about wrong ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/core/select.h"

enum { MAX_WORDS = 16 };

/* "tcp port 22" -> words. */
static bool parse(const char *line, struct selection *selection, struct error *err) {
	static char text[512];
	const char *words[MAX_WORDS];
	size_t count = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	return selection_parse(words, count, selection, err);
}

static struct addr addr(const char *text) {
	struct addr result;

	assert_true(addr_parse(text, &result));
	return result;
}

/* 192.0.2.1:22, opened by 198.51.100.7:40000, established, allowed by web.rules:7. */
static struct keyed_connection sample(void) {
	return (struct keyed_connection){
	    .key = {.local = addr("192.0.2.1"),
		    .remote = addr("198.51.100.7"),
		    .local_port = 22,
		    .remote_port = 40000,
		    .protocol = PROTOCOL_TCP},
	    .connection = {.state = TCP_ESTABLISHED, .direction = DIRECTION_IN},
	};
}

static const struct place sample_place = {"/etc/sallyport/web.rules", 7};

static bool matches(const char *line, const struct keyed_connection *entry, const struct place *place) {
	struct selection selection;
	struct error err = {""};

	if (!parse(line, &selection, &err))
		fail_msg("%s: %s", line, err.text);
	return selection_matches(&selection, &entry->key, &entry->connection, place);
}

static void test_each_word_narrows(void **state) {
	static const char *const yes[] = {
	    "",
	    "all",
	    "in",
	    "tcp",
	    "protocol 6",
	    "state established",
	    "state SYN_SENT,ESTABLISHED",
	    "state established,syn-sent",
	    "port 22",
	    "port 40000",
	    "port 20-30",
	    "local-port 22",
	    "remote-port 40000",
	    "remote-port 0-65535",
	    "address 192.0.2.1",
	    "address 198.51.100.0/24",
	    "local 192.0.2.0-192.0.2.9",
	    "remote 198.51.100.7",
	    "rule 7",
	    "rule web.rules:7",
	    "rule /etc/sallyport/web.rules:7",
	    "in tcp state established port 22 remote 198.51.100.0/24 rule 7",
	};
	static const char *const no[] = {
	    "out",
	    "udp",
	    "protocol 17",
	    "state syn_sent",
	    "port 23",
	    "port 40001-65535",
	    "local-port 40000",
	    "remote-port 22",
	    "address 192.0.2.2",
	    "address ::/0",
	    "local 198.51.100.7",
	    "remote 192.0.2.1",
	    "rule 8",
	    "rule other.rules:7",
	    "rule rules:7",
	    "rule default",
	    "tcp port 23",
	};
	struct keyed_connection entry = sample();

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!matches(yes[i], &entry, &sample_place))
			fail_msg("\"%s\" should select it", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (matches(no[i], &entry, &sample_place))
			fail_msg("\"%s\" should not select it", no[i]);
}

/* `kill` asks for words; only none at all and `all` mean everything. */
static void test_everything(void **state) {
	struct selection selection;
	struct error err;

	(void)state;
	assert_true(parse("", &selection, &err));
	assert_true(selection.everything);
	assert_true(parse("all", &selection, &err));
	assert_true(selection.everything);
	assert_true(parse("port 0-65535", &selection, &err));
	assert_false(selection.everything);
}

static void test_default_and_learned(void **state) {
	struct keyed_connection entry = sample();

	(void)state;
	assert_true(matches("rule default", &entry, NULL));
	assert_false(matches("rule 7", &entry, NULL));
	entry.connection.flags = CONNECTION_LEARNED;
	assert_false(matches("rule default", &entry, NULL));
}

/* What stands as port in the key of a ping is its identifier. */
static void test_port_means_a_port(void **state) {
	struct keyed_connection entry = sample();

	(void)state;
	entry.key.protocol = PROTOCOL_ICMP;
	entry.connection.state = ICMP_NEW;
	assert_false(matches("port 22", &entry, NULL));
	assert_true(matches("icmp", &entry, NULL));
	assert_true(matches("state new", &entry, NULL));
}

/* NEW and REPLIED are said of whatever protocol. */
static void test_state_of_any_protocol(void **state) {
	static const uint8_t new[] = {UDP_NEW, ICMP_NEW, OTHER_NEW};
	static const uint8_t replied[] = {UDP_REPLIED, ICMP_REPLIED, OTHER_REPLIED};
	struct keyed_connection entry = sample();
	struct selection selection;
	struct error err;

	(void)state;
	assert_false(matches("state new", &entry, NULL));
	assert_false(matches("state replied", &entry, NULL));
	for (size_t i = 0; i < sizeof(new); i++) {
		entry.connection.state = new[i];
		assert_true(matches("state new", &entry, NULL));
		assert_true(matches("state established,New", &entry, NULL));
		assert_false(matches("state replied", &entry, NULL));
		entry.connection.state = replied[i];
		assert_true(matches("state replied", &entry, NULL));
		assert_false(matches("state new", &entry, NULL));
	}
	assert_false(parse("state x", &selection, &err));
	assert_non_null(strstr(err.text, "CLOSED, NEW, REPLIED, CUT)"));
}

static void test_clear_errors(void **state) {
	static const struct {
		const char *line, *said;
	} cases[] = {
	    {"stat established", "stat: did you mean state?"},
	    {"tpc", "tpc: did you mean tcp?"},
	    {"frobnicate", "frobnicate: not understood"},
	    {"22", "\"port 22\""},
	    {"192.0.2.1", "\"address 192.0.2.1\""},
	    {"state establishd", "did you mean ESTABLISHED?"},
	    {"state frobnicate", "SYN_SENT"},
	    {"state established,", "is not a state"},
	    {"port", "port: a port or range is expected behind it"},
	    {"port 65536", "\"65536\" is not a port"},
	    {"port 30-20", "\"30-20\" is not a port"},
	    {"port ssh", "\"ssh\" is not a port"},
	    {"address 192.0.2.300", "\"192.0.2.300\""},
	    {"local 192.0.2.1/24", "bits are set"},
	    {"rule 0", "does not name a rule"},
	    {"rule :7", "does not name a rule"},
	    {"rule web.rules", "does not name a rule"},
	    {"protocol frobnicate", "is not a protocol"},
	    {"port 1 port 2", "port: there is one port already"},
	    {"in out", "out: there is one direction already"},
	    {"tcp udp", "udp: there is one protocol already"},
	    {"tcp protocol 17", "there is one protocol already"},
	    {"all tcp", "all: means every connection"},
	    {"tcp all", "all: means every connection"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct selection selection, before;
		struct error err = {""};
		memset(&selection, 0x5a, sizeof(selection));
		before = selection;
		if (parse(cases[i].line, &selection, &err))
			fail_msg("\"%s\" should be refused", cases[i].line);
		if (!strstr(err.text, cases[i].said))
			fail_msg("\"%s\": expected \"%s\", got \"%s\"", cases[i].line, cases[i].said,
				 err.text);
		assert_memory_equal(&selection, &before, sizeof(before));
	}
}

static void test_long_words(void **state) {
	static char word[4096];
	const char *const one[] = {word};
	const char *const two[] = {"rule", word};
	struct selection selection;
	struct error err;

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	assert_false(selection_parse(one, 1, &selection, &err));
	memcpy(word + sizeof(word) - 3, ":7", 2);
	assert_false(selection_parse(two, 2, &selection, &err));
	const char *const address[] = {"address", word};
	assert_false(selection_parse(address, 2, &selection, &err));
	const char *const state_word[] = {"state", word};
	assert_false(selection_parse(state_word, 2, &selection, &err));
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_word_narrows),
	    cmocka_unit_test(test_everything),
	    cmocka_unit_test(test_default_and_learned),
	    cmocka_unit_test(test_port_means_a_port),
	    cmocka_unit_test(test_state_of_any_protocol),
	    cmocka_unit_test(test_clear_errors),
	    cmocka_unit_test(test_long_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
