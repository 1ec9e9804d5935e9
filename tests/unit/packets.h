/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets for tests, built byte by byte. Addresses are text; the family follows from them.
 */
#ifndef SALLYPORT_TESTS_PACKETS_H
#define SALLYPORT_TESTS_PACKETS_H

#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/packet.h"

struct raw {
	uint8_t bytes[2048];
	size_t length;
};

struct addr address(const char *text);

/* An IP header with `protocol` (IPv6: next header) and nothing behind it. */
struct raw raw_ip(const char *src, const char *dst, uint8_t protocol);
/* Appends, and keeps the IP header's length right. */
void raw_append(struct raw *raw, const void *bytes, size_t count);
void raw_pad(struct raw *raw, size_t count);
void raw_set_be16(struct raw *raw, size_t at, uint16_t value);
void raw_set_be32(struct raw *raw, size_t at, uint32_t value);
/* Where the header behind the (option-less, extension-less) IP header starts. */
size_t raw_transport(const struct raw *raw);

struct raw_segment {
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window;
	size_t payload;
	const uint8_t *options; /* a multiple of 4 bytes */
	size_t option_bytes;
};
void raw_append_tcp(struct raw *raw, uint16_t src_port, uint16_t dst_port, const struct raw_segment *segment);
void raw_append_udp(struct raw *raw, uint16_t src_port, uint16_t dst_port, size_t payload);
void raw_append_icmp(struct raw *raw, uint8_t type, uint8_t code, uint16_t identifier);

struct raw raw_tcp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port,
		   const struct raw_segment *segment);
struct raw raw_udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port);
/* ICMP or ICMPv6 after the family. */
struct raw raw_icmp(const char *src, const char *dst, uint8_t type, uint16_t identifier);
/* An ICMP error that carries the first `quoted` bytes of `about`. */
struct raw raw_icmp_error(const char *src, const char *dst, uint8_t type, const struct raw *about,
			  size_t quoted);

/* Parsed; the test fails where it cannot be. */
struct packet raw_parsed(const struct raw *raw);

#endif
