/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCP scenarios: rules, and a script of what happens, in the notation of packetdrill. Each is a
 * named test, played in both families. cmocka.h comes first.
 *
 *	< S 0 -> pass.rule SYN_SENT lease    a segment comes; what is decided, the state it leaves,
 *	                                     and whether the connection may be leased
 *	> P. 1:101 ack 1 win 500 -> pass     a segment leaves; bytes 1 to 100. `pass` is pass.connection
 *	copy < R 5000 -> CLOSED              passed on a lease in the kernel, and a copy came
 *	wait 60 -> -                         seconds go by, what has run out goes; `-`: no connection
 *	restart                              another daemon takes over the connections, not the windows
 *	forget                               another daemon, which knows of nothing
 *	unseen                               the guard has let packets pass
 *	reload allow in tcp 22               other rules
 *	isn 4294967295 0                     from now on sequence numbers count from these; < and >
 *	port 40001                           from now on another port of the peer's
 *	flood 1000 -> pass.rule              SYNs from as many ports of another host, all decided so
 *	entries 3                            so many connections in the table
 *
 * Flags are those of packetdrill: S F R P U, `.` is ACK, E and W are ECN's; `0` is none of them. Where the
 * state is left out it is not looked at. Windows are 10000 unless said; `wscale 7` offers a scale.
 */
#ifndef SALLYPORT_TESTS_SCENARIO_H
#define SALLYPORT_TESTS_SCENARIO_H

#include <stdlib.h>
#include <string.h>

#include "../packets.h"
#include "must_load.h"
#include "sallyport/core/filter.h"
#include "sallyport/daemon/enter.h"

struct scenario {
	const char *name;
	const char *rules;
	const char *script;
};

/* Ways that many scenarios begin. */
#define STRICT "allow in tcp 22 strict\nallow out tcp 40000 strict\ndefault out drop\n"
#define LEASES "allow in tcp 22\nallow out tcp 40000\ndefault out drop\n"
#define OPENED                                                                                               \
	"< S 0 -> pass.rule SYN_SENT\n"                                                                      \
	"> S. 0 ack 1 -> pass SYN_RECV\n"                                                                    \
	"< . 1 ack 1 -> pass ESTABLISHED\n"
#define OPENED_HERE                                                                                          \
	"> S 0 -> pass.rule SYN_SENT\n"                                                                      \
	"< S. 0 ack 1 -> pass SYN_RECV\n"                                                                    \
	"> . 1 ack 1 -> pass ESTABLISHED\n"
#define OPENED_ON_LEASE                                                                                      \
	"< S 0 -> pass.rule SYN_SENT lease\n"                                                                \
	"copy > S. 0 ack 1 -> SYN_RECV\n"                                                                    \
	"copy < . 1 ack 1 -> ESTABLISHED\n"
#define CLOSED_HERE                                                                                          \
	"> F. 1 ack 1 -> pass CLOSE_WAIT\n"                                                                  \
	"< F. 1 ack 2 -> pass LAST_ACK\n"                                                                    \
	"> . 2 ack 2 -> pass TIME_WAIT\n"

enum { SCENARIO_CONNECTIONS = 4096, SCENARIO_LINE = 120 };

struct stage {
	const struct scenario *scenario;
	const char *line; /* of the script, being played */
	enum family family;
	struct filter filter;
	struct policy policy;
	struct ruleset *rulesets[4]; /* all that were in force */
	size_t loads;
	uint32_t now;
	uint32_t isn[2]; /* by enum direction of the sender's packets */
	uint16_t port;
	struct decision last;
};

static inline void miss(const struct stage *stage, const char *what, const char *got, const char *expected) {
	fail_msg("%s, IPv%d\n  %.*s\n  %s: %s, not %s", stage->scenario->name, stage->family,
		 (int)strcspn(stage->line, "\n"), stage->line, what, got, expected);
}

/* ---- the host ---- */

static inline void stage_load(struct stage *stage, const char *rules) {
	struct ruleset *ruleset = must_load(rules);
	ruleset->generation = (uint32_t)stage->loads + 1;
	free(stage->policy.counters);
	stage->policy.ruleset = stage->rulesets[stage->loads++] = ruleset;
	stage->policy.counters = calloc(ruleset->count + 2, sizeof *stage->policy.counters);
}

static inline void stage_empty_table(struct stage *stage) {
	static const struct hash_secret secret = {{3, 4}};
	uint32_t most = stage->policy.ruleset->settings.connections;
	table_free(stage->filter.table);
	stage->filter.table = table_new(most < SCENARIO_CONNECTIONS ? most : SCENARIO_CONNECTIONS, &secret);
}

