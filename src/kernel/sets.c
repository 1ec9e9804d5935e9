/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sets as the kernel wants them: an interval of one field is two elements, its start and
 * the first value behind its end, flagged (net/netfilter/nft_set_rbtree.c).
 */
#include "sets.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

/* A netlink attribute is at most 64 KiB, so a list of elements is cut here. */
enum { ELEMENTS_MAX = 60000 };

static void elements_start(struct elements *elements) {
	uint16_t type = elements->type ? elements->type : NFT_MSG_NEWSETELEM;

	elements->message =
	    batch_message(elements->batch, type, NFPROTO_INET, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(elements->message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(elements->message, NFTA_SET_ELEM_LIST_SET, elements->set);
	if (elements->id != 0)
		mnl_attr_put_u32(elements->message, NFTA_SET_ELEM_LIST_SET_ID, htonl(elements->id));
	elements->list = mnl_attr_nest_start(elements->message, NFTA_SET_ELEM_LIST_ELEMENTS);
}

void elements_finish(struct elements *elements) {
	if (!elements->message)
		return;
	mnl_attr_nest_end(elements->message, elements->list);
	batch_commit(elements->batch, elements->message);
	elements->message = NULL;
}

static struct nlattr *element_start(struct elements *elements) {
	if (elements->message && elements->message->nlmsg_len > ELEMENTS_MAX)
		elements_finish(elements);
	if (!elements->message)
		elements_start(elements);
	return mnl_attr_nest_start(elements->message, NFTA_LIST_ELEM);
}

static void put_key(struct elements *elements, uint16_t type, const void *key, size_t length) {
	struct nlattr *nest = mnl_attr_nest_start(elements->message, type);

	mnl_attr_put(elements->message, NFTA_DATA_VALUE, length, key);
	mnl_attr_nest_end(elements->message, nest);
}

void put_element(struct elements *elements, const void *key, size_t length, uint32_t flags) {
	struct nlattr *element = element_start(elements);

	put_key(elements, NFTA_SET_ELEM_KEY, key, length);
	if (flags)
		mnl_attr_put_u32(elements->message, NFTA_SET_ELEM_FLAGS, htonl(flags));
	mnl_attr_nest_end(elements->message, element);
}

/* Adds one to a big-endian number; false: it wrapped to zero. */
static bool increment(uint8_t *bytes, size_t length) {
	while (length-- > 0)
		if (++bytes[length] != 0)
			return true;
	return false;
}

static void put_interval(struct elements *elements, const uint8_t *lo, const uint8_t *hi, size_t length) {
	uint8_t behind[16];

	put_element(elements, lo, length, 0);
	memcpy(behind, hi, length);
	if (increment(behind, length))
		put_element(elements, behind, length, NFT_SET_ELEM_INTERVAL_END);
}

static struct nftnl_set *new_set(const char *name, uint32_t id, uint32_t type, uint32_t key_length,
				 uint32_t flags) {
	struct nftnl_set *set = nftnl_set_alloc();

	if (!set)
		abort();
	nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME);
	nftnl_set_set_str(set, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, key_length);
	if (strcmp(name, ANONYMOUS_NAME) == 0)
		flags |= NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
	return set;
}

static void put_set(struct batch *batch, struct nftnl_set *set) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE);

	nftnl_set_nlmsg_build_payload(message, set);
	batch_commit(batch, message);
	nftnl_set_free(set);
}

static void put_ranges(struct elements *elements, enum family family, const struct addr_range *ranges,
		       size_t count) {
	size_t length = family == FAMILY_IPV4 ? 4 : 16;

	for (size_t i = 0; i < count; i++)
		if (addr_family(&ranges[i].lo) == family)
			put_interval(elements, ranges[i].lo.bytes + 16 - length,
				     ranges[i].hi.bytes + 16 - length, length);
	elements_finish(elements);
}

void put_addr_elements(struct batch *batch, const char *name, enum family family,
		       const struct addr_range *ranges, size_t count) {
	struct elements elements = {.batch = batch, .set = name};

	put_ranges(&elements, family, ranges, count);
}

