/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ranges of addresses: text forms, prefixes, normalized lists.
 *
 * Two families share one number line (see addr.h), and an IPv6 range such as ::/0 spans
 * the stretch where the IPv4 addresses stand. So every comparison asks for the family
 * first, and normalized lists hold IPv4 before IPv6.
 */
#include "sallyport/core/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bits in front of an IPv4 address's own 32. */
enum { MAPPED_BITS = 96 };

static void set_host_bits(struct addr *addr, unsigned length, bool on) {
	for (unsigned byte = length / 8; byte < 16; byte++) {
		uint8_t host = byte == length / 8 ? (uint8_t)(0xff >> length % 8) : 0xff;

		addr->bytes[byte] = (uint8_t)(on ? addr->bytes[byte] | host : addr->bytes[byte] & ~host);
	}
}

struct addr_range addr_prefix(const struct addr *addr, unsigned length) {
	bool ipv4 = addr_family(addr) == FAMILY_IPV4;
	struct addr_range range = {*addr, *addr};

	set_host_bits(&range.lo, ipv4 ? length + MAPPED_BITS : length, false);
	set_host_bits(&range.hi, ipv4 ? length + MAPPED_BITS : length, true);
	if (!ipv4 && addr_family(&range.hi) == FAMILY_IPV4) /* ::/80 would end on an IPv4 address */
		range.hi.bytes[11] = 0xfe;
	return range;
}

static bool fail(const char **why, const char *reason) {
	*why = reason;
	return false;
}

static bool parse_prefix_length(const char *text, unsigned max, unsigned *length) {
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1]) || strlen(text) > 3)
		return false;
	value = strtoul(text, &end, 10);
	if (*end || value > max)
		return false;
	*length = (unsigned)value;
	return true;
}

static bool parse_prefix(const char *head, const char *tail, struct addr_range *range, const char **why) {
	struct addr addr;
	struct addr_range prefix;
	unsigned length;

	if (!addr_parse(head, &addr))
		return fail(why, "not an address before the /");
	if (!parse_prefix_length(tail, addr_family(&addr) == FAMILY_IPV4 ? 32 : 128, &length))
		return fail(why, addr_family(&addr) == FAMILY_IPV4 ? "the prefix length is not 0 to 32"
								   : "the prefix length is not 0 to 128");
	prefix = addr_prefix(&addr, length);
	if (!addr_equal(&prefix.lo, &addr))
		return fail(why, "bits are set behind the prefix length");
	*range = prefix;
	return true;
}

static bool parse_span(const char *head, const char *tail, struct addr_range *range, const char **why) {
	struct addr lo, hi;

	if (!addr_parse(head, &lo) || !addr_parse(tail, &hi))
		return fail(why, "not an address on both sides of the -");
	if (addr_family(&lo) != addr_family(&hi))
		return fail(why, "the range mixes IPv4 and IPv6");
	if (addr_compare(&lo, &hi) > 0)
		return fail(why, "the range runs from high to low");
	*range = (struct addr_range){lo, hi};
	return true;
}

bool addr_range_parse(const char *text, struct addr_range *range, const char **why) {
	size_t head_length = strcspn(text, "/-");
	char head[ADDR_TEXT];
	struct addr addr;

	if (head_length >= sizeof head)
		return fail(why, "not an address");
	memcpy(head, text, head_length);
	head[head_length] = '\0';
	if (text[head_length] == '/')
		return parse_prefix(head, text + head_length + 1, range, why);
	if (text[head_length] == '-')
		return parse_span(head, text + head_length + 1, range, why);
	if (!addr_parse(head, &addr))
		return fail(why, strncasecmp(head, "::ffff:", 7) == 0 && strchr(head, '.')
				     ? "an IPv4-mapped address: write the IPv4 address"
				     : "not an address");
	*range = (struct addr_range){addr, addr};
	return true;
}

/* The length of the prefix that is exactly this range, or -1. */
static int prefix_length(const struct addr_range *range) {
	unsigned length = addr_family(&range->lo) == FAMILY_IPV4 ? MAPPED_BITS : 0, first = length;
	struct addr_range prefix;

	while (length < 128 &&
	       ((range->lo.bytes[length / 8] ^ range->hi.bytes[length / 8]) & (0x80 >> length % 8)) == 0)
		length++;
	prefix = addr_prefix(&range->lo, length - first);
	if (!addr_equal(&prefix.lo, &range->lo) || !addr_equal(&prefix.hi, &range->hi))
		return -1;
	return (int)(length - first);
}

const char *addr_range_print(const struct addr_range *range, char text[ADDR_RANGE_TEXT]) {
	int length = prefix_length(range);
	char lo[ADDR_TEXT], hi[ADDR_TEXT];

	addr_print(&range->lo, lo);
	addr_print(&range->hi, hi);
	if (addr_equal(&range->lo, &range->hi))
		snprintf(text, ADDR_RANGE_TEXT, "%s", lo);
	else if (length >= 0)
		snprintf(text, ADDR_RANGE_TEXT, "%s/%d", lo, length);
	else
		snprintf(text, ADDR_RANGE_TEXT, "%s-%s", lo, hi);
	return text;
}

bool addr_range_contains(const struct addr_range *range, const struct addr *addr) {
	return addr_family(&range->lo) == addr_family(addr) && addr_compare(&range->lo, addr) <= 0 &&
	       addr_compare(addr, &range->hi) <= 0;
}

static int compare_ranges(const void *left_item, const void *right_item) {
	const struct addr_range *left = left_item, *right = right_item;
	int families = (int)addr_family(&left->lo) - (int)addr_family(&right->lo);

	return families ? families : addr_compare(&left->lo, &right->lo);
}

static struct addr next_addr(struct addr addr) {
	for (int i = 15; i >= 0 && ++addr.bytes[i] == 0; i--)
		;
	return addr;
}

/* True where `next`, which starts no earlier, overlaps or adjoins `range`. */
static bool touches(const struct addr_range *range, const struct addr_range *next) {
	struct addr behind = next_addr(range->hi);

	if (addr_family(&range->lo) != addr_family(&next->lo))
		return false;
	return addr_compare(&next->lo, &range->hi) <= 0 || addr_equal(&next->lo, &behind);
}

static bool is_sorted(const struct addr_range *ranges, size_t count) {
	for (size_t i = 1; i < count; i++)
		if (compare_ranges(&ranges[i - 1], &ranges[i]) > 0)
			return false;
	return true;
}

size_t addr_ranges_normalize(struct addr_range *ranges, size_t count) {
	size_t kept = 0;

	if (!is_sorted(ranges, count))
		qsort(ranges, count, sizeof *ranges, compare_ranges);
	for (size_t i = 0; i < count; i++) {
		struct addr_range *last = kept ? &ranges[kept - 1] : NULL;

		if (!last || !touches(last, &ranges[i]))
			ranges[kept++] = ranges[i];
		else if (addr_compare(&last->hi, &ranges[i].hi) < 0)
			last->hi = ranges[i].hi;
	}
	return kept;
}

bool addr_ranges_contain(const struct addr_range *ranges, size_t count, const struct addr *addr) {
	struct addr_range alone = {*addr, *addr};
	size_t low = 0, high = count;

	while (low < high) { /* the first range that starts behind addr */
		size_t middle = low + (high - low) / 2;

		if (compare_ranges(&ranges[middle], &alone) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && addr_range_contains(&ranges[low - 1], addr);
}
