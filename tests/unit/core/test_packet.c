/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/packet: what is read, what is refused and why, and that no bytes crash it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../packets.h"

static enum reason parse(const struct raw *raw, struct packet *packet) {
	/* Of its own size, so that ASan sees a read behind the end. */
	uint8_t *bytes = malloc(raw->length ? raw->length : 1);
	memcpy(bytes, raw->bytes, raw->length);
	enum reason reason = packet_parse(bytes, raw->length, raw->length, packet);
	free(bytes);
	return reason;
}

#define assert_parses_as(raw, expected)                                                                      \
	do {                                                                                                 \
		struct packet unused;                                                                        \
		assert_string_equal(reason_name(parse(raw, &unused)), reason_name(expected));                \
	} while (0)

static const struct raw_segment syn = {.flags = TCP_SYN, .seq = 1000, .window = 64240};

static void assert_addr(const struct addr *addr, const char *text) {
	char printed[ADDR_TEXT];
	assert_string_equal(addr_print(addr, printed), text);
}

static void tcp_over_ipv4_is_read(void **state) {
	(void)state;
	struct raw_segment segment = {
	    .flags = TCP_ACK | TCP_PSH | 0xc0, .seq = 0xfffffff0, .ack = 7, .window = 501, .payload = 100};
	struct raw raw = raw_tcp("192.0.2.7", 40000, "192.0.2.1", 22, &segment);
	struct packet packet;
	assert_int_equal(parse(&raw, &packet), REASON_NONE);
	assert_addr(&packet.tuple.src, "192.0.2.7");
	assert_addr(&packet.tuple.dst, "192.0.2.1");
	assert_int_equal(packet.family, FAMILY_IPV4);
	assert_int_equal(packet.tuple.protocol, PROTOCOL_TCP);
	assert_int_equal(packet.tuple.src_port, 40000);
	assert_int_equal(packet.tuple.dst_port, 22);
	assert_int_equal(packet.tcp.flags, TCP_ACK | TCP_PSH);
	assert_int_equal(packet.tcp.seq, 0xfffffff0);
	assert_int_equal(packet.tcp.ack, 7);
	assert_int_equal(packet.tcp.window, 501);
	assert_int_equal(packet.tcp.length, 100);
	assert_int_equal(packet.tcp.scale, TCP_NO_SCALE);
	assert_false(packet.icmp_error);
}

static void ipv4_options_are_skipped(void **state) {
	(void)state;
	struct raw raw = raw_ip("192.0.2.7", "192.0.2.1", PROTOCOL_UDP);
	raw.bytes[0] = 0x47;
	raw_pad(&raw, 8);
	raw_append_udp(&raw, 5353, 53, 9);
	struct packet packet = raw_parsed(&raw);
	assert_int_equal(packet.tuple.dst_port, 53);
}

static void padding_behind_the_packet_is_not_payload(void **state) {
	(void)state;
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &(struct raw_segment){.flags = TCP_ACK});
	struct packet packet;
	assert_int_equal(packet_parse(raw.bytes, raw.length + 6, raw.length + 6, &packet), REASON_NONE);
	assert_int_equal(packet.tcp.length, 0);
}

static void payload_is_counted_by_the_true_length(void **state) {
	(void)state;
	struct raw_segment segment = {.flags = TCP_ACK, .payload = 1400};
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &segment);
	struct packet packet;
	assert_int_equal(packet_parse(raw.bytes, 256, raw.length, &packet), REASON_NONE);
	assert_int_equal(packet.tcp.length, 1400);
}

static void segments_beyond_64k_are_as_long_as_the_kernel_says(void **state) {
	(void)state;
	struct raw_segment segment = {.flags = TCP_ACK};
	struct raw ipv4 = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &segment);
	struct raw ipv6 = raw_tcp("2001:db8::7", 1, "2001:db8::1", 2, &segment);
	raw_set_be16(&ipv4, 2, 0);
	raw_set_be16(&ipv6, 4, 0);
	struct packet packet;
	assert_int_equal(packet_parse(ipv4.bytes, ipv4.length, 180000, &packet), REASON_NONE);
	assert_int_equal(packet.tcp.length, 180000 - 40);
	assert_int_equal(packet_parse(ipv6.bytes, ipv6.length, 180000, &packet), REASON_NONE);
	assert_int_equal(packet.tcp.length, 180000 - 60);
	/* The same on a packet of plain length is a lie. */
	assert_int_equal(packet_parse(ipv4.bytes, ipv4.length, ipv4.length, &packet), DROP_HEADER);
	assert_int_equal(packet_parse(ipv6.bytes, ipv6.length, ipv6.length, &packet), DROP_TRUNCATED);
}

