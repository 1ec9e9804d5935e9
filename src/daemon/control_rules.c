/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `rules`: each rule with what it did.
 */
#include <stdlib.h>

#include "sallyport/daemon/answer.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/request.h"

enum { RULES_A_PIECE = 256 };

struct rule_listing {
	struct policy_version *version; /* a reference: a reload must not change it under way */
	uint64_t *kernel_packets;       /* by rule, then default in, default out */
	size_t next;
};

static json_t *last_hit_answer(uint32_t last_hit, uint32_t now) {
	return last_hit ? answer_seconds_since(last_hit, now) : json_null();
}

/* `index` as in the counters: by rule, then the two defaults. */
static json_t *rule_line(const struct rule_listing *listing, size_t index, uint32_t now) {
	const struct ruleset *ruleset = listing->version->ruleset;
	const struct rule_counters *counters = &listing->version->counters[index];
	const struct rule *rule = index < ruleset->count ? &ruleset->rules[index] : NULL;
	enum direction direction = index == ruleset->count ? DIRECTION_IN : DIRECTION_OUT;
	uint64_t packets = atomic_load_explicit(&counters->packets, memory_order_relaxed);
	uint64_t connections = atomic_load_explicit(&counters->connections, memory_order_relaxed);
	uint32_t last_hit = atomic_load_explicit(&counters->last_hit, memory_order_relaxed);

	if (rule && rule_counts_admissions(rule))
		connections += listing->kernel_packets[index];
	return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o}", "rule", answer_place(rule ? &rule->place : NULL),
			 "text", rule ? answer_rule(rule) : answer_default(ruleset, direction), "essential",
			 rule && rule->essential, "packets",
			 answer_count(packets + listing->kernel_packets[index]), "connections",
			 answer_count(connections), "last_hit", last_hit_answer(last_hit, now));
}

static bool rules_more(struct client *client, void *state) {
	struct rule_listing *listing = state;
	size_t count = listing->version->ruleset->count + 2;
	uint32_t now = clock_seconds();

	for (unsigned i = 0; i < RULES_A_PIECE && listing->next < count; i++)
		client_send(client, rule_line(listing, listing->next++, now));
	if (listing->next < count)
		return true;
	client_done(client, NULL);
	return false;
}

static void rules_end(void *state) {
	struct rule_listing *listing = state;

	policy_drop(listing->version);
	free(listing->kernel_packets);
	free(listing);
}

static bool read_kernel(struct daemon *daemon, struct rule_listing *listing, struct error *err) {
	size_t rules = listing->version->ruleset->count;
	struct kernel_counts counts;

	if (!kernel_counts_read(daemon->install, rules, &counts, err))
		return false;
	listing->kernel_packets = kernel_counts_by_rule(&counts, rules + 1);
	if (listing->kernel_packets) {
		listing->kernel_packets[rules] = kernel_counts_packets(&counts, "default_in");
		listing->kernel_packets[rules + 1] = kernel_counts_packets(&counts, "default_out");
	}
	kernel_counts_free(&counts);
	return listing->kernel_packets || error_set(err, "out of memory");
}

void command_rules(struct client *client, const json_t *request) {
	static const struct piecemeal answer = {.more = rules_more, .end = rules_end};
	struct daemon *daemon = client_daemon(client);
	struct rule_listing *listing = calloc(1, sizeof(*listing));
	struct error err;

	(void)request;
	if (!listing) {
		client_error(client, "out of memory");
		return;
	}
	listing->version = policy_hold(daemon_policy(daemon));
	if (!read_kernel(daemon, listing, &err)) {
		rules_end(listing);
		client_error(client, err.text);
		return;
	}
	client_send_piecemeal(client, &answer, listing);
}
