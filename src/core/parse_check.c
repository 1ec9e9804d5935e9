/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Warns of a rule that no packet can match because its parts ask for different families.
 */
#include "parser.h"

enum { HAS_IPV4 = 1, HAS_IPV6 = 2, HAS_BOTH = HAS_IPV4 | HAS_IPV6 };

static unsigned range_families(const struct addr_range *ranges, size_t count) {
	unsigned families = 0;

	for (size_t i = 0; i < count && families != HAS_BOTH; i++)
		families |= addr_family(&ranges[i].lo) == FAMILY_IPV4 ? HAS_IPV4 : HAS_IPV6;
	return families;
}

/* An empty set has its own warning, so it counts for both. */
static unsigned list_families(const struct addr_list *list) {
	unsigned families = range_families(list->ranges, list->count);

	for (size_t i = 0; i < list->set_count; i++)
		families |= list->sets[i]->count ? range_families(list->sets[i]->ranges, list->sets[i]->count)
						 : (unsigned)HAS_BOTH;
	return list->negate || addr_list_is_any(list) ? (unsigned)HAS_BOTH : families;
}

static unsigned what_families(const struct what *what) {
	unsigned families = 0;

	for (size_t i = 0; i < what->protocol_count; i++)
		families |= what->protocols[i] == PROTOCOL_ICMP     ? HAS_IPV4
			    : what->protocols[i] == PROTOCOL_ICMPV6 ? HAS_IPV6
								    : HAS_BOTH;
	return families ? families : (unsigned)HAS_BOTH;
}

void warn_families(struct parser *parser, const struct rule *rule, const struct token *token) {
	unsigned from = list_families(&rule->from), to = list_families(&rule->to);

	if ((from & to) == 0)
		warn_at(parser, token, "no packet matches this: one side is IPv4, the other IPv6");
	else if ((from & to & what_families(&rule->what)) == 0)
		warn_at(parser, token, "no packet matches this: these addresses do not go with %s",
			protocol_name(rule->what.protocols[0]));
}
