/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ruleset -> canonical text. Long lists are continued on further lines, since a
 * line of the file has a bound.
 */
#include "sallyport/core/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "sallyport/core/packet.h"

enum { WRAP_COLUMN = 100 };

struct printer {
	struct text text;
	bool wrap;
	size_t line_start;
};

static void put(struct printer *printer, const char *string) {
	text_puts(&printer->text, string);
}

static void put_newline(struct printer *printer) {
	put(printer, "\n");
	printer->line_start = printer->text.length;
}

/* Between two items of a list; nothing before the first. */
static void put_separator(struct printer *printer, bool first, const char *separator) {
	if (first)
		return;
	put(printer, separator);
	if (!printer->wrap || printer->text.length - printer->line_start < WRAP_COLUMN)
		return;
	put(printer, " \\");
	put_newline(printer);
	put(printer, "\t");
}

static void put_port_range(struct printer *printer, struct port_range range) {
	if (range.lo == range.hi)
		text_printf(&printer->text, "%u", range.lo);
	else
		text_printf(&printer->text, "%u-%u", range.lo, range.hi);
}

static void put_ports(struct printer *printer, const struct port_list *list) {
	for (size_t i = 0; i < list->count; i++) {
		put_separator(printer, i == 0, ",");
		put_port_range(printer, list->ranges[i]);
	}
}

static bool all_named(uint8_t protocol, struct port_range types) {
	for (unsigned type = types.lo; type <= types.hi; type++)
		if (!icmp_type_name(protocol, (uint8_t)type))
			return false;
	return true;
}

/* By name where each type of a range has one. */
static void put_types(struct printer *printer, uint8_t protocol, const struct port_list *list) {
	for (size_t i = 0; i < list->count; i++) {
		struct port_range range = list->ranges[i];

		if (!all_named(protocol, range)) {
			put_separator(printer, i == 0, ",");
			put_port_range(printer, range);
			continue;
		}
		for (unsigned type = range.lo; type <= range.hi; type++) {
			put_separator(printer, i == 0 && type == range.lo, ",");
			put(printer, icmp_type_name(protocol, (uint8_t)type));
		}
	}
}

static void put_protocol(struct printer *printer, uint8_t protocol) {
	if (protocol_name(protocol))
		put(printer, protocol_name(protocol));
	else
		text_printf(&printer->text, "%u", protocol);
}

static void put_what(struct printer *printer, const struct what *what) {
	if (what->any) {
		put(printer, " any");
		return;
	}
	put(printer, " ");
	for (size_t i = 0; i < what->service_count; i++) {
		put_separator(printer, i == 0, ",");
		put(printer, what->services[i]);
	}
	for (size_t i = 0; i < what->protocol_count; i++) {
		put_separator(printer, i == 0, ",");
		put_protocol(printer, what->protocols[i]);
	}
	if (what->ports.count == 0)
		return;
	put(printer, " ");
	if (what->protocols[0] == PROTOCOL_ICMP || what->protocols[0] == PROTOCOL_ICMPV6)
		put_types(printer, what->protocols[0], &what->ports);
	else
		put_ports(printer, &what->ports);
}

static void put_ranges(struct printer *printer, const struct addr_range *ranges, size_t count,
		       const char *separator) {
	char text[ADDR_RANGE_TEXT];

	for (size_t i = 0; i < count; i++) {
		put_separator(printer, i == 0, separator);
		put(printer, addr_range_print(&ranges[i], text));
	}
}

static void put_addrs(struct printer *printer, const struct addr_list *list) {
	if (addr_list_is_any(list)) {
		put(printer, " any");
		return;
	}
	put(printer, list->negate ? " not " : " ");
	put_ranges(printer, list->ranges, list->count, ",");
	for (size_t i = 0; i < list->set_count; i++) {
		put_separator(printer, i == 0 && list->count == 0, ",");
		put(printer, "@");
		put(printer, list->sets[i]->name);
	}
}

static void put_side(struct printer *printer, const char *word, const struct addr_list *addrs,
		     const struct port_list *ports) {
	if (addr_list_is_any(addrs) && ports->count == 0)
		return;
	put(printer, word);
	put_addrs(printer, addrs);
	if (ports->count == 0)
		return;
	put(printer, " port ");
	put_ports(printer, ports);
}

static void put_interfaces(struct printer *printer, const struct interface_list *list) {
	if (list->count == 0)
		return;
	put(printer, list->negate ? " on not " : " on ");
	for (size_t i = 0; i < list->count; i++) {
		put_separator(printer, i == 0, ",");
		put(printer, list->names[i]);
	}
}

static void put_rule(struct printer *printer, const struct rule *rule) {
	put(printer, action_name(rule->action));
	put(printer, rule->direction == DIRECTION_IN ? " in" : " out");
	if (rule->log)
		put(printer, " log");
	put_what(printer, &rule->what);
	put_side(printer, " from", &rule->from, &rule->from_ports);
	put_side(printer, " to", &rule->to, &rule->to_ports);
	put_interfaces(printer, &rule->on);
	if (rule->strict)
		put(printer, " strict");
}

char *rule_print(const struct rule *rule) {
	struct printer printer = {0};

	put_rule(&printer, rule);
	return text_take(&printer.text);
}

