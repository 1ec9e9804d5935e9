/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets for tests. Checksums are left 0: nothing under test looks at them.
 */
#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
	fprintf(stderr, "tests/unit/packets.c: %s\n", what);
	abort();
}

struct addr address(const char *text) {
	struct addr addr;
	if (!addr_parse(text, &addr))
		fail(text);
	return addr;
}

void raw_set_be16(struct raw *raw, size_t at, uint16_t value) {
	raw->bytes[at] = (uint8_t)(value >> 8);
	raw->bytes[at + 1] = (uint8_t)value;
}

void raw_set_be32(struct raw *raw, size_t at, uint32_t value) {
	raw_set_be16(raw, at, (uint16_t)(value >> 16));
	raw_set_be16(raw, at + 2, (uint16_t)value);
}

static bool is_ipv4(const struct raw *raw) {
	return raw->bytes[0] >> 4 == 4;
}

size_t raw_transport(const struct raw *raw) {
	return is_ipv4(raw) ? 20 : 40;
}

static void fix_length(struct raw *raw) {
	if (is_ipv4(raw))
		raw_set_be16(raw, 2, (uint16_t)raw->length);
	else
		raw_set_be16(raw, 4, (uint16_t)(raw->length - 40));
}

void raw_append(struct raw *raw, const void *bytes, size_t count) {
	if (raw->length + count > sizeof raw->bytes)
		fail("a packet too large");
	if (count)
		memcpy(raw->bytes + raw->length, bytes, count);
	raw->length += count;
	fix_length(raw);
}

void raw_pad(struct raw *raw, size_t count) {
	static const uint8_t zeros[sizeof raw->bytes];
	if (count > sizeof zeros)
		fail("a packet too large");
	raw_append(raw, zeros, count);
}

struct raw raw_ip(const char *src, const char *dst, uint8_t protocol) {
	struct addr from = address(src), to = address(dst);
	struct raw raw = {.length = 0};
	if (addr_family(&from) == FAMILY_IPV4) {
		raw.bytes[0] = 0x45;
		raw.bytes[8] = 64;
		raw.bytes[9] = protocol;
		memcpy(raw.bytes + 12, from.bytes + 12, 4);
		memcpy(raw.bytes + 16, to.bytes + 12, 4);
		raw.length = 20;
	} else {
		raw.bytes[0] = 0x60;
		raw.bytes[6] = protocol;
		raw.bytes[7] = 64;
		memcpy(raw.bytes + 8, from.bytes, 16);
		memcpy(raw.bytes + 24, to.bytes, 16);
		raw.length = 40;
	}
	fix_length(&raw);
	return raw;
}

void raw_append_tcp(struct raw *raw, uint16_t src_port, uint16_t dst_port,
		    const struct raw_segment *segment) {
	size_t at = raw->length;
	raw_pad(raw, 20);
	raw_set_be16(raw, at, src_port);
	raw_set_be16(raw, at + 2, dst_port);
	raw_set_be32(raw, at + 4, segment->seq);
	raw_set_be32(raw, at + 8, segment->ack);
	raw->bytes[at + 12] = (uint8_t)((20 + segment->option_bytes) / 4 << 4);
	raw->bytes[at + 13] = segment->flags;
	raw_set_be16(raw, at + 14, segment->window);
	raw_append(raw, segment->options, segment->option_bytes);
	raw_pad(raw, segment->payload);
}

void raw_append_udp(struct raw *raw, uint16_t src_port, uint16_t dst_port, size_t payload) {
	size_t at = raw->length;
	raw_pad(raw, 8 + payload);
	raw_set_be16(raw, at, src_port);
	raw_set_be16(raw, at + 2, dst_port);
	raw_set_be16(raw, at + 4, (uint16_t)(8 + payload));
}

void raw_append_icmp(struct raw *raw, uint8_t type, uint8_t code, uint16_t identifier) {
	size_t at = raw->length;
	raw_pad(raw, 8);
	raw->bytes[at] = type;
	raw->bytes[at + 1] = code;
	raw_set_be16(raw, at + 4, identifier);
}

struct raw raw_tcp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port,
		   const struct raw_segment *segment) {
	struct raw raw = raw_ip(src, dst, PROTOCOL_TCP);
	raw_append_tcp(&raw, src_port, dst_port, segment);
	return raw;
}

struct raw raw_udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port) {
	struct raw raw = raw_ip(src, dst, PROTOCOL_UDP);
	raw_append_udp(&raw, src_port, dst_port, 4);
	return raw;
}

static struct raw icmp_header(const char *src, const char *dst) {
	struct addr from = address(src);
	bool ipv4 = addr_family(&from) == FAMILY_IPV4;
	return raw_ip(src, dst, ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
}

struct raw raw_icmp(const char *src, const char *dst, uint8_t type, uint16_t identifier) {
	struct raw raw = icmp_header(src, dst);
	raw_append_icmp(&raw, type, 0, identifier);
	return raw;
}

struct raw raw_icmp_error(const char *src, const char *dst, uint8_t type, const struct raw *about,
			  size_t quoted) {
	struct raw raw = icmp_header(src, dst);
	raw_append_icmp(&raw, type, 0, 0);
	raw_append(&raw, about->bytes, quoted);
	return raw;
}

struct packet raw_parsed(const struct raw *raw) {
	struct packet packet;
	enum reason reason = packet_parse(raw->bytes, raw->length, raw->length, &packet);
	if (reason)
		fail(reason_name(reason));
	return packet;
}
