/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "samples.h"

#include <stdio.h>
#include <string.h>

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, GRE = 47, DESTINATION = 60 };

static const char *const here[2] = {"192.0.2.1", "2001:db8::1"};
static const char *const there[2] = {"198.51.100.7", "2001:db8:1::7"};

static const struct ipv4_options {
	const char *name;
	size_t count, length_at; /* 0: it has no length */
	uint8_t bytes[40];
} ipv4_options[SAMPLE_CHAINS] = {
    {.name = "plain"},
    {.name = "no-operation", .count = 4, .bytes = {1, 1, 1, 1}},
    {.name = "record-route", .count = 12, .length_at = 1, .bytes = {7, 11, 4}},
    {.name = "timestamp", .count = 12, .length_at = 1, .bytes = {68, 12, 5}},
    {.name = "router-alert", .count = 4, .length_at = 1, .bytes = {148, 4}},
    {.name = "loose-route", .count = 8, .length_at = 1, .bytes = {131, 7, 4, 192, 0, 2, 9}},
    {.name = "strict-route", .count = 8, .length_at = 1, .bytes = {137, 7, 4, 192, 0, 2, 9}},
    {.name = "end-of-list", .count = 4, .bytes = {0, 0xff, 0xff, 0xff}},
    {.name = "unknown", .count = 8, .length_at = 2, .bytes = {1, 0x5e, 7, 1, 2, 3, 4, 5}},
    {.name = "full", .count = 40, .length_at = 1, .bytes = {7, 39, 4}},
};

/* Kinds of extension headers in their order; END ends the list, since 0 is hop-by-hop. */
enum { END = 0xff };
static const struct {
	const char *name;
	uint8_t kinds[9];
} ipv6_chains[SAMPLE_CHAINS] = {
    {"plain", {END}},
    {"hop-by-hop", {HOP_BY_HOP, END}},
    {"destination", {DESTINATION, END}},
    {"routing", {ROUTING, END}},
    {"atomic", {FRAGMENT, END}},
    {"routing-destination", {ROUTING, DESTINATION, END}},
    {"hop-by-hop-atomic", {HOP_BY_HOP, FRAGMENT, END}},
    {"atomic-destination", {FRAGMENT, DESTINATION, END}},
    {"one-of-each", {HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, DESTINATION, END}},
    {"eight",
     {HOP_BY_HOP, DESTINATION, DESTINATION, DESTINATION, DESTINATION, DESTINATION, DESTINATION, DESTINATION,
      END}},
};

static void note_length(struct sample *sample, enum length_field field, size_t at) {
	sample->lengths[sample->length_count++] = (struct sample_length){field, at, false};
}

static void note_quoted_length(struct sample *sample, enum length_field field, size_t at) {
	sample->lengths[sample->length_count++] = (struct sample_length){field, at, true};
}

static void append_ipv4_options(struct sample *sample, const struct ipv4_options *options) {
	sample->raw.bytes[0] = (uint8_t)(0x45 + options->count / 4);
	note_length(sample, LENGTH_IPV4_TOTAL, 2);
	note_length(sample, LENGTH_IPV4_HEADER, 0);
	if (options->length_at)
		note_length(sample, LENGTH_OPTION, sample->raw.length + options->length_at);
	raw_append(&sample->raw, options->bytes, options->count);
}

static void append_extension(struct sample *sample, uint8_t kind, uint8_t next) {
	static const uint8_t routing[16] = {0, 1, 4};
	static const uint8_t options[8] = {0, 0, 1, 4}, fragment[8] = {0, 0, 0, 0, 1, 2, 3, 4};
	size_t at = sample->raw.length;
	switch (kind) {
	case ROUTING:
		raw_append(&sample->raw, routing, sizeof routing);
		break;
	case FRAGMENT:
		raw_append(&sample->raw, fragment, sizeof fragment);
		break;
	default:
		raw_append(&sample->raw, options, sizeof options);
	}
	sample->raw.bytes[at] = next;
	if (kind != FRAGMENT)
		note_length(sample, LENGTH_EXTENSION, at + 1);
}

static void append_chain(struct sample *sample, const uint8_t *kinds, uint8_t protocol) {
	note_length(sample, LENGTH_IPV6_PAYLOAD, 4);
	sample->raw.bytes[6] = kinds[0] == END ? protocol : kinds[0];
	for (; kinds[0] != END; kinds++)
		append_extension(sample, kinds[0], kinds[1] == END ? protocol : kinds[1]);
}