void put_addr_set(struct batch *batch, const char *name, uint32_t id, enum family family,
		  const struct addr_range *ranges, size_t count) {
	bool four = family == FAMILY_IPV4;
	struct elements elements = {.batch = batch, .set = name, .id = id};

	put_set(batch, new_set(name, id, four ? SET_IPV4 : SET_IPV6, four ? 4 : 16, NFT_SET_INTERVAL));
	put_ranges(&elements, family, ranges, count);
}

void put_port_set(struct batch *batch, uint32_t id, const struct port_range *ranges, size_t count) {
	struct elements elements = {.batch = batch, .set = ANONYMOUS_NAME, .id = id};

	put_set(batch, new_set(ANONYMOUS_NAME, id, SET_SERVICE, 2, NFT_SET_INTERVAL));
	for (size_t i = 0; i < count; i++) {
		uint16_t lo = htons(ranges[i].lo), hi = htons(ranges[i].hi);

		put_interval(&elements, (uint8_t *)&lo, (uint8_t *)&hi, sizeof(lo));
	}
	elements_finish(&elements);
}

void put_icmp_set(struct batch *batch, uint32_t id, const struct port_range *types, size_t count) {
	struct elements elements = {.batch = batch, .set = ANONYMOUS_NAME, .id = id};

	put_set(batch, new_set(ANONYMOUS_NAME, id, SET_ICMP_TYPE, 1, NFT_SET_INTERVAL));
	for (size_t i = 0; i < count; i++) {
		uint8_t lo = (uint8_t)types[i].lo, hi = (uint8_t)types[i].hi;

		put_interval(&elements, &lo, &hi, 1);
	}
	elements_finish(&elements);
}

/* Types of a concatenation stand in six bits each (nftables, include/datatype.h, TYPE_BITS). */
static uint32_t tuple_type(enum set_type addr) {
	const uint32_t types[] = {addr, SET_SERVICE, addr, SET_SERVICE, SET_PROTOCOL};
	uint32_t type = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		type = type << 6 | types[i];
	return type;
}

void put_tuple_set(struct batch *batch, const char *name, uint32_t id, enum family family, uint32_t size,
		   uint32_t timeout_ms, uint32_t collect_ms) {
	bool four = family == FAMILY_IPV4;
	struct nftnl_set *set = new_set(name, id, tuple_type(four ? SET_IPV4 : SET_IPV6),
					four ? TUPLE_IPV4 : TUPLE_IPV6, NFT_SET_TIMEOUT | NFT_SET_EVAL);

	nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, size);
	nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, timeout_ms);
	nftnl_set_set_u32(set, NFTNL_SET_GC_INTERVAL, collect_ms);
	put_set(batch, set);
}

void put_set_flush(struct batch *batch, const char *name) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_DELSETELEM, NFPROTO_INET, 0);

	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, name);
	batch_commit(batch, message);
}

void put_set_deletion(struct batch *batch, const char *name) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_DELSET, NFPROTO_INET, 0);

	mnl_attr_put_strz(message, NFTA_SET_TABLE, TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_NAME, name);
	batch_commit(batch, message);
}

void put_passing_port_set(struct batch *batch, const char *name, uint32_t id, uint32_t timeout_ms) {
	struct nftnl_set *set =
	    new_set(name, id, SET_SERVICE, sizeof(uint16_t), NFT_SET_TIMEOUT | NFT_SET_EVAL);

	nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, PORTS);
	nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, timeout_ms);
	put_set(batch, set);
}

void put_single_ports_set(struct batch *batch, const char *name, uint32_t id) {
	put_set(batch, new_set(name, id, SET_SERVICE, sizeof(uint16_t), 0));
}

void put_port_changes(struct batch *batch, const char *set, uint16_t type, const bool *ports) {
	struct elements elements = {.batch = batch, .set = set, .type = type};

	for (uint32_t port = 0; port < PORTS; port++) {
		uint16_t wire = htons((uint16_t)port);

		if (ports[port])
			put_element(&elements, &wire, sizeof(wire), 0);
	}
	elements_finish(&elements);
}

void put_port_removal(struct batch *batch, const char *set, const bool *ports, bool destroy) {
	if (!destroy)
		put_port_changes(batch, set, NFT_MSG_NEWSETELEM, ports);
	put_port_changes(batch, set, destroy ? DESTROY_ELEMENTS : NFT_MSG_DELSETELEM, ports);
}

