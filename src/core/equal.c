/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether two rulesets mean and say the same.
 */
#include <string.h>

#include "sallyport/core/print.h"

static bool bytes_equal(const void *left, const void *right, size_t count, size_t size) {
	return count == 0 || memcmp(left, right, count * size) == 0;
}

static bool texts_equal(const char *left, const char *right) {
	return left && right ? strcmp(left, right) == 0 : left == right;
}

static bool string_lists_equal(char *const *left, size_t left_count, char *const *right, size_t right_count) {
	if (left_count != right_count)
		return false;
	for (size_t i = 0; i < left_count; i++)
		if (!texts_equal(left[i], right[i]))
			return false;
	return true;
}

static bool ports_equal(const struct port_list *left, const struct port_list *right) {
	return left->count == right->count &&
	       bytes_equal(left->ranges, right->ranges, left->count, sizeof *left->ranges);
}

/* Field by field: struct match has padding. */
static bool matches_equal(const struct match *left, size_t left_count, const struct match *right,
			  size_t right_count) {
	if (left_count != right_count)
		return false;
	for (size_t i = 0; i < left_count; i++)
		if (left[i].protocol != right[i].protocol || left[i].ports.lo != right[i].ports.lo ||
		    left[i].ports.hi != right[i].ports.hi)
			return false;
	return true;
}

static bool whats_equal(const struct what *left, const struct what *right) {
	return left->any == right->any &&
	       matches_equal(left->matches, left->count, right->matches, right->count) &&
	       string_lists_equal(left->services, left->service_count, right->services,
				  right->service_count) &&
	       left->protocol_count == right->protocol_count &&
	       bytes_equal(left->protocols, right->protocols, left->protocol_count, 1) &&
	       ports_equal(&left->ports, &right->ports);
}

static bool addr_lists_equal(const struct addr_list *left, const struct addr_list *right) {
	if (left->negate != right->negate || left->count != right->count ||
	    left->set_count != right->set_count ||
	    !bytes_equal(left->ranges, right->ranges, left->count, sizeof *left->ranges))
		return false;
	for (size_t i = 0; i < left->set_count; i++)
		if (strcmp(left->sets[i]->name, right->sets[i]->name) != 0)
			return false;
	return true;
}

static bool rules_equal(const struct rule *left, const struct rule *right) {
	return left->action == right->action && left->direction == right->direction &&
	       left->log == right->log && left->strict == right->strict &&
	       left->essential == right->essential && whats_equal(&left->what, &right->what) &&
	       addr_lists_equal(&left->from, &right->from) && addr_lists_equal(&left->to, &right->to) &&
	       ports_equal(&left->from_ports, &right->from_ports) &&
	       ports_equal(&left->to_ports, &right->to_ports) && left->on.negate == right->on.negate &&
	       string_lists_equal(left->on.names, left->on.count, right->on.names, right->on.count);
}

static bool sets_equal(const struct set *left, const struct set *right) {
	return texts_equal(left->name, right->name) && texts_equal(left->file, right->file) &&
	       left->count == right->count &&
	       bytes_equal(left->ranges, right->ranges, left->count, sizeof *left->ranges);
}

static bool services_equal(const struct service *left, const struct service *right) {
	return texts_equal(left->name, right->name) &&
	       matches_equal(left->matches, left->count, right->matches, right->count);
}

static bool questions_equal(const struct question *left, const struct question *right) {
	return left->direction == right->direction && addr_equal(&left->from, &right->from) &&
	       addr_equal(&left->to, &right->to) && left->from_port == right->from_port &&
	       left->to_port == right->to_port && left->protocol == right->protocol &&
	       left->icmp_type == right->icmp_type && texts_equal(left->interface, right->interface);
}

static bool expectations_equal(const struct expectation *left, const struct expectation *right) {
	return left->action == right->action && texts_equal(left->text, right->text) &&
	       questions_equal(&left->question, &right->question);
}

static bool settings_equal(const struct settings *left, const struct settings *right) {
	return left->essentials == right->essentials && left->pickup == right->pickup &&
	       left->inspect_all == right->inspect_all && left->failure_closed == right->failure_closed &&
	       left->busy_rate == right->busy_rate && left->mark_mask == right->mark_mask &&
	       left->connections == right->connections &&
	       memcmp(&left->timeouts, &right->timeouts, sizeof left->timeouts) == 0;
}

static bool contents_equal(const struct ruleset *left, const struct ruleset *right) {
	for (size_t i = 0; i < left->count; i++)
		if (!rules_equal(&left->rules[i], &right->rules[i]))
			return false;
	for (size_t i = 0; i < left->set_count; i++)
		if (!sets_equal(left->sets[i], right->sets[i]))
			return false;
	for (size_t i = 0; i < left->service_count; i++)
		if (!services_equal(&left->services[i], &right->services[i]))
			return false;
	for (size_t i = 0; i < left->expectation_count; i++)
		if (!expectations_equal(&left->expectations[i], &right->expectations[i]))
			return false;
	return true;
}

bool ruleset_equal(const struct ruleset *left, const struct ruleset *right) {
	return left->count == right->count && left->set_count == right->set_count &&
	       left->service_count == right->service_count &&
	       left->expectation_count == right->expectation_count &&
	       left->defaults[DIRECTION_IN] == right->defaults[DIRECTION_IN] &&
	       left->defaults[DIRECTION_OUT] == right->defaults[DIRECTION_OUT] &&
	       settings_equal(&left->settings, &right->settings) && contents_equal(left, right);
}