/* As the daemon takes over what it has saved. */
static inline void stage_restart(struct stage *stage) {
	struct keyed_connection saved[16];
	uint64_t cursor = 0;
	size_t count = table_copy(stage->filter.table, &cursor, saved, 16);
	stage_empty_table(stage);
	for (size_t i = 0; i < count; i++)
		assert_true(enter_connection(&stage->filter, &saved[i]));
}

static inline struct packet stage_packet(struct stage *stage, enum direction direction, const char *peer,
					 uint16_t port, const struct raw_segment *segment,
					 enum reason *reason) {
	const char *here = stage->family == FAMILY_IPV4 ? "192.0.2.1" : "2001:db8::1";
	struct raw raw = direction == DIRECTION_IN ? raw_tcp(peer, port, here, 22, segment)
						   : raw_tcp(here, 22, peer, port, segment);
	struct packet packet = {0};
	*reason = packet_parse(raw.bytes, raw.length, raw.length, &packet);
	return packet;
}

static inline struct packet stage_segment(struct stage *stage, enum direction direction,
					  const struct raw_segment *segment, enum reason *reason) {
	const char *peer = stage->family == FAMILY_IPV4 ? "198.51.100.7" : "2001:db8::7";
	return stage_packet(stage, direction, peer, stage->port, segment, reason);
}

/* The state of the connection that the script is about. */
static inline const char *stage_state(struct stage *stage) {
	struct raw_segment any = {.flags = TCP_ACK};
	enum reason reason;
	struct packet packet = stage_segment(stage, DIRECTION_IN, &any, &reason);
	struct key key = key_of_packet(&packet, DIRECTION_IN);
	struct stripe *stripe = table_lock(stage->filter.table, &key);
	const struct connection *connection = connection_find(stripe, &key);
	const char *name = connection ? state_name(connection->state) : "-";
	table_unlock(stripe);
	return name;
}

/* ---- the script ---- */

/* The next word of the line, or "" at its end. */
static inline const char *next_word(char **rest) {
	*rest += strspn(*rest, " ");
	char *word = *rest;
	*rest += strcspn(*rest, " ");
	if (**rest)
		*(*rest)++ = 0;
	return word;
}

static inline uint32_t number_of(const char *word) {
	return (uint32_t)strtoll(word, NULL, 10);
}

static inline uint8_t flags_of(const char *word) {
	static const char letters[] = "FSRP.UEW"; /* in the order of the header's bits */
	uint8_t flags = 0;
	for (; *word && *word != '0'; word++)
		flags |= (uint8_t)(1u << (strchr(letters, *word) - letters));
	return flags;
}

static inline void expect_state(struct stage *stage, const char *expected) {
	if (*expected && strcmp(stage_state(stage), expected) != 0)
		miss(stage, "state", stage_state(stage), expected);
}

static inline void expect_reason(struct stage *stage, const char *got, const char *expected) {
	if (strcmp(got, strcmp(expected, "pass") == 0 ? "pass.connection" : expected) != 0)
		miss(stage, "decided", got, expected);
}

/* What is written of a segment up to the arrow. */
struct written {
	struct raw_segment segment;
	uint8_t options[4];
	uint32_t length;
};

static inline void read_segment(const struct stage *stage, enum direction direction, char **rest,
				struct written *written) {
	struct raw_segment *segment = &written->segment;
	*segment = (struct raw_segment){.flags = flags_of(next_word(rest)), .window = 10000};
	const char *range = next_word(rest), *end = strchr(range, ':');
	segment->seq = stage->isn[direction] + number_of(range);
	written->length = end ? number_of(end + 1) - number_of(range) : 0;
	for (const char *word; *(word = next_word(rest)) && strcmp(word, "->") != 0;) {
		uint32_t number = number_of(next_word(rest));
		if (strcmp(word, "ack") == 0)
			segment->ack = stage->isn[!direction] + number;
		else if (strcmp(word, "win") == 0)
			segment->window = (uint16_t)number;
		else if (strcmp(word, "wscale") == 0)
			memcpy(written->options, (uint8_t[]){1, 3, 3, (uint8_t)number}, 4);
		else
			miss(stage, "word", word, "ack, win or wscale");
	}
	if (written->options[0]) {
		segment->options = written->options;
		segment->option_bytes = sizeof written->options;
	}
}

static inline void play_copy(struct stage *stage, const struct packet *packet, const struct arrival *arrival,
			     char *expected) {
	filter_see(&stage->filter, &stage->policy, packet, arrival, stage->now);
	expect_state(stage, next_word(&expected));
}

