/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Transport headers, ICMP and the packet inside ICMP errors. The network layer is
 * read by network.c; every byte comes through a cursor.
 */
#include "sallyport/core/packet.h"

#include "network.h"

enum {
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	QUOTED = 8, /* what an error tells at least of what is behind the IP header (RFC 792) */
	ICMP_HEADER = 8,
	TCP_FLAGS = TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG,
	OPTION_END = 0,
	OPTION_PAD = 1,
	OPTION_SCALE = 3,
	SCALE_LIMIT = 14, /* RFC 7323 2.3 */
};

enum icmp_type { /* RFC 792, 950 */
		 ICMP_ECHO_REPLY = 0,
		 ICMP_UNREACHABLE = 3,
		 ICMP_SOURCE_QUENCH = 4,
		 ICMP_ECHO = 8,
		 ICMP_TIME_EXCEEDED = 11,
		 ICMP_PARAMETER = 12,
		 ICMP_TIMESTAMP = 13,
		 ICMP_TIMESTAMP_REPLY = 14,
		 ICMP_INFORMATION = 15,
		 ICMP_INFORMATION_REPLY = 16,
		 ICMP_MASK = 17,
		 ICMP_MASK_REPLY = 18,
};

enum icmpv6_type { /* RFC 4443 */
		   ICMPV6_UNREACHABLE = 1,
		   ICMPV6_PARAMETER = 4,
		   ICMPV6_ECHO = 128,
		   ICMPV6_ECHO_REPLY = 129,
};

bool icmp_is_query(uint8_t protocol, uint8_t type) {
	if (protocol == PROTOCOL_ICMPV6)
		return type == ICMPV6_ECHO;
	return protocol == PROTOCOL_ICMP &&
	       (type == ICMP_ECHO || type == ICMP_TIMESTAMP || type == ICMP_INFORMATION || type == ICMP_MASK);
}

bool icmp_is_reply(uint8_t protocol, uint8_t type) {
	if (protocol == PROTOCOL_ICMPV6)
		return type == ICMPV6_ECHO_REPLY;
	return protocol == PROTOCOL_ICMP && (type == ICMP_ECHO_REPLY || type == ICMP_TIMESTAMP_REPLY ||
					     type == ICMP_INFORMATION_REPLY || type == ICMP_MASK_REPLY);
}

/* Redirects are no errors: they are about routes, and the rules judge them. */
static bool icmp_is_error(uint8_t protocol, uint8_t type) {
	if (protocol == PROTOCOL_ICMPV6)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER;
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETER;
}

