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
#define LEASE_SET_IPV4 "lease4"
#define LEASE_SET_IPV6 "lease6"
/* By who opened: see fast_path.c. */
#define HALF_IN_IPV4  "half_in4"
#define HALF_IN_IPV6  "half_in6"
#define HALF_OUT_IPV4 "half_out4"
#define HALF_OUT_IPV6 "half_out6"
/* Of this host's own SYNs, those that open no handshake there, as of `strict` rules. */
#define ASKED_OUT_IPV4 "asked_out4"
#define ASKED_OUT_IPV6 "asked_out6"
/* See busy.c. */
#define BUSY_SET     "busy"
#define UNSEEN_SET   "unseen"
#define ADMITTED_SET "admitted_ports"
#define CUT_SET_IPV4 "cut4"
#define CUT_SET_IPV6 "cut6"
#define CUT_PORTS    "cut_ports" /* this host's of all in those two */
/* See ports.c. */
#define NAMED_PORTS "named_ports"

/* Types as `nft list` knows them (nftables, include/datatype.h). */
enum set_type {
	SET_IPV4 = 7,
	SET_IPV6 = 8,
	SET_SERVICE = 13,
	SET_ICMP_TYPE = 14,
	SET_TCP_FLAG = 15,
	SET_PROTOCOL = 12
};

/* NFT_MSG_DESTROYSETELEM of linux/netfilter/nf_tables.h, since Linux 6.3 */
enum { DESTROY_ELEMENTS = 30 };

/* A list of elements that grows; it becomes as many messages as it takes. */
struct elements {
	struct batch *batch;
	const char *set;
	uint32_t id;   /* of a set made in this batch; 0: by name */
	uint16_t type; /* of the messages; 0: NFT_MSG_NEWSETELEM */
	/* private */
	struct nlmsghdr *message;
	struct nlattr *list;
};
void put_element(struct elements *elements, const void *key, size_t length, uint32_t flags);
/* Nothing where nothing was put. */
void elements_finish(struct elements *elements);

/* Ranges of `family` among `ranges` go into set `name`; ANONYMOUS_NAME: constant, for one rule. */
void put_addr_set(struct batch *batch, const char *name, uint32_t id, enum family family,
		  const struct addr_range *ranges, size_t count);
/* Elements alone, into a set that stands. */
void put_addr_elements(struct batch *batch, const char *name, enum family family,
		       const struct addr_range *ranges, size_t count);
void put_port_set(struct batch *batch, uint32_t id, const struct port_range *ranges, size_t count);
void put_icmp_set(struct batch *batch, uint32_t id, const struct port_range *types, size_t count);

/* Which chain segments go to, by their flags among those of TCP_KIND. */
struct kind_target {
	uint8_t kind;
	const char *chain;
};
void put_kind_map(struct batch *batch, const char *name, uint32_t id, const struct kind_target *targets,
		  size_t count);

/* Bytes of a tuple: every field fills whole 32-bit registers. */
enum { TUPLE_IPV4 = 20, TUPLE_IPV6 = 44 };
/* A set of connections (the tuple of expr.h), filled by packets: elements run out after
 * `timeout_ms` and are collected every `collect_ms`; at most `size` of them. */
void put_tuple_set(struct batch *batch, const char *name, uint32_t id, enum family family, uint32_t size,
		   uint32_t timeout_ms, uint32_t collect_ms);

/* A set of ports, filled by packets: elements run out after `timeout_ms`. */
void put_passing_port_set(struct batch *batch, const char *name, uint32_t id, uint32_t timeout_ms);
/* One of ports that stay, each an element: the kernel makes it a bitmap (net/netfilter/nft_set_bitmap.c). */
void put_single_ports_set(struct batch *batch, const char *name, uint32_t id);
/* Of these of PORTS in a set of either kind: `type` NFT_MSG_NEWSETELEM or one that deletes; and out of it,
 * there or not (`destroy`: the kernel has DESTROY_ELEMENTS). */
void put_port_changes(struct batch *batch, const char *set, uint16_t type, const bool *ports);
void put_port_removal(struct batch *batch, const char *set, const bool *ports, bool destroy);

/* Takes all elements out; the set stays. What follows in the transaction fills it again, and a
 * look-up sees the old elements or the new, never none. */
void put_set_flush(struct batch *batch, const char *name);
void put_set_deletion(struct batch *batch, const char *name);

/* Calls `see` for every element of a set or map of ours. */
bool read_elements(struct mnl_socket *socket, const char *set,
		   void (*see)(const struct nlattr *element, void *context), void *context,
		   struct error *err);

/* What becomes of new connections to a range of ports. */
enum settlement {
	SETTLE_ASK,
	SETTLE_DROP,
	SETTLE_REJECT,
	SETTLE_OPEN,  /* asks, or, while the port is busy, admits */
	SETTLE_STATIC /* asks, or, while the port is busy, goes by the static rules */
};
struct port_target {
	struct port_range ports;
	enum settlement settlement;
	const struct place *place; /* for the element's comment; NULL: `comment` instead */
	const char *comment;       /* or NULL */
	uint32_t owner;            /* whom the element counts for; see struct inventory */
};
/* Of inet_service, flags interval, a counter an element; `map`: to verdicts. */
void put_ports_set(struct batch *batch, const char *name, uint32_t id, bool map);
/* Targets do not overlap. */
void put_port_targets(struct batch *batch, const char *name, bool map, const struct port_target *targets,
		      size_t count);

#endif
