/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where the file has more conditions than the kernel should go through one by one, it can still tell to
 * whom none of them applies: a source that no rule names. One look-up, however long the file is.
 */
#include <stdlib.h>
#include <string.h>

#include "compile.h"

enum { MENTIONED_MAX = 100000 };

/* A set of the file ends in _4 or _6 here. */
const char *mentioned_set(enum family family) {
	return family == FAMILY_IPV4 ? "mentioned4" : "mentioned6";
}

bool rule_names_sources(const struct rule *rule) {
	return !rule->from.negate && (rule->from.count > 0 || rule->from.set_count > 0);
}

static bool counts(const struct rule *rule) {
	return rule->direction == DIRECTION_IN && !rule->essential && rule_names_sources(rule);
}

static size_t count_of(const struct rule *rule) {
	size_t count = rule->from.count;

	for (size_t i = 0; i < rule->from.set_count; i++)
		count += rule->from.sets[i]->count;
	return count;
}

static size_t count_all(const struct ruleset *ruleset) {
	size_t count = 0;

	for (uint32_t i = 0; i < ruleset->count; i++)
		count += counts(&ruleset->rules[i]) ? count_of(&ruleset->rules[i]) : 0;
	return count;
}

bool kernel_knows_mentioned(const struct ruleset *ruleset) {
	return settings_allow_busy(&ruleset->settings) && count_all(ruleset) <= MENTIONED_MAX;
}

static void collect(const struct addr_list *list, struct addr_range *ranges, size_t *count) {
	for (size_t i = 0; i < list->count; i++)
		ranges[(*count)++] = list->ranges[i];
	for (size_t i = 0; i < list->set_count; i++) {
		const struct set *set = list->sets[i];

		if (set->count > 0)
			memcpy(ranges + *count, set->ranges, set->count * sizeof(*ranges));
		*count += set->count;
	}
}

void put_mentioned(struct compiler *compiler) {
	const struct ruleset *ruleset = compiler->ruleset;
	struct addr_range *ranges = calloc(count_all(ruleset) + 1, sizeof(*ranges));
	size_t count = 0;

	if (!ranges)
		abort();
	for (uint32_t i = 0; i < ruleset->count; i++)
		if (counts(&ruleset->rules[i]))
			collect(&ruleset->rules[i].from, ranges, &count);
	count = addr_ranges_normalize(ranges, count);
	put_filled_set(compiler, mentioned_set(FAMILY_IPV4), FAMILY_IPV4, ranges, count);
	put_filled_set(compiler, mentioned_set(FAMILY_IPV6), FAMILY_IPV6, ranges, count);
	free(ranges);
}