static bool icmp_fits(uint8_t protocol, enum family family) {
	return protocol == (family == FAMILY_IPV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
}

/* A list that lies about its lengths ends where the lie begins, as in the receiving stack. */
static void parse_options(struct cursor options, struct tcp_segment *tcp) {
	const uint8_t *kind;
	while ((kind = cursor_take(&options, 1)) && *kind != OPTION_END) {
		if (*kind == OPTION_PAD)
			continue;
		const uint8_t *length = cursor_take(&options, 1);
		if (!length || *length < 2)
			return;
		const uint8_t *value = cursor_take(&options, *length - 2u);
		if (!value)
			return;
		if (*kind == OPTION_SCALE && *length == 3) {
			tcp->scale = *value > SCALE_LIMIT ? SCALE_LIMIT : *value;
			tcp->scale_permitted = true;
		}
	}
}

static bool flags_make_sense(uint8_t flags) {
	bool syn = flags & TCP_SYN, fin = flags & TCP_FIN, rst = flags & TCP_RST, ack = flags & TCP_ACK;
	if (syn + fin + rst > 1)
		return false;
	return fin ? ack : syn || rst || ack;
}

static enum reason parse_tcp(struct cursor *cursor, struct packet *packet) {
	const uint8_t *bytes = cursor_peek(cursor, TCP_HEADER);
	if (!bytes)
		return DROP_TRUNCATED;
	size_t header = (size_t)(bytes[12] >> 4) * 4;
	if (header < TCP_HEADER || header > cursor->length)
		return DROP_HEADER;
	struct tcp_segment *tcp = &packet->tcp;
	packet->tuple.src_port = read_be16(bytes);
	packet->tuple.dst_port = read_be16(bytes + 2);
	tcp->seq = read_be32(bytes + 4);
	tcp->ack = read_be32(bytes + 8);
	tcp->flags = bytes[13] & TCP_FLAGS;
	tcp->window = read_be16(bytes + 14);
	tcp->length = (uint32_t)(cursor->length - header);
	tcp->scale = TCP_NO_SCALE;
	if (!cursor_take(cursor, header))
		return DROP_TRUNCATED;
	if (!flags_make_sense(tcp->flags))
		return DROP_FLAGS;
	if (tcp->flags & TCP_SYN) {
		size_t options = header - TCP_HEADER;
		parse_options((struct cursor){bytes + TCP_HEADER, options, options}, tcp);
	}
	return REASON_NONE;
}

/* A length of 0 is a jumbogram's (RFC 2675 section 4). */
static enum reason parse_udp(struct cursor *cursor, struct packet *packet) {
	const uint8_t *bytes = cursor_peek(cursor, UDP_HEADER);
	if (!bytes)
		return DROP_TRUNCATED;
	size_t length = read_be16(bytes + 4);
	bool jumbo = length == 0 && packet->family == FAMILY_IPV6 && cursor->length > UINT16_MAX;
	if (!jumbo && (length < UDP_HEADER || length > cursor->length))
		return DROP_HEADER;
	packet->tuple.src_port = read_be16(bytes);
	packet->tuple.dst_port = read_be16(bytes + 2);
	return REASON_NONE;
}

static void set_identifier(struct tuple *tuple, uint8_t type, const uint8_t *icmp) {
	if (icmp_is_query(tuple->protocol, type) || icmp_is_reply(tuple->protocol, type))
		tuple->src_port = tuple->dst_port = read_be16(icmp + 4);
}

static struct tuple tuple_of(const struct network *network) {
	return (struct tuple){.src = network->src, .dst = network->dst, .protocol = network->protocol};
}

/* What is behind the IP header of the packet inside. */
static bool parse_quoted(const struct cursor *cursor, struct packet *packet) {
	struct tuple *inner = &packet->inner;
	const uint8_t *bytes = cursor_peek(cursor, QUOTED);
	switch (inner->protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
		if (!bytes)
			return false;
		inner->src_port = read_be16(bytes);
		inner->dst_port = read_be16(bytes + 2);
		packet->inner_seq = inner->protocol == PROTOCOL_TCP ? read_be32(bytes + 4) : 0;
		return true;
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		/* Nobody answers an error with an error (RFC 1122 3.2.2). */
		if (!bytes || !icmp_fits(inner->protocol, packet->family) ||
		    icmp_is_error(inner->protocol, bytes[0]))
			return false;
		packet->inner_icmp_type = bytes[0];
		set_identifier(inner, bytes[0], bytes);
		return true;
	default:
		return true;
	}
}

static void parse_inner(struct cursor *cursor, struct packet *packet) {
	struct network network;
	if (network_parse(cursor, true, &network) || network.family != packet->family)
		return;
	packet->inner = tuple_of(&network);
	packet->inner_known = parse_quoted(cursor, packet);
}

static enum reason parse_icmp(struct cursor *cursor, struct packet *packet) {
	if (!icmp_fits(packet->tuple.protocol, packet->family))
		return DROP_HEADER;
	const uint8_t *bytes = cursor_take(cursor, ICMP_HEADER);
	if (!bytes)
		return DROP_TRUNCATED;
	packet->icmp_type = bytes[0];
	packet->icmp_code = bytes[1];
	set_identifier(&packet->tuple, packet->icmp_type, bytes);
	packet->icmp_error = icmp_is_error(packet->tuple.protocol, packet->icmp_type);
	if (packet->icmp_error)
		parse_inner(cursor, packet);
	return REASON_NONE;
}

static bool is_unspecified(const struct addr *addr, enum family family) {
	static const struct addr ipv6;
	static const uint8_t ipv4[4];
	struct addr mapped = addr_from_ipv4(ipv4);
	return addr_equal(addr, family == FAMILY_IPV4 ? &mapped : &ipv6);
}

/* Nothing is sent from a group or from everybody, and TCP not from nobody. */
static bool source_is_possible(const struct packet *packet) {
	const uint8_t *bytes = packet->tuple.src.bytes;
	bool group = packet->family == FAMILY_IPV4
			 ? (bytes[12] & 0xf0) == 0xe0 || read_be32(bytes + 12) == UINT32_MAX
			 : bytes[0] == 0xff;
	return !group && !(packet->tuple.protocol == PROTOCOL_TCP &&
			   is_unspecified(&packet->tuple.src, packet->family));
}

static enum reason parse_transport(struct cursor *cursor, struct packet *packet) {
	switch (packet->tuple.protocol) {
	case PROTOCOL_TCP:
		return parse_tcp(cursor, packet);
	case PROTOCOL_UDP:
		return parse_udp(cursor, packet);
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return parse_icmp(cursor, packet);
	default:
		return REASON_NONE;
	}
}

enum reason packet_parse(const uint8_t *bytes, size_t captured, size_t length, struct packet *packet) {
	struct cursor cursor = {bytes, captured < length ? captured : length, length};
	struct network network;
	enum reason reason = network_parse(&cursor, false, &network);
	if (reason)
		return reason;
	struct packet parsed = {.tuple = tuple_of(&network), .family = network.family};
	if (!source_is_possible(&parsed))
		return DROP_ADDRESS;
	reason = parse_transport(&cursor, &parsed);
	if (reason)
		return reason;
	*packet = parsed;
	return REASON_NONE;
}
