/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fuzzes packet_parse, keys and filter_packet: a sequence of packets, each led by two bytes
 * for its length and one for its hook, goes through one table with real rules.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "memory_world.h"
#include "sallyport/core/filter.h"

static const char rules[] = "essentials off\n"
			    "allow in tcp 1-32767\n"
			    "allow in udp\n"
			    "allow in icmp echo-request\n"
			    "allow in log icmpv6 from 2000::/3\n"
			    "reject in log tcp\n"
			    "allow in gre on eth0\n"
			    "drop out udp 53\n";

struct bench {
	struct filter filter;
	struct policy policy[2]; /* without and with `pickup on` */
};

static struct policy make_policy(const char *text, uint32_t generation) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = load_rules(text, &diagnostics);
	if (!ruleset)
		abort();
	diagnostics_free(&diagnostics);
	ruleset->generation = generation;
	return (struct policy){ruleset, calloc(ruleset->count + 2, sizeof(struct rule_counters))};
}

static struct bench *bench(void) {
	static struct bench bench;
	if (!bench.policy[0].ruleset) {
		char with_pickup[sizeof rules + 16] = "pickup on\n";
		strcat(with_pickup, rules);
		bench.policy[0] = make_policy(rules, 1);
		bench.policy[1] = make_policy(with_pickup, 2);
	}
	return &bench;
}

static const char *name_of(void *names, uint32_t index) {
	(void)names;
	return index % 2 ? "eth0" : NULL;
}

static void check_keys(const struct packet *packet) {
	static const struct hash_secret secret = {{1, 2}};
	struct key in = key_of_packet(packet, DIRECTION_IN), out = key_of_packet(packet, DIRECTION_OUT);
	assert(key_equal(&in, &in) && key_hash(&in, &secret) == key_hash(&in, &secret));
	assert(addr_equal(&in.local, &out.remote) && in.local_port == out.remote_port);
	if (packet->inner_known) {
		assert(packet->icmp_error);
		key_of_inner(packet, DIRECTION_IN);
	}
}

static void judge(struct bench *work, const uint8_t *bytes, size_t size, uint8_t how, uint32_t now) {
	uint8_t *copy = malloc(size ? size : 1); /* of its own size, for ASan */
	memcpy(copy, bytes, size);
	struct packet packet;
	size_t unseen = how & 0x80 ? 1400 : 0; /* payload that was not copied */
	enum reason reason = packet_parse(copy, size, size + unseen, &packet);
	free(copy);
	if (reason) {
		assert(reason >= DROP_TRUNCATED && reason < REASON_COUNT);
		return;
	}
	check_keys(&packet);
	struct arrival arrival = {(enum hook)(how % 3), how >> 2 & 3, name_of, NULL};
	if (how & 0x10)
		atomic_fetch_add(&work->filter.epoch, 1);
	struct decision decision =
	    filter_packet(&work->filter, &work->policy[how >> 5 & 1], &packet, &arrival, now);
	assert(decision.reason > REASON_NONE && decision.reason < DROP_TRUNCATED);
	assert((decision.verdict == VERDICT_ACCEPT) == reason_passes(decision.reason));
	assert(arrival.hook != HOOK_LEARN || decision.verdict == VERDICT_ACCEPT);
	assert(!decision.opened || decision.verdict == VERDICT_ACCEPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const struct hash_secret secret = {{3, 4}};
	struct bench *work = bench();
	uint32_t now = 1000;
	work->filter.table = table_new(8, &secret);
	const struct expiry expiry = {.timeouts = &default_timeouts};
	while (size >= 3) {
		size_t length = (size_t)(data[0] << 8 | data[1]);
		uint8_t how = data[2];
		data += 3;
		size -= 3;
		if (length > size)
			length = size;
		judge(work, data, length, how, now);
		now += how & 0x40 ? 37 : 0;
		table_expire(work->filter.table, &expiry, now, 100);
		data += length;
		size -= length;
	}
	table_free(work->filter.table);
	return 0;
}