char *duration_print(uint32_t seconds, char text[32]) {
	static const struct {
		uint32_t seconds;
		char unit;
	} units[] = {{24 * 3600, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	int length = 0;

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		uint32_t number = seconds / units[i].seconds;

		seconds %= units[i].seconds;
		if (number || (units[i].seconds == 1 && length == 0))
			length += snprintf(text + length, 32 - (size_t)length, "%u%c", number, units[i].unit);
	}
	return text;
}

static void put_defaults_and_settings(struct printer *printer, const struct ruleset *ruleset) {
	const struct settings *settings = &ruleset->settings;
	char text[32];

	text_printf(&printer->text, "default in %s\n", action_name(ruleset->defaults[DIRECTION_IN]));
	text_printf(&printer->text, "default out %s\n", action_name(ruleset->defaults[DIRECTION_OUT]));
	if (!settings->essentials)
		put(printer, "essentials off\n");
	if (settings->pickup)
		put(printer, "pickup on\n");
	if (settings->inspect_all)
		put(printer, "inspect all\n");
	if (settings->failure_closed)
		put(printer, "on-failure closed\n");
	if (settings->busy_rate == 0)
		put(printer, "busy never\n");
	else if (settings->busy_rate != BUSY_RATE_DEFAULT)
		text_printf(&printer->text, "busy above %u/s\n", settings->busy_rate);
	if (settings->mark_mask != 0xf0000000)
		text_printf(&printer->text, "mark 0x%x\n", settings->mark_mask);
	if (settings->connections != 1000000)
		text_printf(&printer->text, "connections %u\n", settings->connections);
	for (unsigned i = 0; i < TIMEOUTS; i++)
		if (settings->timeouts.seconds[i] != default_timeouts.seconds[i])
			text_printf(&printer->text, "timeout %s %s\n", timeout_name((enum timeout)i),
				    duration_print(settings->timeouts.seconds[i], text));
}

static void put_path(struct printer *printer, const char *path) {
	put(printer, "\"");
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			put(printer, "\\");
		text_put(&printer->text, path, 1);
	}
	put(printer, "\"");
}

static void put_set(struct printer *printer, const struct set *set) {
	put(printer, "set ");
	put(printer, set->name);
	if (set->file) {
		put(printer, " from file ");
		put_path(printer, set->file);
	} else {
		put(printer, set->count ? " = " : " =");
		put_ranges(printer, set->ranges, set->count, ", ");
	}
	put_newline(printer);
}

static void put_service(struct printer *printer, const struct service *service) {
	uint8_t protocol = 0;

	put(printer, "service ");
	put(printer, service->name);
	put(printer, " =");
	for (size_t i = 0; i < service->count; i++) {
		const struct match *match = &service->matches[i];

		put_separator(printer, i == 0, ",");
		put(printer, " ");
		if (match->protocol != protocol) {
			put_protocol(printer, match->protocol);
			put(printer, " ");
		}
		protocol = match->protocol;
		put_port_range(printer, match->ports);
	}
	put_newline(printer);
}

char *ruleset_print(const struct ruleset *ruleset) {
	struct printer printer = {.wrap = true};

	put_defaults_and_settings(&printer, ruleset);
	printer.line_start = printer.text.length;
	for (size_t i = 0; i < ruleset->set_count; i++)
		put_set(&printer, ruleset->sets[i]);
	for (size_t i = 0; i < ruleset->service_count; i++)
		put_service(&printer, &ruleset->services[i]);
	for (size_t i = 0; i < ruleset->count; i++)
		if (!ruleset->rules[i].essential) {
			put_rule(&printer, &ruleset->rules[i]);
			put_newline(&printer);
		}
	for (size_t i = 0; i < ruleset->expectation_count; i++)
		text_printf(&printer.text, "expect %s %s\n", action_name(ruleset->expectations[i].action),
			    ruleset->expectations[i].text);
	return text_take(&printer.text);
}

static bool is_unspecified(const struct addr *addr) {
	for (int i = 0; i < 4; i++)
		if (addr->bytes[12 + i])
			return false;
	for (int i = 0; i < 10; i++)
		if (addr->bytes[i])
			return false;
	return addr_family(addr) == FAMILY_IPV4 || (addr->bytes[10] == 0 && addr->bytes[11] == 0);
}

static void put_from(struct text *text, const struct question *question, bool ports) {
	char address[ENDPOINT_TEXT];
	bool ipv6 = addr_family(&question->from) == FAMILY_IPV6;

	if (ports && question->from_port)
		text_printf(text, " from %s", endpoint_print(&question->from, question->from_port, address));
	else if (!is_unspecified(&question->from) || (ipv6 && is_unspecified(&question->to)))
		text_printf(text, " from %s", addr_print(&question->from, address));
}

static void put_to(struct text *text, const struct question *question, bool ports) {
	char address[ENDPOINT_TEXT];

	if (ports && is_unspecified(&question->to))
		text_printf(text, " to %u", question->to_port);
	else if (ports)
		text_printf(text, " to %s", endpoint_print(&question->to, question->to_port, address));
	else if (!is_unspecified(&question->to))
		text_printf(text, " to %s", addr_print(&question->to, address));
}

char *question_print(const struct question *question) {
	struct printer printer = {0};
	struct port_range type = {question->icmp_type, question->icmp_type};
	bool icmp = question->protocol == PROTOCOL_ICMP || question->protocol == PROTOCOL_ICMPV6;
	bool ports = question->protocol == PROTOCOL_TCP || question->protocol == PROTOCOL_UDP;

	put(&printer, direction_name(question->direction));
	put(&printer, " ");
	put_protocol(&printer, question->protocol);
	if (icmp) {
		put(&printer, " ");
		put_types(&printer, question->protocol, &(struct port_list){&type, 1});
	}
	put_from(&printer.text, question, ports);
	put_to(&printer.text, question, ports);
	if (question->interface)
		text_printf(&printer.text, " on %s", question->interface);
	return text_take(&printer.text);
}
