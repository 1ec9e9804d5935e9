/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of actions, directions, protocols (IANA's registry, as /etc/protocols spells
 * them) and ICMP types (as nft spells them, where it has a word).
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "sallyport/core/packet.h"
#include "sallyport/core/rule.h"

static const struct number_name protocols[] = {
    {0, "hopopt"},     {1, "icmp"},      {2, "igmp"},    {4, "ipip"},   {6, "tcp"},     {8, "egp"},
    {9, "igp"},        {17, "udp"},      {33, "dccp"},   {41, "ipv6"},  {46, "rsvp"},   {47, "gre"},
    {50, "esp"},       {51, "ah"},       {58, "icmpv6"}, {88, "eigrp"}, {89, "ospf"},   {97, "etherip"},
    {103, "pim"},      {108, "ipcomp"},  {112, "vrrp"},  {115, "l2tp"}, {124, "isis"},  {132, "sctp"},
    {135, "mobility"}, {136, "udplite"}, {137, "mpls"},  {139, "hip"},  {140, "shim6"}, {0, NULL},
};

static const struct number_name icmp_types[] = {
    {0, "echo-reply"},           {3, "destination-unreachable"},
    {4, "source-quench"},        {5, "redirect"},
    {8, "echo-request"},         {9, "router-advertisement"},
    {10, "router-solicitation"}, {11, "time-exceeded"},
    {12, "parameter-problem"},   {13, "timestamp-request"},
    {14, "timestamp-reply"},     {15, "info-request"},
    {16, "info-reply"},          {17, "address-mask-request"},
    {18, "address-mask-reply"},  {0, NULL},
};

static const struct number_name icmpv6_types[] = {
    {1, "destination-unreachable"},
    {2, "packet-too-big"},
    {3, "time-exceeded"},
    {4, "parameter-problem"},
    {128, "echo-request"},
    {129, "echo-reply"},
    {130, "mld-listener-query"},
    {131, "mld-listener-report"},
    {132, "mld-listener-done"},
    {133, "nd-router-solicit"},
    {134, "nd-router-advert"},
    {135, "nd-neighbor-solicit"},
    {136, "nd-neighbor-advert"},
    {137, "nd-redirect"},
    {138, "router-renumbering"},
    {141, "ind-neighbor-solicit"},
    {142, "ind-neighbor-advert"},
    {143, "mld2-listener-report"},
    {148, "cert-path-solicit"},
    {149, "cert-path-advert"},
    {151, "multicast-router-advert"},
    {152, "multicast-router-solicit"},
    {153, "multicast-router-termination"},
    {0, NULL},
};

const struct number_name *protocol_names(void) {
	return protocols;
}

const struct number_name *icmp_type_names(uint8_t protocol) {
	return protocol == PROTOCOL_ICMP ? icmp_types : icmpv6_types;
}

static const char *name_of(const struct number_name *table, uint8_t number) {
	for (; table->name; table++)
		if (table->number == number)
			return table->name;
	return NULL;
}

static bool number_of(const struct number_name *table, const char *name, uint8_t *number) {
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0) {
			*number = table->number;
			return true;
		}
	return false;
}

bool number_parse(const char *text, uint32_t max, uint32_t *number) {
	uint64_t value = 0;

	if (!*text)
		return false;
	for (const char *digit = text; *digit; digit++) {
		if (*digit < '0' || *digit > '9')
			return false;
		value = value * 10 + (uint64_t)(*digit - '0');
		if (value > max)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}

static bool byte_parse(const struct number_name *table, const char *text, uint8_t *byte) {
	uint32_t number;

	if (number_of(table, text, byte))
		return true;
	if (!number_parse(text, 255, &number))
		return false;
	*byte = (uint8_t)number;
	return true;
}

const char *protocol_name(uint8_t protocol) {
	return name_of(protocols, protocol);
}

bool protocol_parse(const char *text, uint8_t *protocol) {
	return byte_parse(protocols, text, protocol);
}

const char *icmp_type_name(uint8_t protocol, uint8_t type) {
	return name_of(icmp_type_names(protocol), type);
}

bool icmp_type_parse(uint8_t protocol, const char *text, uint8_t *type) {
	return byte_parse(icmp_type_names(protocol), text, type);
}

const char *action_name(enum action action) {
	static const char *const names[] = {"allow", "drop", "reject"};

	return names[action];
}

const char *direction_name(enum direction direction) {
	return direction == DIRECTION_IN ? "in" : "out";
}
