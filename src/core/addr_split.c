/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cuts the address space at every end of the rules' ranges; what lies between two cuts is
 * a leaf. Large sets are not taken apart: their rules search them when they are asked.
 */
#include "addr_split.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

const struct addr_list *rule_remote(const struct rule *rule) {
	return rule->direction == DIRECTION_IN ? &rule->from : &rule->to;
}

static const struct addr_list *rule_local(const struct rule *rule) {
	return rule->direction == DIRECTION_IN ? &rule->to : &rule->from;
}

bool rule_asks_no_more(const struct rule *rule, bool any_protocol) {
	if (any_protocol && (!rule->what.any || rule->to_ports.count > 0))
		return false;
	return rule->from_ports.count == 0 && rule->on.count == 0 && addr_list_is_any(rule_local(rule));
}

size_t remote_ranges(const struct rule *rule) {
	const struct addr_list *remote = rule_remote(rule);
	size_t count = remote->count;

	if (remote->negate)
		return 0;
	for (size_t i = 0; i < remote->set_count; i++)
		count += remote->sets[i]->count;
	return count <= MAX_RANGES ? count : 0;
}

/* The rule's remote ranges in a row. `ranges` holds MAX_RANGES. */
static size_t remote_copy(const struct rule *rule, struct addr_range *ranges) {
	const struct addr_list *remote = rule_remote(rule);
	size_t count = 0;

	if (remote_ranges(rule) == 0)
		return 0;
	for (size_t i = 0; i < remote->count; i++)
		ranges[count++] = remote->ranges[i];
	for (size_t s = 0; s < remote->set_count; s++)
		for (size_t i = 0; i < remote->sets[s]->count; i++)
			ranges[count++] = remote->sets[s]->ranges[i];
	return count;
}

/* A list entry's rule and its ranges. `ranges` holds MAX_RANGES. */
static size_t entry_ranges(const struct ruleset *ruleset, uint32_t entry, struct addr_range *ranges) {
	return remote_copy(&ruleset->rules[entry & ~RULE_CERTAIN], ranges);
}

/* ---- one family ---- */

static const uint8_t *addr_key(const struct addr *addr, size_t width) {
	return addr->bytes + sizeof(addr->bytes) - width;
}

static bool in_family(const struct addr_tree *addresses, const struct addr_range *range) {
	return (addr_family(&range->lo) == FAMILY_IPV4) == (addresses->width == 4);
}

/* The address behind; false where there is none. */
static bool key_step(uint8_t *key, size_t width) {
	while (width > 0)
		if (++key[--width] != 0)
			return true;
	return false;
}

static int compare_ipv4(const void *left, const void *right) {
	return memcmp(left, right, 4);
}

static int compare_ipv6(const void *left, const void *right) {
	return memcmp(left, right, 16);
}

uint32_t addr_tree_leaf(const struct addr_tree *addresses, const struct addr *addr) {
	size_t width = addresses->width, count = addresses->bound_count, at = 0;
	const uint8_t *key = addr_key(addr, width);

	while (count > 1) {
		size_t half = count / 2;
		at = memcmp(addresses->bounds + (at + half) * width, key, width) <= 0 ? at + half : at;
		count -= half;
	}
	return at;
}

static size_t sort_unique(uint8_t *keys, size_t count, size_t width) {
	size_t kept = 1;

	qsort(keys, count, width, width == 4 ? compare_ipv4 : compare_ipv6);
	for (size_t i = 1; i < count; i++)
		if (memcmp(keys + i * width, keys + (kept - 1) * width, width) != 0)
			memcpy(keys + kept++ * width, keys + i * width, width);
	return kept;
}

static size_t count_ranges(const struct addr_tree *addresses, const struct ruleset *ruleset,
			   const struct candidates *list) {
	struct addr_range ranges[MAX_RANGES];
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		for (size_t r = entry_ranges(ruleset, list->rules[i], ranges); r > 0; r--)
			count += in_family(addresses, &ranges[r - 1]);
	return count;
}

static bool build_bounds(struct addr_tree *addresses, const struct ruleset *ruleset,
			 const struct candidates *list) {
	size_t width = addresses->width, room = 2 * count_ranges(addresses, ruleset, list) + 1;
	uint8_t *next = addresses->bounds = array_new(room, width);
	struct addr_range ranges[MAX_RANGES];

	if (!next)
		return false;
	next += width; /* behind the lowest address */
	for (size_t i = 0; i < list->count; i++) {
		for (size_t r = entry_ranges(ruleset, list->rules[i], ranges); r > 0; r--) {
			if (!in_family(addresses, &ranges[r - 1]))
				continue;
			memcpy(next, addr_key(&ranges[r - 1].lo, width), width);
			next += width;
			memcpy(next, addr_key(&ranges[r - 1].hi, width), width);
			next += key_step(next, width) ? width : 0;
		}
	}
	addresses->bound_count = sort_unique(addresses->bounds, (next - addresses->bounds) / width, width);
	array_trim(&addresses->bounds, addresses->bound_count, width);
	return true;
}

static bool add_spans(const struct addr_tree *addresses, struct spans *spans, uint32_t number,
		      const struct addr_range *ranges, size_t count, bool final) {
	for (size_t i = 0; i < count; i++) {
		struct span span = {.rule = number, .final = final};
		if (!in_family(addresses, &ranges[i]))
			continue;
		span.lo = addr_tree_leaf(addresses, &ranges[i].lo);
		span.hi = addr_tree_leaf(addresses, &ranges[i].hi);
		if (!spans_add(spans, span))
			return false;
	}
	return true;
}

static bool build_family(struct addr_tree *addresses, const struct ruleset *ruleset,
			 const struct candidates *list, bool any_protocol) {
	struct addr_range ranges[MAX_RANGES];
	struct spans spans = {0};
	bool ok = build_bounds(addresses, ruleset, list);

	for (size_t i = 0; i < list->count && ok; i++) {
		uint32_t number = list->rules[i] & ~RULE_CERTAIN;
		size_t count = remote_copy(&ruleset->rules[number], ranges);
		ok = add_spans(addresses, &spans, number, ranges, count,
			       rule_asks_no_more(&ruleset->rules[number], any_protocol));
	}
	ok = ok && tree_build(&addresses->tree, &spans, addresses->bound_count);
	spans_clear(&spans);
	return ok;
}

/* ---- the whole ---- */

static bool build_plain(struct split *split, const struct ruleset *ruleset) {
	const struct candidates *list = &split->whole;

	split->plain = array_new(list->count, sizeof(*split->plain));
	for (size_t i = 0; i < list->count && split->plain; i++)
		if (remote_ranges(&ruleset->rules[list->rules[i] & ~RULE_CERTAIN]) == 0)
			split->plain[split->plain_count++] = list->rules[i];
	return split->plain != NULL;
}

struct split *split_new(const struct ruleset *ruleset, struct candidates whole, bool any_protocol) {
	struct split *split = calloc(1, sizeof(*split));

	if (!split)
		return NULL;
	split->whole = whole;
	split->ipv4.width = 4;
	split->ipv6.width = 16;
	if (build_plain(split, ruleset) && build_family(&split->ipv4, ruleset, &whole, any_protocol) &&
	    build_family(&split->ipv6, ruleset, &whole, any_protocol))
		return split;
	split_free(split);
	return NULL;
}

void split_free(struct split *split) {
	if (!split)
		return;
	free(split->plain);
	free(split->ipv4.bounds);
	free(split->ipv6.bounds);
	tree_free(&split->ipv4.tree);
	tree_free(&split->ipv6.tree);
	free(split);
}
