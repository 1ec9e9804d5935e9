/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nftables sets and maps. Heads by libnftnl; elements straight by libmnl, since a
 * million of them as libnftnl objects would take half a gigabyte.
 */
#ifndef SALLYPORT_KERNEL_SETS_H
#define SALLYPORT_KERNEL_SETS_H

#include "netlink.h"
#include "sallyport/core/rule.h"

#define TABLE_NAME     "sallyport"
#define ANONYMOUS_NAME "__set%d"

/* Types as `nft list` knows them (nftables, include/datatype.h). */
enum set_type { SET_IPV4 = 7, SET_IPV6 = 8, SET_SERVICE = 13, SET_ICMP_TYPE = 14, SET_TCP_FLAG = 15 };

/* Ranges of `family` among `ranges` go into set `name`; ANONYMOUS_NAME: constant, for one rule. */
void put_addr_set(struct batch *batch, const char *name, uint32_t id, enum family family,
		  const struct addr_range *ranges, size_t count);
void put_port_set(struct batch *batch, uint32_t id, const struct port_range *ranges, size_t count);
void put_icmp_set(struct batch *batch, uint32_t id, const struct port_range *types, size_t count);
void put_flag_set(struct batch *batch, uint32_t id, const uint8_t *flags, size_t count);

/* An element of a map of ports to chains. */
struct port_target {
	struct port_range ports;
	char chain[24];
};
/* type inet_service : verdict, flags interval. Targets do not overlap. */
void put_port_map(struct batch *batch, const char *name, uint32_t id, const struct port_target *targets,
		  size_t count);

#endif