static void jumbograms_are_read(void **state) {
	(void)state;
	static const uint8_t jumbo[8] = {PROTOCOL_TCP, 0, 0xc2, 4, 0, 2, 0xbf, 0x00};
	struct raw raw = raw_ip("2001:db8::7", "2001:db8::1", 0);
	raw_append(&raw, jumbo, sizeof jumbo);
	raw_append_tcp(&raw, 1, 2, &(struct raw_segment){.flags = TCP_ACK});
	raw_set_be16(&raw, 4, 0);
	struct packet packet;
	assert_int_equal(packet_parse(raw.bytes, raw.length, 180000, &packet), REASON_NONE);
	assert_int_equal(packet.tcp.length, 180000 - 68);
}

static void window_scale_is_read_from_syns(void **state) {
	(void)state;
	static const uint8_t options[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
	struct raw_segment segment = {.flags = TCP_SYN, .options = options, .option_bytes = sizeof options};
	struct raw raw = raw_tcp("2001:db8::7", 1, "2001:db8::1", 2, &segment);
	struct packet packet = raw_parsed(&raw);
	assert_true(packet.tcp.scale_permitted);
	assert_int_equal(packet.tcp.scale, 7);
	assert_int_equal(packet.tcp.length, 0);
	segment.flags = TCP_ACK;
	raw = raw_tcp("2001:db8::7", 1, "2001:db8::1", 2, &segment);
	packet = raw_parsed(&raw);
	assert_false(packet.tcp.scale_permitted);
}

static void window_scale_is_cut_to_14(void **state) {
	(void)state;
	static const uint8_t options[] = {3, 3, 200, 0};
	struct raw_segment segment = {.flags = TCP_SYN, .options = options, .option_bytes = sizeof options};
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &segment);
	assert_int_equal(raw_parsed(&raw).tcp.scale, 14);
}

static void lying_options_end_the_list_and_not_the_packet(void **state) {
	(void)state;
	static const uint8_t lists[][8] = {
	    {5, 0, 3, 3, 7, 0, 0, 0},  {5, 1, 3, 3, 7, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 3},
	    {8, 60, 3, 3, 7, 0, 0, 0}, {0, 3, 3, 7, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 3, 3},
	};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct raw_segment segment = {.flags = TCP_SYN, .options = lists[i], .option_bytes = 8};
		struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &segment);
		struct packet packet;
		assert_int_equal(parse(&raw, &packet), REASON_NONE);
		assert_false(packet.tcp.scale_permitted);
	}
}

static struct raw extended(uint8_t first, const uint8_t *headers, size_t count) {
	struct raw raw = raw_ip("2001:db8::7", "2001:db8::1", first);
	raw_append(&raw, headers, count);
	raw_append_tcp(&raw, 40000, 22, &syn);
	return raw;
}

static void extension_headers_are_skipped(void **state) {
	(void)state;
	static const uint8_t headers[] = {
	    /* hop-by-hop, 8 */ 60,     0, 1, 4,  0, 0, 0, 0,
	    /* destination, 16 */ 43,   1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    /* routing type 2, 8 */ 44, 0, 2, 0,  0, 0, 0, 0,
	    /* atomic fragment */ 6,    0, 0, 0,  0, 0, 0, 1,
	};
	struct raw raw = extended(0, headers, sizeof headers);
	struct packet packet = raw_parsed(&raw);
	assert_int_equal(packet.tuple.protocol, PROTOCOL_TCP);
	assert_int_equal(packet.tuple.dst_port, 22);
	assert_int_equal(packet.tcp.length, 0);
}

