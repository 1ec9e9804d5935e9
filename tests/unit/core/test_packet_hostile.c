/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/packet and core/filter against packets that were cut, flipped or that lie: 200 samples, each
 * at every length, with every bit turned, and with every length field made to say something else.
 *
 * What was read is compared with a second, slower reading written here: nothing may come from
 * behind the end, and the ports that the rules are asked about are those that the receiver will see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory_world.h"
#include "../samples.h"
#include "sallyport/core/filter.h"

static const char rules[] = "essentials off\n"
			    "default in drop\n"
			    "default out drop\n"
			    "allow in tcp 22\n"
			    "allow in udp 53\n"
			    "allow in icmp echo-request\n"
			    "allow in icmpv6 echo-request\n";

struct firewall {
	struct filter filter;
	struct policy policy;
	unsigned long inputs, read, passed;
};

static struct table *empty_table(void) {
	static const struct hash_secret secret = {{1, 2}};
	return table_new(8, &secret);
}

static int open_firewall(void **state) {
	struct diagnostics diagnostics = {0};
	struct firewall *firewall = calloc(1, sizeof *firewall);
	struct ruleset *ruleset = load_rules(rules, &diagnostics);
	if (!ruleset)
		fail_msg("%s", diagnostics_text(&diagnostics));
	diagnostics_free(&diagnostics);
	firewall->policy = (struct policy){ruleset, calloc(ruleset->count + 2, sizeof(struct rule_counters))};
	firewall->filter.table = empty_table();
	*state = firewall;
	return 0;
}

static int close_firewall(void **state) {
	struct firewall *firewall = *state;
	print_message("           %lu inputs, %lu read, %lu let in\n", firewall->inputs, firewall->read,
		      firewall->passed);
	table_free(firewall->filter.table);
	ruleset_free((struct ruleset *)firewall->policy.ruleset);
	free(firewall->policy.counters);
	free(firewall);
	return 0;
}

/* ---- the second reading ---- */

static unsigned be16(const uint8_t *bytes) {
	return bytes[0] * 256u + bytes[1];
}

/* Where the transport header begins, as the receiving stack finds it; `captured` when nowhere. */
static size_t transport_of(const uint8_t *bytes, size_t captured, uint8_t *protocol) {
	if (bytes[0] >> 4 == 4) {
		*protocol = bytes[9];
		return bytes[0] % 16 * 4u;
	}
	size_t at = 40;
	*protocol = bytes[6];
	while (memchr("\0\053\054\074", *protocol, 4)) { /* 0, 43, 44, 60 */
		if (at + 8 > captured)
			return captured;
		size_t units = bytes[at + 1];
		size_t length = *protocol == 44 ? 8 : units * 8 + 8;
		*protocol = bytes[at];
		at += length;
	}
	return at;
}

/* How long the packet says it is, as far as it may be believed. */
static size_t said_length(const uint8_t *bytes) {
	return bytes[0] >> 4 == 4 ? be16(bytes + 2) : be16(bytes + 4) + 40u;
}

static void assert_address(const struct addr *addr, const uint8_t *bytes, enum family family) {
	struct addr expected = family == FAMILY_IPV4 ? addr_from_ipv4(bytes) : addr_from_ipv6(bytes);
	assert_true(addr_equal(addr, &expected));
}

static void assert_segment(const struct packet *packet, const uint8_t *bytes, size_t captured, size_t at,
			   size_t end) {
	const struct tcp_segment *tcp = &packet->tcp;
	size_t header = bytes[at + 12] / 16 * 4u;
	assert_in_range(header, 20, captured - at);
	assert_int_equal(tcp->flags, bytes[at + 13] & 0x3f);
	assert_int_equal(tcp->length, end - at - header);
	bool syn = tcp->flags & TCP_SYN, fin = tcp->flags & TCP_FIN, rst = tcp->flags & TCP_RST;
	assert_true(syn + fin + rst <= 1);
	assert_true(tcp->scale == TCP_NO_SCALE || (syn && tcp->scale <= 14));
}

