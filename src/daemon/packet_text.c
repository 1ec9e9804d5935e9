/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A logged packet as people and as the journal read it.
 */
#include "sallyport/daemon/packet_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RULE_TEXT = 300 };

static const char *verdict_text(enum verdict verdict) {
	switch (verdict) {
	case VERDICT_ACCEPT:
		return "allow";
	case VERDICT_REJECT:
		return "reject";
	default:
		return "drop";
	}
}

static bool is_icmp(uint8_t protocol) {
	return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

static void protocol_text(const struct packet_event *event, char text[64]) {
	uint8_t protocol = event->tuple.protocol;
	const char *name = protocol_name(protocol);
	const char *type = is_icmp(protocol) ? icmp_type_name(protocol, event->icmp_type) : NULL;

	if (!name)
		snprintf(text, 64, "%u", protocol);
	else if (type)
		snprintf(text, 64, "%s %s", name, type);
	else if (is_icmp(protocol))
		snprintf(text, 64, "%s %u", name, event->icmp_type);
	else
		snprintf(text, 64, "%s", name);
}

static void side_text(const struct addr *addr, uint16_t port, uint8_t protocol, char text[ENDPOINT_TEXT]) {
	if (protocol_has_ports(protocol))
		endpoint_print(addr, port, text);
	else
		addr_print(addr, text);
}

static const struct place *event_place(const struct packet_event *event) {
	if (event->rule == NO_RULE || event->rule >= event->policy->ruleset->count)
		return NULL;
	return &event->policy->ruleset->rules[event->rule].place;
}

/* The last part of the path: the line is to be read, the journal's field has it whole. */
static void rule_text(const struct packet_event *event, char text[RULE_TEXT]) {
	const struct place *place = event_place(event);
	const char *slash = place ? strrchr(place->file, '/') : NULL;

	if (!place)
		snprintf(text, RULE_TEXT, "default");
	else
		snprintf(text, RULE_TEXT, "%s:%u", slash ? slash + 1 : place->file, place->line);
}

void packet_event_text(const struct packet_event *event, const char *interface, char text[PACKET_LINE]) {
	const struct tuple *tuple = &event->tuple;
	char protocol[64], rule[RULE_TEXT];
	char source[ENDPOINT_TEXT], destination[ENDPOINT_TEXT];

	protocol_text(event, protocol);
	side_text(&tuple->src, tuple->src_port, tuple->protocol, source);
	side_text(&tuple->dst, tuple->dst_port, tuple->protocol, destination);
	rule_text(event, rule);
	snprintf(text, PACKET_LINE, "%s %s %s %s -> %s%s%s by %s", verdict_text(event->verdict),
		 direction_name(event->direction), protocol, source, destination, interface ? " on " : "",
		 interface ? interface : "", rule);
}

static void __attribute__((format(printf, 3, 4)))
put_field(struct packet_fields *fields, size_t *count, const char *format, ...) {
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fields->texts[*count], PACKET_FIELD, format, arguments);
	va_end(arguments);
	fields->list[*count] = fields->texts[*count];
	(*count)++;
}

void packet_event_fields(const struct packet_event *event, const char *interface,
			 struct packet_fields *fields) {
	const struct tuple *tuple = &event->tuple;
	const struct place *place = event_place(event);
	const char *protocol = protocol_name(tuple->protocol);
	char address[ADDR_TEXT];
	size_t count = 0;

	put_field(fields, &count, "SALLYPORT_VERDICT=%s", verdict_text(event->verdict));
	put_field(fields, &count, "SALLYPORT_REASON=%s", reason_name(event->reason));
	put_field(fields, &count, "SALLYPORT_DIRECTION=%s", direction_name(event->direction));
	if (place)
		put_field(fields, &count, "SALLYPORT_RULE=%s:%u", place->file, place->line);
	if (protocol)
		put_field(fields, &count, "SALLYPORT_PROTO=%s", protocol);
	else
		put_field(fields, &count, "SALLYPORT_PROTO=%u", tuple->protocol);
	put_field(fields, &count, "SALLYPORT_SRC=%s", addr_print(&tuple->src, address));
	put_field(fields, &count, "SALLYPORT_DST=%s", addr_print(&tuple->dst, address));
	if (protocol_has_ports(tuple->protocol)) {
		put_field(fields, &count, "SALLYPORT_SRC_PORT=%u", tuple->src_port);
		put_field(fields, &count, "SALLYPORT_DST_PORT=%u", tuple->dst_port);
	}
	if (interface)
		put_field(fields, &count, "SALLYPORT_INTERFACE=%s", interface);
	fields->list[count] = NULL;
}