/* nf_tables does not look behind AH (ipv6_find_hdr with IP6_FH_F_AUTH), so neither do the rules here: they
 * would speak of ports that the kernel does not see. */
static void ah_is_a_protocol_of_its_own(void **state) {
	(void)state;
	static const uint8_t authentication[24] = {PROTOCOL_TCP, 4};
	struct raw raw = extended(51, authentication, sizeof authentication);
	struct packet packet = raw_parsed(&raw);
	assert_int_equal(packet.tuple.protocol, 51);
	assert_int_equal(packet.tuple.dst_port, 0);
}

static void the_number_of_extension_headers_is_bounded(void **state) {
	(void)state;
	uint8_t headers[(PACKET_MAX_HEADERS + 1) * 8] = {0};
	for (size_t i = 0; i <= PACKET_MAX_HEADERS; i++)
		headers[i * 8] = i == PACKET_MAX_HEADERS ? PROTOCOL_TCP : 60;
	struct raw most = extended(60, headers + 8, sizeof headers - 8);
	struct raw more = extended(60, headers, sizeof headers);
	assert_parses_as(&most, REASON_NONE);
	assert_parses_as(&more, DROP_HEADER);
}

static void misplaced_and_dangerous_headers_are_refused(void **state) {
	(void)state;
	static const uint8_t late_hop_by_hop[] = {0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t routing_0[] = {6, 0, 0, 1, 0, 0, 0, 0};
	static const uint8_t endless[] = {6, 255, 0, 0, 0, 0, 0, 0};
	struct raw raw = extended(60, late_hop_by_hop, sizeof late_hop_by_hop);
	assert_parses_as(&raw, DROP_HEADER);
	raw = extended(43, routing_0, sizeof routing_0);
	assert_parses_as(&raw, DROP_HEADER);
	raw = extended(60, endless, sizeof endless);
	assert_parses_as(&raw, DROP_TRUNCATED);
}

static void other_protocols_have_no_ports(void **state) {
	(void)state;
	static const uint8_t protocols[] = {2, 47, 50, 59, 132, 135, 136, 255};
	for (size_t i = 0; i < sizeof protocols; i++) {
		struct raw raw = raw_ip("2001:db8::7", "2001:db8::1", protocols[i]);
		raw_append(&raw, "\x12\x34\x56\x78", 4);
		struct packet packet = raw_parsed(&raw);
		assert_int_equal(packet.tuple.protocol, protocols[i]);
		assert_int_equal(packet.tuple.src_port, 0);
		assert_int_equal(packet.tuple.dst_port, 0);
	}
}

static void fragments_are_refused(void **state) {
	(void)state;
	static const uint16_t ipv4_fields[] = {0x2000, 0x0001, 0x2010, 0x1fff};
	for (size_t i = 0; i < 4; i++) {
		struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &syn);
		raw_set_be16(&raw, 6, ipv4_fields[i]);
		assert_parses_as(&raw, DROP_FRAGMENT);
	}
	struct raw whole = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &syn);
	raw_set_be16(&whole, 6, 0x4000); /* don't fragment */
	assert_parses_as(&whole, REASON_NONE);
	static const uint8_t first[] = {6, 0, 0, 1, 0, 0, 0, 1}, later[] = {6, 0, 0, 8, 0, 0, 0, 1};
	struct raw raw = extended(44, first, 8);
	assert_parses_as(&raw, DROP_FRAGMENT);
	raw = extended(44, later, 8);
	assert_parses_as(&raw, DROP_FRAGMENT);
}