static void assert_inner(const struct packet *packet, const uint8_t *bytes, size_t captured, size_t at) {
	bool ipv6 = packet->family == FAMILY_IPV6;
	const uint8_t *inner = bytes + at + 8;
	assert_true(packet->icmp_error);
	assert_true(captured >= at + 8 + (ipv6 ? 40 : 20));
	assert_int_equal(inner[0] >> 4, ipv6 ? 6 : 4);
	assert_address(&packet->inner.src, inner + (ipv6 ? 8 : 12), packet->family);
	assert_address(&packet->inner.dst, inner + (ipv6 ? 24 : 16), packet->family);
	uint8_t protocol;
	size_t ports = at + 8 + transport_of(inner, captured - at - 8, &protocol);
	assert_int_equal(packet->inner.protocol, protocol);
	if (!protocol_has_ports(protocol))
		return;
	assert_true(ports + 4 <= captured);
	assert_int_equal(packet->inner.src_port, be16(bytes + ports));
	assert_int_equal(packet->inner.dst_port, be16(bytes + ports + 2));
}

static void assert_ports(const struct packet *packet, const uint8_t *at) {
	assert_int_equal(packet->tuple.src_port, be16(at));
	assert_int_equal(packet->tuple.dst_port, be16(at + 2));
}

/* What was read stands in the bytes, and within them. */
static void assert_read(const struct packet *packet, const uint8_t *bytes, size_t captured, size_t length) {
	bool ipv6 = bytes[0] >> 4 == 6;
	uint8_t protocol;
	size_t at = transport_of(bytes, captured, &protocol), end = said_length(bytes);
	assert_int_equal(packet->family, ipv6 ? FAMILY_IPV6 : FAMILY_IPV4);
	assert_address(&packet->tuple.src, bytes + (ipv6 ? 8 : 12), packet->family);
	assert_address(&packet->tuple.dst, bytes + (ipv6 ? 24 : 16), packet->family);
	assert_int_equal(packet->tuple.protocol, protocol);
	assert_true(at <= captured);
	if (ipv6 && end == 40 && bytes[6] == 0) /* a jumbogram is as long as the kernel says */
		end = length;
	assert_true(end <= length);
	if (protocol == PROTOCOL_TCP) {
		assert_true(at + 20 <= captured && at + 20 <= end);
		assert_ports(packet, bytes + at);
		assert_segment(packet, bytes, captured, at, end);
	} else if (protocol == PROTOCOL_UDP) {
		assert_true(at + 8 <= captured);
		assert_in_range(be16(bytes + at + 4), 8, end - at);
		assert_ports(packet, bytes + at);
	} else if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6) {
		assert_int_equal(protocol, ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP);
		assert_true(at + 8 <= captured);
		assert_int_equal(packet->icmp_type, bytes[at]);
		if (packet->inner_known)
			assert_inner(packet, bytes, captured, at);
	} else {
		assert_int_equal(packet->tuple.src_port | packet->tuple.dst_port, 0);
	}
}

/* ---- the judgement ---- */

static bool is_open(const struct packet *packet) {
	switch (packet->tuple.protocol) {
	case PROTOCOL_TCP:
		return packet->tuple.dst_port == 22 && tcp_is_pure_syn(&packet->tcp);
	case PROTOCOL_UDP:
		return packet->tuple.dst_port == 53;
	case PROTOCOL_ICMP:
		return packet->icmp_type == 8;
	case PROTOCOL_ICMPV6:
		return packet->icmp_type == 128;
	default:
		return false;
	}
}

/* Of nothing that is known, so exactly what opens an open port comes in. */
static void assert_judged(struct firewall *firewall, const struct packet *packet) {
	struct arrival arrival = {.hook = HOOK_IN};
	struct decision decision =
	    filter_packet(&firewall->filter, &firewall->policy, packet, &arrival, 1000);
	assert_in_range(decision.reason, PASS_RULE, DROP_TABLE_FULL);
	assert_in_range(decision.verdict, VERDICT_ACCEPT, VERDICT_REJECT);
	assert_int_equal(decision.verdict == VERDICT_ACCEPT, reason_passes(decision.reason));
	assert_int_equal(decision.verdict == VERDICT_ACCEPT, is_open(packet));
	assert_int_equal(decision.opened, is_open(packet));
	if (decision.opened) {
		firewall->passed++;
		table_free(firewall->filter.table);
		firewall->filter.table = empty_table();
	}
}