static inline void play_segment(struct stage *stage, enum direction direction, bool copied, char *rest) {
	struct arrival arrival = {.hook = direction == DIRECTION_IN ? HOOK_IN : HOOK_OUT};
	struct written written = {0};
	enum reason reason;
	read_segment(stage, direction, &rest, &written);
	struct packet packet = stage_segment(stage, direction, &written.segment, &reason);
	packet.tcp.length = written.length;
	if (copied) {
		play_copy(stage, &packet, &arrival, rest);
		return;
	}
	if (!reason) {
		stage->last = filter_packet(&stage->filter, &stage->policy, &packet, &arrival, stage->now);
		reason = stage->last.reason;
	}
	expect_reason(stage, reason_name(reason), next_word(&rest));
	expect_state(stage, next_word(&rest));
	const char *lease = next_word(&rest);
	if (*lease && stage->last.lease != (strcmp(lease, "lease") == 0))
		miss(stage, "lease", stage->last.lease ? "granted" : "not granted", lease);
}

static inline void play_wait(struct stage *stage, char *rest) {
	struct expiry expiry = {.timeouts = &stage->policy.ruleset->settings.timeouts};
	stage->now += number_of(next_word(&rest));
	assert_true(table_expire(stage->filter.table, &expiry, stage->now, 1u << 20));
	next_word(&rest);
	expect_state(stage, next_word(&rest));
}

static inline void play_flood(struct stage *stage, char *rest) {
	const char *peer = stage->family == FAMILY_IPV4 ? "203.0.113.9" : "2001:db8::9";
	struct arrival arrival = {.hook = HOOK_IN};
	uint32_t count = number_of(next_word(&rest));
	next_word(&rest);
	const char *expected = next_word(&rest);
	for (uint32_t i = 0; i < count; i++) {
		struct raw_segment syn = {.flags = TCP_SYN, .seq = i, .window = 10000};
		enum reason reason;
		struct packet packet =
		    stage_packet(stage, DIRECTION_IN, peer, (uint16_t)(1024 + i), &syn, &reason);
		reason = filter_packet(&stage->filter, &stage->policy, &packet, &arrival, stage->now).reason;
		expect_reason(stage, reason_name(reason), expected);
	}
}

static inline void play_line(struct stage *stage, char *line) {
	const char *word = next_word(&line);
	bool copied = strcmp(word, "copy") == 0;
	if (copied)
		word = next_word(&line);
	if (strcmp(word, "<") == 0) {
		play_segment(stage, DIRECTION_IN, copied, line);
	} else if (strcmp(word, ">") == 0) {
		play_segment(stage, DIRECTION_OUT, copied, line);
	} else if (strcmp(word, "wait") == 0) {
		play_wait(stage, line);
	} else if (strcmp(word, "restart") == 0) {
		stage_restart(stage);
	} else if (strcmp(word, "forget") == 0) {
		stage_empty_table(stage);
	} else if (strcmp(word, "unseen") == 0) {
		atomic_fetch_add(&stage->filter.epoch, 1);
	} else if (strcmp(word, "reload") == 0) {
		stage_load(stage, line);
	} else if (strcmp(word, "isn") == 0) {
		stage->isn[DIRECTION_IN] = number_of(next_word(&line));
		stage->isn[DIRECTION_OUT] = number_of(next_word(&line));
	} else if (strcmp(word, "port") == 0) {
		stage->port = (uint16_t)number_of(line);
	} else if (strcmp(word, "flood") == 0) {
		play_flood(stage, line);
	} else if (strcmp(word, "entries") == 0) {
		assert_int_equal(table_usage(stage->filter.table).count, number_of(line));
	} else {
		miss(stage, "word", word, "one that a script knows");
	}
}

static inline void play_in(enum family family, const struct scenario *scenario) {
	struct stage stage = {.scenario = scenario,
			      .line = scenario->script,
			      .family = family,
			      .now = 1000,
			      .isn = {1000000, 5000000},
			      .port = 40000};
	stage_load(&stage, scenario->rules);
	stage_empty_table(&stage);
	while (*stage.line) {
		char line[SCENARIO_LINE];
		size_t length = strcspn(stage.line, "\n");
		assert_in_range(length, 1, sizeof line - 1);
		memcpy(line, stage.line, length);
		line[length] = 0;
		play_line(&stage, line);
		stage.line += length + (stage.line[length] == '\n');
	}
	table_free(stage.filter.table);
	for (size_t i = 0; i < stage.loads; i++)
		ruleset_free(stage.rulesets[i]);
	free(stage.policy.counters);
}

static inline void play(void **state) {
	play_in(FAMILY_IPV4, *state);
	play_in(FAMILY_IPV6, *state);
}

/* All of them, each a test of its own. */
static inline int play_all(const char *group, const struct scenario *scenarios, size_t count) {
	struct CMUnitTest *tests = calloc(count, sizeof *tests);
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){
		    .name = scenarios[i].name, .test_func = play, .initial_state = (void *)&scenarios[i]};
	int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
	free(tests);
	return failed;
}

#endif