static void lying_lengths_are_refused(void **state) {
	(void)state;
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &syn);
	raw_set_be16(&raw, 2, (uint16_t)(raw.length + 1));
	assert_parses_as(&raw, DROP_HEADER);
	raw_set_be16(&raw, 2, 19);
	assert_parses_as(&raw, DROP_HEADER);
	raw_set_be16(&raw, 2, 39);
	assert_parses_as(&raw, DROP_TRUNCATED);
	raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &syn);
	raw.bytes[0] = 0x44;
	assert_parses_as(&raw, DROP_HEADER);
	raw.bytes[0] = 0x55;
	assert_parses_as(&raw, DROP_HEADER);
	raw = raw_tcp("2001:db8::7", 1, "2001:db8::1", 2, &syn);
	raw_set_be16(&raw, 4, 21);
	assert_parses_as(&raw, DROP_HEADER);
	raw = raw_udp("192.0.2.7", 1, "192.0.2.1", 2);
	raw_set_be16(&raw, 24, 7);
	assert_parses_as(&raw, DROP_HEADER);
	raw_set_be16(&raw, 24, 13);
	assert_parses_as(&raw, DROP_HEADER);
}

static void bad_data_offsets_are_refused(void **state) {
	(void)state;
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &syn);
	raw.bytes[32] = 0x40;
	assert_parses_as(&raw, DROP_HEADER);
	raw.bytes[32] = 0x60;
	assert_parses_as(&raw, DROP_HEADER);
}

static void impossible_flags_are_refused(void **state) {
	(void)state;
	for (unsigned flags = 0; flags < 64; flags++) {
		struct raw_segment segment = {.flags = (uint8_t)flags};
		struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &segment);
		unsigned kind = flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK);
		bool good = kind == TCP_SYN || kind == (TCP_SYN | TCP_ACK) || kind == TCP_RST ||
			    kind == (TCP_RST | TCP_ACK) || kind == TCP_ACK || kind == (TCP_FIN | TCP_ACK);
		assert_parses_as(&raw, good ? REASON_NONE : DROP_FLAGS);
	}
}

static void impossible_addresses_are_refused(void **state) {
	(void)state;
	static const char *const bad[] = {"224.0.0.1", "239.255.255.255", "255.255.255.255", "0.0.0.0"};
	for (size_t i = 0; i < 4; i++) {
		struct raw raw = raw_tcp(bad[i], 1, "192.0.2.1", 2, &syn);
		assert_parses_as(&raw, DROP_ADDRESS);
	}
	struct raw raw = raw_tcp("ff02::1", 1, "2001:db8::1", 2, &syn);
	assert_parses_as(&raw, DROP_ADDRESS);
	raw = raw_tcp("::", 1, "2001:db8::1", 2, &syn);
	assert_parses_as(&raw, DROP_ADDRESS);
	for (size_t at = 8; at <= 24; at += 16) { /* IPv4-mapped source, then destination */
		raw = raw_udp("2001:db8::7", 1, "2001:db8::1", 2);
		memcpy(raw.bytes + at, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16);
		assert_parses_as(&raw, DROP_ADDRESS);
	}
	raw = raw_udp("0.0.0.0", 68, "255.255.255.255", 67); /* DHCP */
	assert_parses_as(&raw, REASON_NONE);
	raw = raw_icmp("::", "ff02::1", 135, 0); /* duplicate address detection */
	assert_parses_as(&raw, REASON_NONE);
}

static void icmp_of_the_other_family_is_refused(void **state) {
	(void)state;
	struct raw raw = raw_ip("192.0.2.7", "192.0.2.1", PROTOCOL_ICMPV6);
	raw_append_icmp(&raw, 128, 0, 1);
	assert_parses_as(&raw, DROP_HEADER);
	raw = raw_ip("2001:db8::7", "2001:db8::1", PROTOCOL_ICMP);
	raw_append_icmp(&raw, 8, 0, 1);
	assert_parses_as(&raw, DROP_HEADER);
}

static void queries_carry_their_identifier(void **state) {
	(void)state;
	struct raw raw = raw_icmp("192.0.2.7", "192.0.2.1", 8, 0x1234);
	struct packet packet = raw_parsed(&raw);
	assert_int_equal(packet.icmp_type, 8);
	assert_int_equal(packet.tuple.src_port, 0x1234);
	assert_int_equal(packet.tuple.dst_port, 0x1234);
	raw = raw_icmp("2001:db8::7", "2001:db8::1", 129, 0x4321);
	packet = raw_parsed(&raw);
	assert_int_equal(packet.tuple.src_port, 0x4321);
	raw = raw_icmp("2001:db8::7", "2001:db8::1", 133, 0x4321); /* router solicitation */
	packet = raw_parsed(&raw);
	assert_int_equal(packet.tuple.src_port, 0);
	assert_true(icmp_is_query(PROTOCOL_ICMP, 13) && icmp_is_reply(PROTOCOL_ICMP, 14));
	assert_true(icmp_is_query(PROTOCOL_ICMPV6, 128) && !icmp_is_query(PROTOCOL_ICMPV6, 8));
	assert_false(icmp_is_query(PROTOCOL_TCP, 8) || icmp_is_reply(PROTOCOL_UDP, 0));
}

