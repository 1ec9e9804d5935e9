/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A filter with rules and a table, for the tests of core/filter: packets go through it one by one. cmocka.h
 * comes first.
 */
#ifndef SALLYPORT_TESTS_WORLD_OF_ONE_H
#define SALLYPORT_TESTS_WORLD_OF_ONE_H

#include <stdlib.h>

#include "../packets.h"
#include "must_load.h"
#include "sallyport/core/filter.h"

#define HERE  "192.0.2.1"
#define THERE "198.51.100.7"

enum { S = TCP_SYN, SA = TCP_SYN | TCP_ACK, AC = TCP_ACK, FA = TCP_FIN | TCP_ACK, R = TCP_RST };

struct world_of_one {
	struct filter filter;
	struct policy policy;
	struct ruleset *rulesets[4]; /* all that were in force */
	size_t loads;
	uint32_t now, interface;
	struct decision last;
};

static inline const char *interface_names(void *names, uint32_t index) {
	(void)names;
	static const char *const known[] = {NULL, "eth0", "eth1"};
	return index < 3 ? known[index] : NULL;
}

static inline void load(struct world_of_one *world, const char *rules) {
	struct ruleset *ruleset = must_load(rules);
	ruleset->generation = (uint32_t)world->loads + 1;
	free(world->policy.counters);
	world->policy.ruleset = world->rulesets[world->loads++] = ruleset;
	world->policy.counters = calloc(ruleset->count + 2, sizeof *world->policy.counters);
}

static inline struct world_of_one *begin(const char *rules, uint32_t connections) {
	static const struct hash_secret secret = {{1, 2}};
	struct world_of_one *world = calloc(1, sizeof *world);
	world->filter.table = table_new(connections, &secret);
	world->now = 1000;
	world->interface = 1;
	load(world, rules);
	return world;
}

static inline void end(struct world_of_one *world) {
	table_free(world->filter.table);
	for (size_t i = 0; i < world->loads; i++)
		ruleset_free(world->rulesets[i]);
	free(world->policy.counters);
	free(world);
}

static inline const char *judge(struct world_of_one *world, enum hook hook, const struct raw *raw) {
	struct packet packet = raw_parsed(raw);
	struct arrival arrival = {
	    .hook = hook, .interface_index = world->interface, .name_of = interface_names};
	world->last = filter_packet(&world->filter, &world->policy, &packet, &arrival, world->now);
	enum verdict verdict = world->last.verdict;
	assert_int_equal(verdict == VERDICT_ACCEPT, reason_passes(world->last.reason));
	return reason_name(world->last.reason);
}

/* TCP between THERE:40000 and HERE:`port`, from or to this host. Numbers as they come. */
static inline const char *tcp(struct world_of_one *world, enum hook hook, uint16_t port, uint8_t flags,
			      uint32_t seq, uint32_t ack, size_t payload) {
	struct raw_segment segment = {
	    .flags = flags, .seq = seq, .ack = ack, .window = 60000, .payload = payload};
	struct raw raw = hook == HOOK_IN ? raw_tcp(THERE, 40000, HERE, port, &segment)
					 : raw_tcp(HERE, port, THERE, 40000, &segment);
	return judge(world, hook, &raw);
}

static inline const char *udp(struct world_of_one *world, enum hook hook, uint16_t here, uint16_t there) {
	struct raw raw =
	    hook == HOOK_IN ? raw_udp(THERE, there, HERE, here) : raw_udp(HERE, here, THERE, there);
	return judge(world, hook, &raw);
}

static inline const char *icmp(struct world_of_one *world, enum hook hook, uint8_t type,
			       uint16_t identifier) {
	struct raw raw = hook == HOOK_IN ? raw_icmp(THERE, HERE, type, identifier)
					 : raw_icmp(HERE, THERE, type, identifier);
	return judge(world, hook, &raw);
}

static inline void shake_hands(struct world_of_one *world, uint16_t port) {
	assert_string_equal(tcp(world, HOOK_IN, port, S, 100, 0, 0), "pass.rule");
	assert_true(world->last.opened);
	assert_string_equal(tcp(world, HOOK_OUT, port, SA, 500, 101, 0), "pass.connection");
	assert_false(world->last.opened);
	assert_string_equal(tcp(world, HOOK_IN, port, AC, 101, 501, 0), "pass.connection");
}

/* Those that were cut are only remembered. */
static inline size_t standing(struct world_of_one *world, struct keyed_connection out[8]) {
	struct keyed_connection copies[8];
	uint64_t cursor = 0;
	size_t count = 0, all = table_copy(world->filter.table, &cursor, copies, 8);
	for (size_t i = 0; i < all; i++) {
		if (copies[i].connection.state != STATE_CUT)
			out[count++] = copies[i];
	}
	return count;
}

static inline struct connection only_entry(struct world_of_one *world) {
	struct keyed_connection copies[8];
	assert_int_equal(standing(world, copies), 1);
	return copies[0].connection;
}

static inline uint32_t entries(struct world_of_one *world) {
	struct keyed_connection copies[64];
	uint64_t cursor = 0;
	uint32_t count = 0;
	for (size_t some; (some = table_copy(world->filter.table, &cursor, copies, 64)) > 0;)
		for (size_t i = 0; i < some; i++)
			count += copies[i].connection.state != STATE_CUT;
	return count;
}

static inline uint32_t line_of(struct world_of_one *world, uint32_t rule) {
	assert_true(rule < world->policy.ruleset->count);
	return world->policy.ruleset->rules[rule].place.line;
}

#endif