static enum reason take(struct firewall *firewall, const struct raw *raw, size_t captured, size_t length,
			struct packet *packet) {
	struct packet before;
	uint8_t *bytes = malloc(captured ? captured : 1); /* of its own size, for ASan */
	memcpy(bytes, raw->bytes, captured);
	memset(packet, 0x5a, sizeof *packet);
	before = *packet;
	enum reason reason = packet_parse(bytes, captured, length, packet);
	firewall->inputs++;
	if (reason) {
		assert_in_range(reason, DROP_TRUNCATED, DROP_ADDRESS);
		assert_memory_equal(packet, &before, sizeof before);
	} else {
		firewall->read++;
		assert_read(packet, bytes, captured, length);
		assert_judged(firewall, packet);
	}
	free(bytes);
	return reason;
}

/* ---- the tests ---- */

static void every_sample_is_read_whole(void **state) {
	for (int i = 0; i < SAMPLES; i++) {
		struct sample one = sample(i);
		struct packet packet;
		if (take(*state, &one.raw, one.raw.length, one.raw.length, &packet))
			fail_msg("%s", one.name);
		uint8_t protocol;
		assert_int_equal(transport_of(one.raw.bytes, one.raw.length, &protocol), one.transport);
		assert_int_equal(packet.inner_known, packet.icmp_error);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(one.name, sample(j).name);
	}
}

/* Cut on the wire: the IP length lies. */
static void a_packet_cut_short_on_the_wire_is_refused(void **state) {
	for (int i = 0; i < SAMPLES; i++) {
		struct sample one = sample(i);
		struct packet packet;
		for (size_t length = 0; length < one.raw.length; length++) {
			enum reason reason = take(*state, &one.raw, length, length, &packet);
			if (reason != DROP_TRUNCATED && reason != DROP_HEADER)
				fail_msg("%s cut to %zu: %s", one.name, length, reason_name(reason));
		}
	}
}