/* chain NULL: drop. */
static void put_verdict(struct nlmsghdr *message, const char *chain) {
	struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);

	if (!chain) {
		mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(NF_DROP));
	} else {
		mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_GOTO));
		mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, chain);
	}
	mnl_attr_nest_end(message, verdict);
	mnl_attr_nest_end(message, data);
}

void put_kind_map(struct batch *batch, const char *name, uint32_t id, const struct kind_target *targets,
		  size_t count) {
	struct nftnl_set *set = new_set(name, id, SET_TCP_FLAG, 1, NFT_SET_MAP);
	struct elements elements = {.batch = batch, .set = name, .id = id};

	nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
	nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, (uint32_t)count);
	put_set(batch, set);
	for (size_t i = 0; i < count; i++) {
		struct nlattr *element = element_start(&elements);

		put_key(&elements, NFTA_SET_ELEM_KEY, &targets[i].kind, 1);
		put_verdict(elements.message, targets[i].chain);
		mnl_attr_nest_end(elements.message, element);
	}
	elements_finish(&elements);
}

static const char *settling_chain(enum settlement settlement) {
	static const char *const chains[] = {[SETTLE_ASK] = CHAIN_ASK,
					     [SETTLE_DROP] = NULL,
					     [SETTLE_REJECT] = CHAIN_REJECT,
					     [SETTLE_OPEN] = CHAIN_OPEN,
					     [SETTLE_STATIC] = CHAIN_OPEN_STATIC};

	return chains[settlement];
}

static void put_comment(struct nlmsghdr *message, const struct port_target *target) {
	char text[PLACE_COMMENT];
	uint8_t userdata[2 + PLACE_COMMENT] = {NFTNL_UDATA_SET_ELEM_COMMENT};
	size_t size;

	if (!target->place && !target->comment)
		return;
	if (target->place)
		place_text(target->place, text);
	else
		snprintf(text, sizeof(text), "%s", target->comment);
	size = strlen(text) + 1;
	userdata[1] = (uint8_t)size;
	memcpy(userdata + 2, text, size);
	mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, 2 + size, userdata);
}

static void put_port_target(struct elements *elements, bool map, const struct port_target *target) {
	uint16_t lo = htons(target->ports.lo), behind = htons((uint16_t)(target->ports.hi + 1));
	struct nlattr *element = element_start(elements);

	put_key(elements, NFTA_SET_ELEM_KEY, &lo, sizeof(lo));
	if (map)
		put_verdict(elements->message, settling_chain(target->settlement));
	put_comment(elements->message, target);
	mnl_attr_nest_end(elements->message, element);
	if (behind != 0)
		put_element(elements, &behind, sizeof(behind), NFT_SET_ELEM_INTERVAL_END);
}

void put_ports_set(struct batch *batch, const char *name, uint32_t id, bool map) {
	struct nftnl_set *set =
	    new_set(name, id, SET_SERVICE, sizeof(uint16_t), NFT_SET_INTERVAL | (map ? NFT_SET_MAP : 0));
	struct nftnl_expr *counter = nftnl_expr_alloc("counter");

	if (!counter)
		abort();
	nftnl_set_add_expr(set, counter);
	if (map)
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
	put_set(batch, set);
}

void put_port_targets(struct batch *batch, const char *name, bool map, const struct port_target *targets,
		      size_t count) {
	struct elements elements = {.batch = batch, .set = name};

	for (size_t i = 0; i < count; i++)
		put_port_target(&elements, map, &targets[i]);
	elements_finish(&elements);
}

struct reading {
	void (*see)(const struct nlattr *element, void *context);
	void *context;
};

static int read_message(const struct nlmsghdr *message, void *context) {
	const struct reading *reading = context;
	const struct nlattr *attribute, *element;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(element, attribute) {
			reading->see(element, reading->context);
		}
	}
	return MNL_CB_OK;
}

bool read_elements(struct mnl_socket *socket, const char *set,
		   void (*see)(const struct nlattr *element, void *context), void *context,
		   struct error *err) {
	struct reading reading = {see, context};
	char buffer[1024];
	struct nlmsghdr *request =
	    nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 1);

	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set);
	return nft_dump(socket, request, read_message, &reading, err);
}