static const char *const transports[SAMPLE_TRANSPORTS] = {
    "tcp-syn",    "tcp-ack",        "tcp-fin",        "udp", "udp-empty", "icmp-echo",
    "icmp-reply", "error-with-tcp", "error-with-udp", "gre",
};

static uint8_t protocol_of(int transport, bool ipv6) {
	if (transport <= 2)
		return PROTOCOL_TCP;
	if (transport <= 4)
		return PROTOCOL_UDP;
	if (transport == 9)
		return GRE;
	return ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
}

static void append_tcp(struct sample *sample, uint8_t flags, size_t payload) {
	static const uint8_t options[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0};
	bool syn = flags & TCP_SYN;
	raw_append_tcp(&sample->raw, 40000, 22,
		       &(struct raw_segment){.flags = flags,
					     .seq = 1000,
					     .ack = syn ? 0 : 2000,
					     .window = 64240,
					     .payload = payload,
					     .options = options,
					     .option_bytes = syn ? sizeof options : 0});
	note_length(sample, LENGTH_TCP_OFFSET, sample->transport + 12);
	if (syn)
		note_length(sample, LENGTH_OPTION, sample->transport + 21);
}

static void append_error(struct sample *sample, bool ipv6, bool tcp) {
	struct raw about = tcp ? raw_tcp(here[ipv6], 40000, there[ipv6], 443,
					 &(struct raw_segment){.flags = TCP_ACK, .payload = 8})
			       : raw_udp(here[ipv6], 40000, there[ipv6], 53);
	raw_append_icmp(&sample->raw, ipv6 ? 1 : 3, 3, 0);
	size_t inner = sample->raw.length, transport = inner + raw_transport(&about);
	raw_append(&sample->raw, about.bytes, about.length);
	if (!ipv6)
		note_quoted_length(sample, LENGTH_IPV4_HEADER, inner);
	note_quoted_length(sample, ipv6 ? LENGTH_IPV6_PAYLOAD : LENGTH_IPV4_TOTAL, inner + (ipv6 ? 4 : 2));
	note_quoted_length(sample, tcp ? LENGTH_TCP_OFFSET : LENGTH_UDP, transport + (tcp ? 12 : 4));
}

static void append_transport(struct sample *sample, int transport, bool ipv6) {
	static const uint8_t gre[8] = {0, 0, 8, 0};
	sample->transport = sample->raw.length;
	switch (transport) {
	case 0:
		append_tcp(sample, TCP_SYN, 0);
		break;
	case 1:
		append_tcp(sample, TCP_ACK | TCP_PSH, 16);
		break;
	case 2:
		append_tcp(sample, TCP_FIN | TCP_ACK, 0);
		break;
	case 3:
	case 4:
		raw_append_udp(&sample->raw, 40000, 53, transport == 3 ? 16 : 0);
		note_length(sample, LENGTH_UDP, sample->transport + 4);
		break;
	case 5:
		raw_append_icmp(&sample->raw, ipv6 ? 128 : 8, 0, 77);
		break;
	case 6:
		raw_append_icmp(&sample->raw, ipv6 ? 129 : 0, 0, 77);
		break;
	case 7:
	case 8:
		append_error(sample, ipv6, transport == 7);
		break;
	default:
		raw_append(&sample->raw, gre, sizeof gre);
	}
}

struct sample sample(int number) {
	int chain = number / SAMPLE_TRANSPORTS % SAMPLE_CHAINS, transport = number % SAMPLE_TRANSPORTS;
	bool ipv6 = number >= SAMPLE_CHAINS * SAMPLE_TRANSPORTS;
	uint8_t protocol = protocol_of(transport, ipv6);
	struct sample sample = {.raw = raw_ip(there[ipv6], here[ipv6], protocol)};
	snprintf(sample.name, sizeof sample.name, "IPv%d %s %s", ipv6 ? 6 : 4,
		 ipv6 ? ipv6_chains[chain].name : ipv4_options[chain].name, transports[transport]);
	if (ipv6)
		append_chain(&sample, ipv6_chains[chain].kinds, protocol);
	else
		append_ipv4_options(&sample, &ipv4_options[chain]);
	append_transport(&sample, transport, ipv6);
	return sample;
}
