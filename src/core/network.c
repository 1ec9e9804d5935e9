/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IPv4 (RFC 791) and IPv6 (RFC 8200) headers up to the transport header.
 *
 * What ends the chain of IPv6 extension headers here ends it for the kernel too
 * (net/ipv6/exthdrs_core.c, as nf_tables calls it): the mobility header (135), ESP (50), AH (51) and "no next
 * header" (59) are protocols of their own, so both see one and the same protocol.
 */
#include "network.h"

#include <string.h>

enum {
	IPV4_HEADER = 20,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_OFFSET = 0x1fff,
	IPV6_HEADER = 40,
	IPV6_OFFSET = 0xfff8,
	IPV6_MORE_FRAGMENTS = 0x0001,
	LONGEST = 65535, /* what a 16-bit length can say; segmentation offload builds longer ones */
};

enum extension {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	DESTINATION = 60,
};

static enum reason ipv4_length(struct cursor *cursor, size_t total, size_t header) {
	if (total == 0 && cursor->length > LONGEST)
		return REASON_NONE;
	if (total < header || total > cursor->length)
		return DROP_HEADER;
	cursor_limit(cursor, total);
	return REASON_NONE;
}

static enum reason parse_ipv4(struct cursor *cursor, bool quoted, struct network *network) {
	const uint8_t *bytes = cursor_peek(cursor, IPV4_HEADER);
	if (!bytes)
		return DROP_TRUNCATED;
	size_t header = (size_t)(bytes[0] & 0x0f) * 4;
	if (header < IPV4_HEADER)
		return DROP_HEADER;
	if (!quoted) {
		enum reason reason = ipv4_length(cursor, read_be16(bytes + 2), header);
		if (reason)
			return reason;
	}
	uint16_t fragment = read_be16(bytes + 6);
	if (fragment & (quoted ? IPV4_OFFSET : IPV4_OFFSET | IPV4_MORE_FRAGMENTS))
		return DROP_FRAGMENT;
	if (!cursor_take(cursor, header))
		return DROP_TRUNCATED;
	network->family = FAMILY_IPV4;
	network->protocol = bytes[9];
	network->src = addr_from_ipv4(bytes + 12);
	network->dst = addr_from_ipv4(bytes + 16);
	return network->protocol ? REASON_NONE : DROP_HEADER;
}

static bool is_extension(uint8_t protocol) {
	return protocol == HOP_BY_HOP || protocol == ROUTING || protocol == FRAGMENT ||
	       protocol == DESTINATION;
}

/* One extension header: moves past it and says what comes next. */
static enum reason skip_extension(struct cursor *cursor, bool quoted, uint8_t *protocol) {
	const uint8_t *bytes = cursor_peek(cursor, 8); /* none is shorter */
	if (!bytes)
		return DROP_TRUNCATED;
	size_t length = ((size_t)bytes[1] + 1) * 8;
	if (*protocol == ROUTING && bytes[2] == 0)
		return DROP_HEADER; /* RFC 5095 */
	if (*protocol == FRAGMENT) {
		uint16_t fragment = read_be16(bytes + 2);
		/* Atomic fragments (RFC 6946) are whole packets. */
		if (fragment & (quoted ? IPV6_OFFSET : IPV6_OFFSET | IPV6_MORE_FRAGMENTS))
			return DROP_FRAGMENT;
		length = 8;
	}
	*protocol = bytes[0];
	return cursor_take(cursor, length) ? REASON_NONE : DROP_TRUNCATED;
}

static enum reason skip_extensions(struct cursor *cursor, bool quoted, uint8_t *protocol) {
	for (int count = 0; is_extension(*protocol); count++) {
		/* Hop-by-hop options stand first or not at all (RFC 8200 4.1). */
		if (count == PACKET_MAX_HEADERS || (*protocol == HOP_BY_HOP && count > 0))
			return DROP_HEADER;
		enum reason reason = skip_extension(cursor, quoted, protocol);
		if (reason)
			return reason;
	}
	return REASON_NONE;
}

/* A payload length of 0 stands for a jumbogram (RFC 2675: the length is in a hop-by-hop
 * option) or for an offloaded segment without that option. Both are as long as the
 * kernel says. */
static enum reason ipv6_length(struct cursor *cursor, size_t payload, uint8_t next) {
	size_t length = cursor->length - IPV6_HEADER;
	if (payload == 0 && (next == HOP_BY_HOP || length > LONGEST))
		return REASON_NONE;
	if (payload > length)
		return DROP_HEADER;
	cursor_limit(cursor, IPV6_HEADER + payload);
	return REASON_NONE;
}

static bool is_mapped(const struct addr *addr) {
	return addr_family(addr) == FAMILY_IPV4;
}

static enum reason parse_ipv6(struct cursor *cursor, bool quoted, struct network *network) {
	const uint8_t *bytes = cursor_peek(cursor, IPV6_HEADER);
	if (!bytes)
		return DROP_TRUNCATED;
	enum reason reason = quoted ? REASON_NONE : ipv6_length(cursor, read_be16(bytes + 4), bytes[6]);
	if (reason)
		return reason;
	cursor_take(cursor, IPV6_HEADER);
	network->family = FAMILY_IPV6;
	network->protocol = bytes[6];
	network->src = addr_from_ipv6(bytes + 8);
	network->dst = addr_from_ipv6(bytes + 24);
	if (is_mapped(&network->src) || is_mapped(&network->dst))
		return DROP_ADDRESS;
	return skip_extensions(cursor, quoted, &network->protocol);
}

enum reason network_parse(struct cursor *cursor, bool quoted, struct network *network) {
	const uint8_t *version = cursor_peek(cursor, 1);
	if (!version)
		return DROP_TRUNCATED;
	switch (*version >> 4) {
	case 4:
		return parse_ipv4(cursor, quoted, network);
	case 6:
		return parse_ipv6(cursor, quoted, network);
	default:
		return DROP_HEADER;
	}
}
