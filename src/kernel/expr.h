/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nftables expressions, appended to a rule one by one. All work on register 1, those of a
 * tuple on the 32-bit registers from its first on. Names follow what `nft list
 * ruleset` prints.
 */
#ifndef SALLYPORT_KERNEL_EXPR_H
#define SALLYPORT_KERNEL_EXPR_H

#include <libnftnl/rule.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/core/addr.h"
#include "sallyport/core/packet.h"
#include "sallyport/core/rule.h"

/* The flags that say what a segment is for; a pure SYN has just SYN of these. */
enum { TCP_KIND = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK };

enum end { END_SOURCE, END_DESTINATION };

/* meta l4proto P */
void expr_protocol(struct nftnl_rule *rule, uint8_t protocol);
/* meta l4proto != P */
void expr_protocol_not(struct nftnl_rule *rule, uint8_t protocol);
/* ip|ip6: meta nfproto */
void expr_family(struct nftnl_rule *rule, enum family family);
/* iifname|oifname [!=] NAME, a trailing * as prefix */
void expr_interface(struct nftnl_rule *rule, enum direction direction, bool equal, const char *name);
/* iif 0: made by this host; postrouting shows where a forwarded packet came in (Linux 5.7) */
void expr_made_here(struct nftnl_rule *rule);
/* ip6 nexthdr [!=] H */
void expr_next_header(struct nftnl_rule *rule, bool equal, uint8_t header);
/* hbh nexthdr != H: behind hop-by-hop options, which come first */
void expr_behind_hop_by_hop_not(struct nftnl_rule *rule, uint8_t header);
/* exthdr frag exists */
void expr_has_fragment_header(struct nftnl_rule *rule);
/* th sport|dport LO-HI; the protocol was checked before */
void expr_port(struct nftnl_rule *rule, enum end end, struct port_range range);
/* Sets of set_id 0 are found by their name alone.
 * th sport|dport @set, ip saddr|daddr [!=] @set, icmp type @set */
void expr_port_in(struct nftnl_rule *rule, enum end end, const char *set, uint32_t set_id);
void expr_port_not_in(struct nftnl_rule *rule, enum end end, const char *set, uint32_t set_id);
void expr_addr(struct nftnl_rule *rule, enum end end, const struct addr_range *range);
void expr_addr_in(struct nftnl_rule *rule, enum family family, enum end end, bool equal, const char *set,
		  uint32_t set_id);
/* icmp type LO-HI */
void expr_icmp_type(struct nftnl_rule *rule, struct port_range types);
void expr_icmp_type_in(struct nftnl_rule *rule, const char *set, uint32_t set_id);
/* tcp flags & TCP_KIND == (or !=) flags */
void expr_tcp_kind(struct nftnl_rule *rule, bool equal, uint8_t flags);
/* tcp flags & flags != 0 */
void expr_tcp_has(struct nftnl_rule *rule, uint8_t flags);
/* tcp flags & TCP_KIND vmap @map; the protocol was checked before */
void expr_tcp_kind_map(struct nftnl_rule *rule, const char *map);
/* th dport vmap @map; the protocol was checked before */
void expr_port_map(struct nftnl_rule *rule, const char *map);
/* The key of a connection, as the sets of leases have it: local address . local port . remote
 * address . remote port . protocol; `local` says which end of this packet is this host's. The family was
 * checked before; a packet too short for ports ends the rule.
 * TUPLE @set */
void expr_tuple_in(struct nftnl_rule *rule, enum family family, enum end local, const char *set);
/* add|update|delete @set { TUPLE timeout MS }; timeout 0: the set's own. Where a set is full an addition
 * ends the rule there. */
enum set_change { SET_ADD, SET_UPDATE, SET_DELETE };
void expr_tuple_change(struct nftnl_rule *rule, enum family family, enum end local, enum set_change change,
		       const char *set, uint32_t timeout_ms);
/* add|update @set { th sport|dport }; the protocol was checked before. A full set ends the rule. */
void expr_port_change(struct nftnl_rule *rule, enum end end, enum set_change change, const char *set);
/* limit rate over RATE/second burst BURST packets; one bucket for all packets */
void expr_rate_over(struct nftnl_rule *rule, uint32_t rate, uint32_t burst);
/* log group GROUP snaplen LENGTH queue-threshold GATHER: a copy of the first LENGTH bytes, sent on when
 * GATHER have come together. */
void expr_copy(struct nftnl_rule *rule, uint16_t group, uint32_t length, uint16_t gather);
/* fib daddr|saddr type == (or !=) an RTN_ value */
void expr_fib_type(struct nftnl_rule *rule, enum end end, bool equal, uint32_t type);
/* meta mark & mask == (or !=) value */
void expr_mark(struct nftnl_rule *rule, uint32_t mask, bool equal, uint32_t value);
/* meta mark set meta mark & ~clear | set */
void expr_mark_change(struct nftnl_rule *rule, uint32_t clear, uint32_t set);
/* counter name "NAME" */
void expr_counter(struct nftnl_rule *rule, const char *name);
/* accept, drop: NF_ACCEPT, NF_DROP */
void expr_verdict(struct nftnl_rule *rule, int verdict);
void expr_goto(struct nftnl_rule *rule, const char *chain);
void expr_jump(struct nftnl_rule *rule, const char *chain);
/* tproxy to :1 */
void expr_tproxy(struct nftnl_rule *rule);
void expr_reject_tcp_reset(struct nftnl_rule *rule);
void expr_reject_port_unreachable(struct nftnl_rule *rule);
/* queue num FIRST-LAST bypass */
void expr_queue(struct nftnl_rule *rule, uint16_t first, uint16_t last);
/* The xtables target for the same. */
void expr_queue_xtables(struct nftnl_rule *rule, uint16_t first, uint16_t last);

/* comment "TEXT", at most 127 bytes. */
void rule_comment(struct nftnl_rule *rule, const char *text);

#endif
