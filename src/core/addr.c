/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses: text forms (RFC 4291 section 2.2 in, RFC 5952 out) and comparison.
 */
#include "sallyport/core/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_from_ipv4(const uint8_t bytes[4]) {
	struct addr addr;

	memcpy(addr.bytes, mapped_prefix, sizeof mapped_prefix);
	memcpy(addr.bytes + 12, bytes, 4);
	return addr;
}

struct addr addr_from_ipv6(const uint8_t bytes[16]) {
	struct addr addr;

	memcpy(addr.bytes, bytes, 16);
	return addr;
}

enum family addr_family(const struct addr *addr) {
	return memcmp(addr->bytes, mapped_prefix, sizeof mapped_prefix) == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
}

int addr_compare(const struct addr *left, const struct addr *right) {
	return memcmp(left->bytes, right->bytes, sizeof left->bytes);
}

bool addr_equal(const struct addr *left, const struct addr *right) {
	return addr_compare(left, right) == 0;
}

/* One decimal number of a dotted quad, without leading zeros (some read them as octal). */
static const char *parse_octet(const char *text, uint8_t *octet) {
	unsigned value = 0;
	int digits = 0;

	while (text[digits] >= '0' && text[digits] <= '9' && digits < 4)
		value = value * 10 + (unsigned)(text[digits++] - '0');
	if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[0] == '0'))
		return NULL;
	*octet = (uint8_t)value;
	return text + digits;
}

static bool parse_ipv4(const char *text, struct addr *addr) {
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++) {
		text = parse_octet(text, &bytes[i]);
		if (!text || *text != (i < 3 ? '.' : '\0'))
			return false;
		text++;
	}
	*addr = addr_from_ipv4(bytes);
	return true;
}

bool addr_parse(const char *text, struct addr *addr) {
	uint8_t bytes[16];
	struct addr parsed;

	if (parse_ipv4(text, addr))
		return true;
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return false;
	parsed = addr_from_ipv6(bytes);
	if (addr_family(&parsed) == FAMILY_IPV4)
		return false;
	*addr = parsed;
	return true;
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 4.2). */
static int longest_zero_run(const uint16_t groups[8], int *run_length) {
	int best = -1, best_length = 1;

	for (int start = 0; start < 8; start++) {
		int length = 0;

		while (start + length < 8 && groups[start + length] == 0)
			length++;
		if (length > best_length) {
			best = start;
			best_length = length;
		}
	}
	*run_length = best_length;
	return best;
}

static void print_ipv6(const struct addr *addr, char text[ADDR_TEXT]) {
	uint16_t groups[8];
	int run_length, run, length = 0;

	for (size_t i = 0; i < 8; i++)
		groups[i] = (uint16_t)(addr->bytes[2 * i] << 8 | addr->bytes[2 * i + 1]);
	run = longest_zero_run(groups, &run_length);
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			text[length++] = ':';
			text[length++] = ':';
			i += run_length - 1;
			continue;
		}
		if (length > 0 && text[length - 1] != ':')
			text[length++] = ':';
		length += snprintf(text + length, ADDR_TEXT - (size_t)length, "%x", groups[i]);
	}
	text[length] = '\0';
}

const char *addr_print(const struct addr *addr, char text[ADDR_TEXT]) {
	const uint8_t *b = addr->bytes + 12;

	if (addr_family(addr) == FAMILY_IPV4)
		snprintf(text, ADDR_TEXT, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		print_ipv6(addr, text);
	return text;
}

const char *endpoint_print(const struct addr *addr, uint16_t port, char text[ENDPOINT_TEXT]) {
	char alone[ADDR_TEXT];

	addr_print(addr, alone);
	snprintf(text, ENDPOINT_TEXT, addr_family(addr) == FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", alone, port);
	return text;
}
