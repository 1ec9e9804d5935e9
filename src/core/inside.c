/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inclusion of lists, `not` taken into account: with E and R what stands in the lists,
 * R in E is asked range by range; R in not E is that none overlap; not R in not E
 * is E in R; not R in E is never claimed.
 */
#include "inside.h"

#include <string.h>

enum {
	MAX_COMPARED = 4096, /* ranges of one list that are compared one by one */
};

/* ---- addresses ---- */

/* A list's own ranges (part 0) and those of its sets. */
static size_t list_part(const struct addr_list *list, size_t part, const struct addr_range **ranges) {
	if (part == 0) {
		*ranges = list->ranges;
		return list->count;
	}
	*ranges = list->sets[part - 1]->ranges;
	return list->sets[part - 1]->count;
}

/* The order of normalized ranges: IPv4 first. */
static int compare_starts(const struct addr *left, const struct addr *right) {
	int families = (int)addr_family(left) - (int)addr_family(right);

	return families ? families : addr_compare(left, right);
}

/* One of the normalized ranges holds all of `range`. */
static bool ranges_hold(const struct addr_range *ranges, size_t count, const struct addr_range *range) {
	size_t lo = 0, hi = count;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		if (compare_starts(&ranges[middle].lo, &range->lo) <= 0)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo > 0 && addr_family(&ranges[lo - 1].lo) == addr_family(&range->lo) &&
	       addr_compare(&range->hi, &ranges[lo - 1].hi) <= 0;
}

static bool list_holds(const struct addr_list *list, const struct addr_range *range) {
	for (size_t part = 0; part <= list->set_count; part++) {
		const struct addr_range *ranges;
		size_t count = list_part(list, part, &ranges);
		if (ranges_hold(ranges, count, range))
			return true;
	}
	return false;
}

static bool list_names_set(const struct addr_list *list, const struct set *set) {
	for (size_t i = 0; i < list->set_count; i++)
		if (list->sets[i] == set)
			return true;
	return false;
}

/* Every range that stands in `inner` lies within one of `outer`. */
static bool items_inside(const struct addr_list *inner, const struct addr_list *outer) {
	for (size_t part = 0; part <= inner->set_count; part++) {
		const struct addr_range *ranges;
		size_t count = list_part(inner, part, &ranges);
		if (part > 0 && list_names_set(outer, inner->sets[part - 1]))
			continue;
		if (count > MAX_COMPARED)
			return false;
		for (size_t i = 0; i < count; i++)
			if (!list_holds(outer, &ranges[i]))
				return false;
	}
	return true;
}

static bool ranges_overlap(const struct addr_range *left, const struct addr_range *right) {
	return addr_family(&left->lo) == addr_family(&right->lo) &&
	       addr_compare(&left->lo, &right->hi) <= 0 && addr_compare(&right->lo, &left->hi) <= 0;
}

static bool list_overlaps(const struct addr_list *list, const struct addr_range *range) {
	for (size_t part = 0; part <= list->set_count; part++) {
		const struct addr_range *ranges;
		size_t count = list_part(list, part, &ranges);
		for (size_t i = 0; i < count; i++)
			if (ranges_overlap(&ranges[i], range))
				return true;
	}
	return false;
}

static size_t list_total(const struct addr_list *list) {
	size_t total = list->count;

	for (size_t i = 0; i < list->set_count; i++)
		total += list->sets[i]->count;
	return total;
}

static bool items_disjoint(const struct addr_list *left, const struct addr_list *right) {
	size_t left_total = list_total(left), right_total = list_total(right);

	if (left_total > MAX_COMPARED || right_total > MAX_COMPARED ||
	    left_total * right_total > MAX_COMPARED)
		return false;
	for (size_t part = 0; part <= left->set_count; part++) {
		const struct addr_range *ranges;
		size_t count = list_part(left, part, &ranges);
		for (size_t i = 0; i < count; i++)
			if (list_overlaps(right, &ranges[i]))
				return false;
	}
	return true;
}

size_t addrs_work(const struct addr_list *inner, const struct addr_list *outer) {
	size_t total = list_total(inner) + (outer->negate ? list_total(outer) : 0);

	return total < MAX_COMPARED ? total : MAX_COMPARED;
}

bool addrs_inside(const struct addr_list *inner, const struct addr_list *outer) {
	if (addr_list_is_any(outer))
		return true;
	if (addr_list_is_any(inner))
		return false;
	if (outer->negate)
		return inner->negate ? items_inside(outer, inner) : items_disjoint(inner, outer);
	return !inner->negate && items_inside(inner, outer);
}

/* ---- ports ---- */

bool ports_inside(const struct port_list *inner, const struct port_list *outer) {
	size_t at = 0;

	if (outer->count == 0)
		return true;
	for (size_t i = 0; i < inner->count; i++) {
		while (at < outer->count && outer->ranges[at].hi < inner->ranges[i].hi)
			at++;
		if (at == outer->count || outer->ranges[at].lo > inner->ranges[i].lo)
			return false;
	}
	return inner->count > 0;
}

/* ---- interfaces ---- */

/* The length of what stands before a trailing *, or of all. */
static size_t stem_length(const char *pattern, bool *open) {
	size_t length = strlen(pattern);

	*open = length > 0 && pattern[length - 1] == '*';
	return *open ? length - 1 : length;
}

static bool pattern_inside(const char *inner, const char *outer) {
	bool inner_open, outer_open;
	size_t inner_length = stem_length(inner, &inner_open);
	size_t outer_length = stem_length(outer, &outer_open);

	if (!outer_open)
		return !inner_open && strcmp(inner, outer) == 0;
	return inner_length >= outer_length && memcmp(inner, outer, outer_length) == 0;
}

static bool patterns_overlap(const char *left, const char *right) {
	bool left_open, right_open;
	size_t left_length = stem_length(left, &left_open);
	size_t right_length = stem_length(right, &right_open);
	size_t shorter = left_length < right_length ? left_length : right_length;

	if ((left_length > shorter && !right_open) || (right_length > shorter && !left_open))
		return false;
	return memcmp(left, right, shorter) == 0;
}

static bool names_inside(const struct interface_list *inner, const struct interface_list *outer) {
	for (size_t i = 0; i < inner->count; i++) {
		bool found = false;
		for (size_t o = 0; o < outer->count && !found; o++)
			found = pattern_inside(inner->names[i], outer->names[o]);
		if (!found)
			return false;
	}
	return true;
}

static bool names_disjoint(const struct interface_list *left, const struct interface_list *right) {
	for (size_t i = 0; i < left->count; i++)
		for (size_t o = 0; o < right->count; o++)
			if (patterns_overlap(left->names[i], right->names[o]))
				return false;
	return true;
}

bool interfaces_inside(const struct interface_list *inner, const struct interface_list *outer) {
	if (outer->count == 0)
		return true;
	if (inner->count == 0)
		return false;
	if (outer->negate)
		return inner->negate ? names_inside(outer, inner) : names_disjoint(inner, outer);
	return !inner->negate && names_inside(inner, outer);
}