static void the_packet_inside_an_error_is_read(void **state) {
	(void)state;
	struct raw about = raw_tcp("192.0.2.1", 40000, "198.51.100.5", 443, &syn);
	struct raw raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 3, &about, 28);
	struct packet packet = raw_parsed(&raw);
	assert_true(packet.icmp_error);
	assert_true(packet.inner_known);
	assert_addr(&packet.inner.src, "192.0.2.1");
	assert_addr(&packet.inner.dst, "198.51.100.5");
	assert_int_equal(packet.inner.src_port, 40000);
	assert_int_equal(packet.inner.dst_port, 443);

	about = extended(60, (const uint8_t[]){44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9}, 16);
	raw = raw_icmp_error("2001:db8::fe", "2001:db8::7", 2, &about, about.length);
	packet = raw_parsed(&raw);
	assert_true(packet.inner_known); /* a first fragment tells the ports */
	assert_int_equal(packet.inner.dst_port, 22);

	about = raw_icmp("192.0.2.1", "198.51.100.5", 8, 77);
	raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 11, &about, 28);
	packet = raw_parsed(&raw);
	assert_true(packet.inner_known);
	assert_int_equal(packet.inner_icmp_type, 8);
	assert_int_equal(packet.inner.src_port, 77);
}

static void what_an_error_does_not_tell_is_not_known(void **state) {
	(void)state;
	struct raw about = raw_tcp("192.0.2.1", 40000, "198.51.100.5", 443, &syn);
	struct packet packet;
	for (size_t quoted = 0; quoted < 24; quoted++) {
		struct raw raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 3, &about, quoted);
		assert_int_equal(parse(&raw, &packet), REASON_NONE);
		assert_true(packet.icmp_error);
		assert_false(packet.inner_known);
	}
	raw_set_be16(&about, 6, 0x0003); /* a later fragment */
	struct raw raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 3, &about, 28);
	assert_false(raw_parsed(&raw).inner_known);
	about = raw_icmp_error("192.0.2.1", "198.51.100.5", 3, &about, 28); /* an error about an error */
	raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 3, &about, about.length);
	assert_false(raw_parsed(&raw).inner_known);
	about = raw_udp("2001:db8::1", 1, "2001:db8::2", 2); /* of the other family */
	raw = raw_icmp_error("203.0.113.1", "192.0.2.1", 3, &about, about.length);
	assert_false(raw_parsed(&raw).inner_known);
}

static void failure_leaves_the_packet_untouched(void **state) {
	(void)state;
	struct packet packet, before;
	memset(&packet, 0x5a, sizeof packet);
	before = packet;
	struct raw raw = raw_tcp("192.0.2.7", 1, "192.0.2.1", 2, &(struct raw_segment){.flags = 0});
	assert_int_equal(parse(&raw, &packet), DROP_FLAGS);
	assert_memory_equal(&packet, &before, sizeof packet);
}

static size_t samples(struct raw *out) {
	static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7};
	static const uint8_t headers[] = {43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 2, 0,
					  0,  0, 0, 0, 6, 0, 0, 0, 0,  0, 0, 1};
	struct raw_segment opening = {.flags = TCP_SYN, .options = options, .option_bytes = 8, .payload = 9};
	size_t count = 0;
	out[count++] = raw_tcp("192.0.2.7", 40000, "192.0.2.1", 22, &opening);
	out[count++] = raw_tcp("2001:db8::7", 40000, "2001:db8::1", 22, &opening);
	out[count++] = extended(0, headers, sizeof headers);
	out[count++] = raw_udp("192.0.2.7", 1, "192.0.2.1", 2);
	out[count++] = raw_icmp("2001:db8::7", "2001:db8::1", 128, 3);
	out[count] = raw_icmp_error("203.0.113.1", "192.0.2.7", 3, &out[0], 60);
	count++;
	out[count] = raw_icmp_error("2001:db8::fe", "2001:db8::7", 1, &out[2], out[2].length);
	count++;
	return count;
}

