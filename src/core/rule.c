/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules and rulesets: freeing, port lists, and whether one part of a rule matches.
 */
#include "sallyport/core/rule.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "sallyport/core/eval.h"

void strings_free(char **strings, size_t count) {
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

static void what_clear(struct what *what) {
	free(what->matches);
	strings_free(what->services, what->service_count);
	free(what->protocols);
	free(what->ports.ranges);
}

static void addr_list_clear(struct addr_list *list) {
	free(list->ranges);
	free(list->sets);
}

void rule_clear(struct rule *rule) {
	what_clear(&rule->what);
	addr_list_clear(&rule->from);
	addr_list_clear(&rule->to);
	free(rule->from_ports.ranges);
	free(rule->to_ports.ranges);
	strings_free(rule->on.names, rule->on.count);
	memset(rule, 0, sizeof *rule);
}

void set_free(struct set *set) {
	if (!set)
		return;
	free(set->name);
	free(set->file);
	free(set->ranges);
	free(set);
}

void service_clear(struct service *service) {
	free(service->name);
	free(service->matches);
	memset(service, 0, sizeof *service);
}

static void free_rules_and_sets(struct ruleset *ruleset) {
	for (size_t i = 0; i < ruleset->count; i++)
		rule_clear(&ruleset->rules[i]);
	for (size_t i = 0; i < ruleset->set_count; i++)
		set_free(ruleset->sets[i]);
	for (size_t i = 0; i < ruleset->service_count; i++)
		service_clear(&ruleset->services[i]);
	free(ruleset->rules);
	free(ruleset->sets);
	free(ruleset->services);
}

void ruleset_free(struct ruleset *ruleset) {
	if (!ruleset)
		return;
	rule_index_free(ruleset->index);
	free_rules_and_sets(ruleset);
	for (size_t i = 0; i < ruleset->expectation_count; i++) {
		free(ruleset->expectations[i].text);
		free((char *)ruleset->expectations[i].question.interface);
	}
	free(ruleset->expectations);
	strings_free(ruleset->files, ruleset->file_count);
	free(ruleset);
}

const struct set *ruleset_set(const struct ruleset *ruleset, const char *name) {
	for (size_t i = 0; i < ruleset->set_count; i++)
		if (strcmp(ruleset->sets[i]->name, name) == 0)
			return ruleset->sets[i];
	return NULL;
}

static int compare_port_ranges(const void *left_item, const void *right_item) {
	const struct port_range *left = left_item, *right = right_item;

	return (left->lo > right->lo) - (left->lo < right->lo);
}

void port_list_normalize(struct port_list *list) {
	size_t kept = 0;

	if (list->count > 1)
		qsort(list->ranges, list->count, sizeof *list->ranges, compare_port_ranges);
	for (size_t i = 0; i < list->count; i++) {
		struct port_range *last = kept ? &list->ranges[kept - 1] : NULL;

		if (!last || list->ranges[i].lo > (unsigned)last->hi + 1)
			list->ranges[kept++] = list->ranges[i];
		else if (last->hi < list->ranges[i].hi)
			last->hi = list->ranges[i].hi;
	}
	list->count = kept;
}

static int compare_matches(const void *left_item, const void *right_item) {
	const struct match *left = left_item, *right = right_item;

	if (left->protocol != right->protocol)
		return left->protocol - right->protocol;
	return compare_port_ranges(&left->ports, &right->ports);
}

void match_list_normalize(struct match *matches, size_t *count) {
	size_t kept = 0;

	if (*count > 1)
		qsort(matches, *count, sizeof *matches, compare_matches);
	for (size_t i = 0; i < *count; i++) {
		struct match *last = kept ? &matches[kept - 1] : NULL;

		if (!last || last->protocol != matches[i].protocol ||
		    matches[i].ports.lo > (unsigned)last->ports.hi + 1)
			matches[kept++] = matches[i];
		else if (last->ports.hi < matches[i].ports.hi)
			last->ports.hi = matches[i].ports.hi;
	}
	*count = kept;
}

bool port_list_add(struct port_list *list, struct port_range range) {
	struct port_range *added = array_add(&list->ranges, &list->count, sizeof *added);

	if (added)
		*added = range;
	return added;
}

bool port_list_invert(struct port_list *list, uint16_t max) {
	struct port_list inverse = {0};
	unsigned next = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (next < list->ranges[i].lo &&
		    !port_list_add(&inverse,
				   (struct port_range){(uint16_t)next, (uint16_t)(list->ranges[i].lo - 1)}))
			goto out_of_memory;
		next = list->ranges[i].hi + 1u;
	}
	if (next <= max && !port_list_add(&inverse, (struct port_range){(uint16_t)next, max}))
		goto out_of_memory;
	free(list->ranges);
	*list = inverse;
	return true;
out_of_memory:
	free(inverse.ranges);
	return false;
}

bool port_list_contains(const struct port_list *list, uint16_t port) {
	size_t low = 0, high = list->count;

	if (list->count == 0)
		return true;
	while (low < high) { /* the first range that starts behind port */
		size_t middle = low + (high - low) / 2;

		if (list->ranges[middle].lo <= port)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && port <= list->ranges[low - 1].hi;
}

bool addr_list_is_any(const struct addr_list *list) {
	return list->count == 0 && list->set_count == 0;
}

bool addr_list_matches(const struct addr_list *list, const struct addr *addr) {
	bool holds;

	if (addr_list_is_any(list))
		return true;
	holds = addr_ranges_contain(list->ranges, list->count, addr);
	for (size_t i = 0; i < list->set_count && !holds; i++)
		holds = addr_ranges_contain(list->sets[i]->ranges, list->sets[i]->count, addr);
	return holds != list->negate;
}

static bool interface_matches(const char *pattern, const char *name) {
	size_t length = strlen(pattern);

	if (length > 0 && pattern[length - 1] == '*')
		return strncmp(pattern, name, length - 1) == 0;
	return strcmp(pattern, name) == 0;
}

bool interface_list_matches(const struct interface_list *list, const char *name) {
	bool holds = false;

	if (list->count == 0)
		return true;
	if (!name)
		return false;
	for (size_t i = 0; i < list->count && !holds; i++)
		holds = interface_matches(list->names[i], name);
	return holds != list->negate;
}

bool what_matches(const struct what *what, uint8_t protocol, uint16_t port_or_type) {
	if (what->any)
		return true;
	for (size_t i = 0; i < what->count; i++) {
		const struct match *match = &what->matches[i];

		if (match->protocol == protocol && match->ports.lo <= port_or_type &&
		    port_or_type <= match->ports.hi)
			return true;
	}
	return false;
}

bool rule_is_unconditional(const struct rule *rule) {
	return addr_list_is_any(&rule->from) && addr_list_is_any(&rule->to) && rule->from_ports.count == 0 &&
	       rule->to_ports.count == 0 && rule->on.count == 0;
}

bool rule_is_static(const struct rule *rule) {
	return !rule->log && !rule->strict;
}

bool rule_counts_admissions(const struct rule *rule) {
	return rule->action == ACTION_ALLOW && !rule->essential;
}

bool settings_allow_busy(const struct settings *settings) {
	return settings->busy_rate > 0 && !settings->inspect_all && !settings->failure_closed;
}
