/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Counters over a reload: a hash join of two rulesets on the text of their rules.
 */
#include <stdlib.h>
#include <string.h>

#include "sallyport/core/print.h"
#include "sallyport/daemon/policy.h"

enum { NOBODY = UINT32_MAX };

/* The rules of the old version by their text. Chains keep file order, and a rule is taken
 * out when it has found its heir. */
struct text_index {
	uint32_t *buckets; /* first rule, or NOBODY */
	uint32_t *next;
	char **texts;
	size_t mask, count;
};

static uint64_t text_hash(const char *text) {
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: the rules file is trusted */

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

static void index_free(struct text_index *index) {
	for (size_t i = 0; index->texts && i < index->count; i++)
		free(index->texts[i]);
	free(index->texts);
	free(index->buckets);
	free(index->next);
}

static bool index_fill(struct text_index *index, const struct ruleset *ruleset) {
	for (size_t i = 0; i <= index->mask; i++)
		index->buckets[i] = NOBODY;
	/* From the last to the first, so that the first of equals leads its chain. */
	for (size_t i = index->count; i-- > 0;) {
		uint32_t *bucket;

		index->texts[i] = rule_print(&ruleset->rules[i]);
		if (!index->texts[i])
			return false;
		bucket = &index->buckets[text_hash(index->texts[i]) & index->mask];
		index->next[i] = *bucket;
		*bucket = (uint32_t)i;
	}
	return true;
}

static bool index_build(struct text_index *index, const struct ruleset *ruleset) {
	size_t buckets = 16;

	while (buckets < ruleset->count)
		buckets *= 2;
	*index = (struct text_index){
	    .buckets = calloc(buckets, sizeof(uint32_t)),
	    .next = calloc(ruleset->count + 1, sizeof(uint32_t)),
	    .texts = calloc(ruleset->count + 1, sizeof(char *)),
	    .mask = buckets - 1,
	    .count = ruleset->count,
	};
	return index->buckets && index->next && index->texts && index_fill(index, ruleset);
}

static uint32_t index_take(struct text_index *index, const char *text) {
	uint32_t *link = &index->buckets[text_hash(text) & index->mask];

	for (; *link != NOBODY; link = &index->next[*link]) {
		uint32_t found = *link;

		if (strcmp(index->texts[found], text) == 0) {
			*link = index->next[found];
			return found;
		}
	}
	return NOBODY;
}

static void carry(_Atomic uint64_t *to, const _Atomic uint64_t *from, uint64_t more) {
	atomic_store_explicit(to, atomic_load_explicit(from, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

/* What the kernel counted for a rule that allows is connections that it admitted by itself. */
static void carry_one(struct rule_counters *to, const struct rule_counters *from, uint64_t kernel_packets,
		      bool admits) {
	carry(&to->packets, &from->packets, kernel_packets);
	carry(&to->connections, &from->connections, admits ? kernel_packets : 0);
	atomic_store_explicit(&to->last_hit, atomic_load_explicit(&from->last_hit, memory_order_relaxed),
			      memory_order_relaxed);
}

/* The old rule that each new one continues, or NOBODY. */
static bool find_heirs(const struct ruleset *to, struct text_index *index, uint32_t *heirs) {
	for (size_t i = 0; i < to->count; i++) {
		char *text = rule_print(&to->rules[i]);

		if (!text)
			return false;
		heirs[i] = index_take(index, text);
		free(text);
	}
	return true;
}

bool policy_carry_counters(struct policy_version *to, const struct policy_version *from,
			   const uint64_t *kernel_packets) {
	size_t count = to->ruleset->count;
	size_t old_count = from->ruleset->count;
	uint32_t *heirs = calloc(count + 1, sizeof(*heirs));
	struct text_index index = {0};
	bool found = heirs && index_build(&index, from->ruleset) && find_heirs(to->ruleset, &index, heirs);

	for (size_t i = 0; found && i < count; i++) {
		if (heirs[i] != NOBODY)
			carry_one(&to->counters[i], &from->counters[heirs[i]],
				  kernel_packets ? kernel_packets[heirs[i]] : 0,
				  rule_counts_admissions(&to->ruleset->rules[i]));
	}
	for (size_t i = 0; found && i < 2; i++)
		carry_one(&to->counters[count + i], &from->counters[old_count + i], 0, false);
	index_free(&index);
	free(heirs);
	return found;
}