static void every_prefix_is_refused_or_read_without_a_crash(void **state) {
	(void)state;
	struct raw out[8];
	size_t count = samples(out);
	for (size_t i = 0; i < count; i++) {
		for (size_t length = 0; length < out[i].length; length++) {
			struct raw cut = out[i];
			struct packet packet;
			cut.length = length;
			assert_int_not_equal(parse(&cut, &packet), REASON_NONE); /* the IP length lies */
			uint8_t *bytes = malloc(length ? length : 1);
			memcpy(bytes, cut.bytes, length);
			enum reason reason = packet_parse(bytes, length, out[i].length, &packet);
			assert_true(reason == REASON_NONE || reason == DROP_TRUNCATED);
			free(bytes);
		}
	}
}

static void every_flipped_bit_is_refused_or_read_without_a_crash(void **state) {
	(void)state;
	struct raw out[8];
	size_t count = samples(out);
	for (size_t i = 0; i < count; i++) {
		for (size_t bit = 0; bit < out[i].length * 8; bit++) {
			struct raw flipped = out[i];
			struct packet packet;
			flipped.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			enum reason reason = parse(&flipped, &packet);
			assert_true(reason == REASON_NONE ||
				    (reason >= DROP_TRUNCATED && reason < REASON_COUNT));
		}
	}
}

static void every_reason_has_a_name_and_a_sentence(void **state) {
	(void)state;
	for (int i = 0; i < REASON_COUNT; i++) {
		enum reason reason = (enum reason)i;
		assert_true(strlen(reason_text(reason)) > 5);
		bool pass = strncmp(reason_name(reason), "pass.", 5) == 0;
		assert_int_equal(pass, reason_passes(reason));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(reason_name(reason), reason_name((enum reason)j));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tcp_over_ipv4_is_read),
	    cmocka_unit_test(ipv4_options_are_skipped),
	    cmocka_unit_test(padding_behind_the_packet_is_not_payload),
	    cmocka_unit_test(payload_is_counted_by_the_true_length),
	    cmocka_unit_test(segments_beyond_64k_are_as_long_as_the_kernel_says),
	    cmocka_unit_test(jumbograms_are_read),
	    cmocka_unit_test(window_scale_is_read_from_syns),
	    cmocka_unit_test(window_scale_is_cut_to_14),
	    cmocka_unit_test(lying_options_end_the_list_and_not_the_packet),
	    cmocka_unit_test(extension_headers_are_skipped),
	    cmocka_unit_test(ah_is_a_protocol_of_its_own),
	    cmocka_unit_test(the_number_of_extension_headers_is_bounded),
	    cmocka_unit_test(misplaced_and_dangerous_headers_are_refused),
	    cmocka_unit_test(other_protocols_have_no_ports),
	    cmocka_unit_test(fragments_are_refused),
	    cmocka_unit_test(lying_lengths_are_refused),
	    cmocka_unit_test(bad_data_offsets_are_refused),
	    cmocka_unit_test(impossible_flags_are_refused),
	    cmocka_unit_test(impossible_addresses_are_refused),
	    cmocka_unit_test(icmp_of_the_other_family_is_refused),
	    cmocka_unit_test(queries_carry_their_identifier),
	    cmocka_unit_test(the_packet_inside_an_error_is_read),
	    cmocka_unit_test(what_an_error_does_not_tell_is_not_known),
	    cmocka_unit_test(failure_leaves_the_packet_untouched),
	    cmocka_unit_test(every_prefix_is_refused_or_read_without_a_crash),
	    cmocka_unit_test(every_flipped_bit_is_refused_or_read_without_a_crash),
	    cmocka_unit_test(every_reason_has_a_name_and_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
