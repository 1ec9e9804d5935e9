/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses and ranges of both families as values.
 *
 * An address is 16 bytes in network order; IPv4 stands as IPv4-mapped IPv6
 * (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so one comparison, one range and one
 * hash serve both families. Mapped addresses never appear on the wire as IPv6:
 * packet_parse refuses them, so the two cannot be confused.
 */
#ifndef SALLYPORT_CORE_ADDR_H
#define SALLYPORT_CORE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr {
	uint8_t bytes[16];
};

/* Inclusive at both ends; both ends are of one family; lo <= hi. */
struct addr_range {
	struct addr lo, hi;
};

enum family { FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

/* Room for any address as text with its NUL; for a range or prefix; for [addr]:port. */
enum { ADDR_TEXT = 46, ADDR_RANGE_TEXT = 96, ENDPOINT_TEXT = 56 };

struct addr addr_from_ipv4(const uint8_t bytes[4]);
struct addr addr_from_ipv6(const uint8_t bytes[16]);
enum family addr_family(const struct addr *addr);
/* memcmp order; IPv4 sorts as ::ffff:0:0/96. */
int addr_compare(const struct addr *left, const struct addr *right);
bool addr_equal(const struct addr *left, const struct addr *right);

/* "192.0.2.7" or "2001:db8::7", nothing before or after. False: *addr untouched.
 * Text of the form ::ffff:a.b.c.d is refused: write the IPv4 address. */
bool addr_parse(const char *text, struct addr *addr);
/* Canonical text (RFC 5952 for IPv6). Returns `text`. */
const char *addr_print(const struct addr *addr, char text[ADDR_TEXT]);
/* "192.0.2.7:22" or "[2001:db8::7]:22". Returns `text`. */
const char *endpoint_print(const struct addr *addr, uint16_t port, char text[ENDPOINT_TEXT]);

/* "a", "a/len" or "a-b". Host bits behind a prefix length are an error, as is a
 * range from high to low or across families. On failure *why names the reason. */
bool addr_range_parse(const char *text, struct addr_range *range, const char **why);
/* The shortest of address, prefix and range. Returns `text`. */
const char *addr_range_print(const struct addr_range *range, char text[ADDR_RANGE_TEXT]);
/* Only addresses of the range's own family: ::/0 holds no IPv4 address. */
bool addr_range_contains(const struct addr_range *range, const struct addr *addr);
/* The network of this length (0..32 or 0..128) that `addr` lies in. */
struct addr_range addr_prefix(const struct addr *addr, unsigned length);

/* Sorts in place, IPv4 before IPv6 (an IPv6 range can span the stretch where addr_compare
 * puts IPv4), and merges overlapping and adjoining ranges of one family. Returns the
 * new count. */
size_t addr_ranges_normalize(struct addr_range *ranges, size_t count);
/* Binary search in normalized ranges. */
bool addr_ranges_contain(const struct addr_range *ranges, size_t count, const struct addr *addr);

#endif