static size_t least_header(uint8_t protocol) {
	switch (protocol) {
	case PROTOCOL_TCP:
		return 20;
	case PROTOCOL_UDP:
	case PROTOCOL_ICMP:
	case PROTOCOL_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

/* Cut by the copy to user space: known from the point on where the header is there, and then the same. */
static void a_packet_copied_in_part_tells_what_is_in_the_part(void **state) {
	for (int i = 0; i < SAMPLES; i++) {
		struct sample one = sample(i);
		struct packet packet, whole = raw_parsed(&one.raw);
		uint8_t protocol;
		transport_of(one.raw.bytes, one.raw.length, &protocol);
		size_t needed = one.transport + least_header(protocol);
		if (protocol == PROTOCOL_TCP) /* its options too */
			needed = one.transport + one.raw.bytes[one.transport + 12] / 16 * 4u;
		for (size_t captured = 0; captured < one.raw.length; captured++) {
			enum reason reason = take(*state, &one.raw, captured, one.raw.length, &packet);
			if (reason != (captured < needed ? DROP_TRUNCATED : REASON_NONE))
				fail_msg("%s, %zu copied: %s", one.name, captured, reason_name(reason));
			if (!reason)
				assert_memory_equal(&packet.tuple, &whole.tuple, sizeof whole.tuple);
		}
	}
}

static void every_flipped_bit_is_refused_or_read_as_it_stands(void **state) {
	for (int i = 0; i < SAMPLES; i++) {
		struct sample one = sample(i);
		for (size_t bit = 0; bit < one.raw.length * 8; bit++) {
			struct packet packet;
			one.raw.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			take(*state, &one.raw, one.raw.length, one.raw.length, &packet);
			one.raw.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static bool refused(enum reason reason) {
	return reason == DROP_HEADER || reason == DROP_TRUNCATED;
}

/* What a length that says `value` must lead to; the rest is assert_read's. */
static void assert_lie(const struct sample *sample, const struct sample_length *length, size_t value,
		       enum reason reason) {
	size_t total = sample->raw.length, rest = total - sample->transport;
	bool right = true;
	switch (length->field) {
	case LENGTH_IPV4_TOTAL:
		right = value <= total || reason == DROP_HEADER;
		break;
	case LENGTH_IPV4_HEADER:
		right = value >= 5 || reason == DROP_HEADER;
		break;
	case LENGTH_IPV6_PAYLOAD:
		right = value <= total - 40 || reason == DROP_HEADER;
		break;
	case LENGTH_EXTENSION:
		right = length->at - 1 + value * 4 <= total || refused(reason); /* no unit is smaller */
		break;
	case LENGTH_OPTION:
		right = reason == REASON_NONE;
		break;
	case LENGTH_UDP:
		right = reason == (value >= 8 && value <= rest ? REASON_NONE : DROP_HEADER);
		break;
	case LENGTH_TCP_OFFSET:
		right = reason == (value >= 5 && value * 4 <= rest ? REASON_NONE : DROP_HEADER);
		break;
	}
	if (!right)
		fail_msg("%s, byte %zu says %zu: %s", sample->name, length->at, value, reason_name(reason));
}

/* An error is read whatever is inside. Of the lengths there the IP header's own is believed, and tells
 * whether ports are there; the rest is not, for of the packet only the beginning need be there. */
static void assert_quoted_lie(const struct sample *sample, const struct sample_length *length, size_t value,
			      enum reason reason, const struct packet *packet) {
	enum { QUOTED = 8 };
	bool known = length->field != LENGTH_IPV4_HEADER ||
		     (value >= 5 && length->at + value * 4 + QUOTED <= sample->raw.length);
	if (reason || packet->inner_known != known)
		fail_msg("%s, byte %zu inside says %zu: %s, inner %sknown", sample->name, length->at, value,
			 reason_name(reason), packet->inner_known ? "" : "not ");
}

static size_t largest(enum length_field field) {
	switch (field) {
	case LENGTH_IPV4_HEADER:
	case LENGTH_TCP_OFFSET:
		return 15;
	case LENGTH_EXTENSION:
	case LENGTH_OPTION:
		return 255;
	default:
		return 65535;
	}
}

static void say(struct raw *raw, const struct sample_length *length, size_t value) {
	uint8_t *byte = &raw->bytes[length->at];
	if (length->field == LENGTH_IPV4_HEADER)
		*byte = (uint8_t)((*byte & 0xf0) | value);
	else if (length->field == LENGTH_TCP_OFFSET)
		*byte = (uint8_t)((*byte & 0x0f) | value << 4);
	else if (largest(length->field) == 255)
		*byte = (uint8_t)value;
	else
		raw_set_be16(raw, length->at, (uint16_t)value);
}

/* Every value of the small fields, and of those of 16 bits each up to 511 and around powers of two. */
static size_t next_value(size_t value) {
	bool near_power = (value & (value + 1)) == 0 || (value & (value - 1)) == 0;
	if (value < 511 || near_power)
		return value + 1;
	size_t power = 1024;
	while (power - 1 <= value)
		power *= 2;
	return power - 1;
}

static void every_lying_length_is_refused_or_changes_nothing_else(void **state) {
	for (int i = 0; i < SAMPLES; i++) {
		struct sample one = sample(i);
		for (size_t l = 0; l < one.length_count; l++) {
			const struct sample_length *length = &one.lengths[l];
			for (size_t value = 0; value <= largest(length->field); value = next_value(value)) {
				struct raw liar = one.raw;
				struct packet packet;
				say(&liar, length, value);
				enum reason reason = take(*state, &liar, liar.length, liar.length, &packet);
				if (length->quoted)
					assert_quoted_lie(&one, length, value, reason, &packet);
				else
					assert_lie(&one, length, value, reason);
			}
		}
	}
}

#define with_firewall(test) cmocka_unit_test_setup_teardown(test, open_firewall, close_firewall)

int main(void) {
	const struct CMUnitTest tests[] = {
	    with_firewall(every_sample_is_read_whole),
	    with_firewall(a_packet_cut_short_on_the_wire_is_refused),
	    with_firewall(a_packet_copied_in_part_tells_what_is_in_the_part),
	    with_firewall(every_flipped_bit_is_refused_or_read_as_it_stands),
	    with_firewall(every_lying_length_is_refused_or_changes_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
