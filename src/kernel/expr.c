/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * nftables expressions by libnftnl. Every length given to its setters is a constant or
 * bounded here: 1.2.4 copies without looking.
 */
#include "expr.h"

#include <arpa/inet.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	COMMENT_MAX = NFTNL_UDATA_COMMENT_MAXLEN,
	TCP_FLAGS_OFFSET = 13,
	IPV4_SOURCE = 12,
	IPV4_DESTINATION = 16,
	IPV6_SOURCE = 8,
	IPV6_DESTINATION = 24,
};

static struct nftnl_expr *append(struct nftnl_rule *rule, const char *name) {
	struct nftnl_expr *expr = nftnl_expr_alloc(name);

	if (!expr)
		abort(); /* libnftnl knows the name; so this is a few bytes of memory missing */
	nftnl_rule_add_expr(rule, expr);
	return expr;
}

static void load_meta_to(struct nftnl_rule *rule, uint32_t key, uint32_t reg) {
	struct nftnl_expr *expr = append(rule, "meta");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, reg);
}

static void load_meta(struct nftnl_rule *rule, uint32_t key) {
	load_meta_to(rule, key, NFT_REG_1);
}

static void load_payload_to(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t length,
			    uint32_t reg) {
	struct nftnl_expr *expr = append(rule, "payload");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, length);
}

static void load_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t length) {
	load_payload_to(rule, base, offset, length, NFT_REG_1);
}

static void compare(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t length) {
	struct nftnl_expr *expr = append(rule, "cmp");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, length);
}

static void compare_range(struct nftnl_rule *rule, const void *lo, const void *hi, uint32_t length) {
	if (memcmp(lo, hi, length) == 0) {
		compare(rule, NFT_CMP_EQ, lo, length);
		return;
	}
	compare(rule, NFT_CMP_GTE, lo, length);
	compare(rule, NFT_CMP_LTE, hi, length);
}

static void bitwise(struct nftnl_rule *rule, const void *mask, const void * xor, uint32_t length) {
	struct nftnl_expr *expr = append(rule, "bitwise");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, mask, length);
	nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, xor, length);
}

static struct nftnl_expr *lookup(struct nftnl_rule *rule, const char *set, uint32_t set_id, bool equal) {
	struct nftnl_expr *expr = append(rule, "lookup");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, set);
	if (set_id != 0)
		nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SET_ID, set_id);
	if (!equal)
		nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	return expr;
}

void expr_protocol(struct nftnl_rule *rule, uint8_t protocol) {
	load_meta(rule, NFT_META_L4PROTO);
	compare(rule, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

void expr_protocol_not(struct nftnl_rule *rule, uint8_t protocol) {
	load_meta(rule, NFT_META_L4PROTO);
	compare(rule, NFT_CMP_NEQ, &protocol, sizeof(protocol));
}

void expr_family(struct nftnl_rule *rule, enum family family) {
	uint8_t nfproto = family == FAMILY_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	load_meta(rule, NFT_META_NFPROTO);
	compare(rule, NFT_CMP_EQ, &nfproto, sizeof(nfproto));
}

/* lo has index 1 in every network namespace (include/net/flow.h, LOOPBACK_IFINDEX), and a number is
 * compared faster than a name. */
static void match_loopback(struct nftnl_rule *rule, enum direction direction, bool equal) {
	static const uint32_t loopback = 1;

	load_meta(rule, direction == DIRECTION_IN ? NFT_META_IIF : NFT_META_OIF);
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, &loopback, sizeof(loopback));
}

void expr_interface(struct nftnl_rule *rule, enum direction direction, bool equal, const char *name) {
	char padded[IFNAMSIZ] = {0};
	size_t length = strnlen(name, IFNAMSIZ - 1);
	uint32_t compared = IFNAMSIZ;

	if (strcmp(name, "lo") == 0) {
		match_loopback(rule, direction, equal);
		return;
	}
	memcpy(padded, name, length);
	if (length > 0 && padded[length - 1] == '*')
		compared = (uint32_t)length - 1;
	load_meta(rule, direction == DIRECTION_IN ? NFT_META_IIFNAME : NFT_META_OIFNAME);
	if (compared > 0)
		compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, padded, compared);
}

void expr_made_here(struct nftnl_rule *rule) {
	static const uint32_t none;

	load_meta(rule, NFT_META_IIF);
	compare(rule, NFT_CMP_EQ, &none, sizeof(none));
}

void expr_next_header(struct nftnl_rule *rule, bool equal, uint8_t header) {
	load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, offsetof(struct ip6_hdr, ip6_nxt), 1);
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, &header, 1);
}

static struct nftnl_expr *load_extension(struct nftnl_rule *rule, uint8_t header) {
	struct nftnl_expr *expr = append(rule, "exthdr");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
	nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, header);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, 0); /* its first byte: the next header */
	nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_LEN, 1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
	return expr;
}

void expr_behind_hop_by_hop_not(struct nftnl_rule *rule, uint8_t header) {
	load_extension(rule, IPPROTO_HOPOPTS);
	compare(rule, NFT_CMP_NEQ, &header, 1);
}

void expr_has_fragment_header(struct nftnl_rule *rule) {
	static const uint8_t there = 1;

	nftnl_expr_set_u32(load_extension(rule, IPPROTO_FRAGMENT), NFTNL_EXPR_EXTHDR_FLAGS,
			   NFT_EXTHDR_F_PRESENT);
	compare(rule, NFT_CMP_EQ, &there, 1);
}

static void load_port(struct nftnl_rule *rule, enum end end) {
	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, end == END_SOURCE ? 0 : 2, 2);
}

void expr_port(struct nftnl_rule *rule, enum end end, struct port_range range) {
	uint16_t lo = htons(range.lo), hi = htons(range.hi);

	load_port(rule, end);
	compare_range(rule, &lo, &hi, sizeof(lo));
}

void expr_port_in(struct nftnl_rule *rule, enum end end, const char *set, uint32_t set_id) {
	load_port(rule, end);
	lookup(rule, set, set_id, true);
}

void expr_port_not_in(struct nftnl_rule *rule, enum end end, const char *set, uint32_t set_id) {
	load_port(rule, end);
	lookup(rule, set, set_id, false);
}

static uint32_t load_addr_to(struct nftnl_rule *rule, enum family family, enum end end, uint32_t reg) {
	uint32_t length = family == FAMILY_IPV4 ? 4 : 16;
	uint32_t offset = family == FAMILY_IPV4 ? (end == END_SOURCE ? IPV4_SOURCE : IPV4_DESTINATION)
						: (end == END_SOURCE ? IPV6_SOURCE : IPV6_DESTINATION);

	load_payload_to(rule, NFT_PAYLOAD_NETWORK_HEADER, offset, length, reg);
	return length;
}

static uint32_t load_addr(struct nftnl_rule *rule, enum family family, enum end end) {
	return load_addr_to(rule, family, end, NFT_REG_1);
}

/* Where the range is a prefix: its mask. */
static bool prefix_mask(const uint8_t *lo, const uint8_t *hi, uint32_t length, uint8_t mask[16]) {
	bool ended = false;

	for (uint32_t bit = 0; bit < length * 8; bit++) {
		uint8_t probe = (uint8_t)(0x80 >> (bit % 8));
		bool low = lo[bit / 8] & probe, high = hi[bit / 8] & probe;

		if (bit % 8 == 0)
			mask[bit / 8] = 0;
		ended = ended || low != high;
		if (!ended)
			mask[bit / 8] |= probe;
		else if (low || !high)
			return false;
	}
	return true;
}

void expr_addr(struct nftnl_rule *rule, enum end end, const struct addr_range *range) {
	static const uint8_t zero[16];
	uint32_t length = load_addr(rule, addr_family(&range->lo), end);
	const uint8_t *lo = range->lo.bytes + 16 - length, *hi = range->hi.bytes + 16 - length;
	uint8_t mask[16];

	if (memcmp(lo, hi, length) != 0 && prefix_mask(lo, hi, length, mask)) {
		bitwise(rule, mask, zero, length);
		compare(rule, NFT_CMP_EQ, lo, length);
		return;
	}
	compare_range(rule, lo, hi, length);
}

void expr_addr_in(struct nftnl_rule *rule, enum family family, enum end end, bool equal, const char *set,
		  uint32_t set_id) {
	load_addr(rule, family, end);
	lookup(rule, set, set_id, equal);
}

void expr_icmp_type(struct nftnl_rule *rule, struct port_range types) {
	uint8_t lo = (uint8_t)types.lo, hi = (uint8_t)types.hi;

	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	compare_range(rule, &lo, &hi, 1);
}

void expr_icmp_type_in(struct nftnl_rule *rule, const char *set, uint32_t set_id) {
	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	lookup(rule, set, set_id, true);
}

/* As four bytes, the data offset and the window with them: those the kernel masks without a call
 * (nf_tables_core.c, nft_bitwise_fast_eval). */
void expr_tcp_kind(struct nftnl_rule *rule, bool equal, uint8_t flags) {
	static const uint8_t mask[4] = {0, TCP_KIND}, zero[4];
	const uint8_t wanted[4] = {0, flags};

	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET - 1, sizeof(wanted));
	bitwise(rule, mask, zero, sizeof(mask));
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, wanted, sizeof(wanted));
}

void expr_tcp_has(struct nftnl_rule *rule, uint8_t flags) {
	static const uint8_t zero;

	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, 1);
	bitwise(rule, &flags, &zero, 1);
	compare(rule, NFT_CMP_NEQ, &zero, 1);
}

static void lookup_verdict(struct nftnl_rule *rule, const char *map) {
	nftnl_expr_set_u32(lookup(rule, map, 0, true), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void expr_tcp_kind_map(struct nftnl_rule *rule, const char *map) {
	static const uint8_t kind = TCP_KIND, zero;

	load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, 1);
	bitwise(rule, &kind, &zero, 1);
	lookup_verdict(rule, map);
}

void expr_port_map(struct nftnl_rule *rule, const char *map) {
	load_port(rule, END_DESTINATION);
	lookup_verdict(rule, map);
}

/* Each field of a concatenation starts a 32-bit register of its own. */
static uint32_t load_end(struct nftnl_rule *rule, enum family family, enum end end, uint32_t reg) {
	reg += load_addr_to(rule, family, end, reg) / NFT_REG32_SIZE;
	load_payload_to(rule, NFT_PAYLOAD_TRANSPORT_HEADER, end == END_SOURCE ? 0 : 2, 2, reg);
	return reg + 1;
}

static void load_tuple(struct nftnl_rule *rule, enum family family, enum end local) {
	enum end remote = local == END_SOURCE ? END_DESTINATION : END_SOURCE;
	uint32_t reg = load_end(rule, family, local, NFT_REG32_00);

	reg = load_end(rule, family, remote, reg);
	load_meta_to(rule, NFT_META_L4PROTO, reg);
}

void expr_tuple_in(struct nftnl_rule *rule, enum family family, enum end local, const char *set) {
	load_tuple(rule, family, local);
	lookup(rule, set, 0, true);
}

static void change_set(struct nftnl_rule *rule, enum set_change change, const char *set,
		       uint32_t timeout_ms) {
	static const uint32_t operations[] = {
	    [SET_ADD] = NFT_DYNSET_OP_ADD,
	    [SET_UPDATE] = NFT_DYNSET_OP_UPDATE,
	    [SET_DELETE] = NFT_DYNSET_OP_DELETE,
	};
	struct nftnl_expr *expr = append(rule, "dynset");

	nftnl_expr_set_str(expr, NFTNL_EXPR_DYNSET_SET_NAME, set);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_OP, operations[change]);
	if (timeout_ms)
		nftnl_expr_set_u64(expr, NFTNL_EXPR_DYNSET_TIMEOUT, timeout_ms);
}

void expr_tuple_change(struct nftnl_rule *rule, enum family family, enum end local, enum set_change change,
		       const char *set, uint32_t timeout_ms) {
	load_tuple(rule, family, local);
	change_set(rule, change, set, timeout_ms);
}

void expr_port_change(struct nftnl_rule *rule, enum end end, enum set_change change, const char *set) {
	load_port(rule, end);
	change_set(rule, change, set, 0);
}

void expr_rate_over(struct nftnl_rule *rule, uint32_t rate, uint32_t burst) {
	struct nftnl_expr *expr = append(rule, "limit");

	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, rate);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1); /* second */
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
}

void expr_copy(struct nftnl_rule *rule, uint16_t group, uint32_t length, uint16_t gather) {
	struct nftnl_expr *expr = append(rule, "log");

	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, length);
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_QTHRESHOLD, gather);
}

void expr_fib_type(struct nftnl_rule *rule, enum end end, bool equal, uint32_t type) {
	struct nftnl_expr *expr = append(rule, "fib");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS,
			   end == END_SOURCE ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, &type, sizeof(type));
}

void expr_mark(struct nftnl_rule *rule, uint32_t mask, bool equal, uint32_t value) {
	static const uint32_t zero;

	load_meta(rule, NFT_META_MARK);
	bitwise(rule, &mask, &zero, sizeof(mask));
	compare(rule, equal ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, sizeof(value));
}

void expr_mark_change(struct nftnl_rule *rule, uint32_t clear, uint32_t set) {
	uint32_t keep = ~(clear | set);
	struct nftnl_expr *expr;

	load_meta(rule, NFT_META_MARK);
	bitwise(rule, &keep, &set, sizeof(keep));
	expr = append(rule, "meta");
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void expr_counter(struct nftnl_rule *rule, const char *name) {
	struct nftnl_expr *expr = append(rule, "objref");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	nftnl_expr_set_str(expr, NFTNL_EXPR_OBJREF_IMM_NAME, name);
}

void expr_verdict(struct nftnl_rule *rule, int verdict) {
	struct nftnl_expr *expr = append(rule, "immediate");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
}

static void go(struct nftnl_rule *rule, int verdict, const char *chain) {
	struct nftnl_expr *expr = append(rule, "immediate");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
}

void expr_goto(struct nftnl_rule *rule, const char *chain) {
	go(rule, NFT_GOTO, chain);
}

void expr_jump(struct nftnl_rule *rule, const char *chain) {
	go(rule, NFT_JUMP, chain);
}

void expr_tproxy(struct nftnl_rule *rule) {
	uint16_t port = htons(1);
	struct nftnl_expr *expr = append(rule, "immediate");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(expr, NFTNL_EXPR_IMM_DATA, &port, sizeof(port));
	expr = append(rule, "tproxy");
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_FAMILY, NFPROTO_UNSPEC);
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_1);
}

static void reject(struct nftnl_rule *rule, uint32_t type, uint8_t code) {
	struct nftnl_expr *expr = append(rule, "reject");

	nftnl_expr_set_u32(expr, NFTNL_EXPR_REJECT_TYPE, type);
	nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, code);
}

void expr_reject_tcp_reset(struct nftnl_rule *rule) {
	reject(rule, NFT_REJECT_TCP_RST, 0);
}

void expr_reject_port_unreachable(struct nftnl_rule *rule) {
	reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
}

void expr_queue(struct nftnl_rule *rule, uint16_t first, uint16_t last) {
	struct nftnl_expr *expr = append(rule, "queue");

	nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_NUM, first);
	nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_TOTAL, (uint16_t)(last - first + 1));
	nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
}

void expr_queue_xtables(struct nftnl_rule *rule, uint16_t first, uint16_t last) {
	/* Sizes of target data are rounded up to 8 (XT_ALIGN); libnftnl frees the buffer. */
	enum { INFO_SIZE = (sizeof(struct xt_NFQ_info_v3) + 7) & ~7 };
	struct nftnl_expr *expr = append(rule, "target");
	struct xt_NFQ_info_v3 *info = calloc(1, INFO_SIZE);

	if (!info)
		abort();
	info->queuenum = first;
	info->queues_total = (uint16_t)(last - first + 1);
	info->flags = NFQ_FLAG_BYPASS;
	nftnl_expr_set_str(expr, NFTNL_EXPR_TG_NAME, "NFQUEUE");
	nftnl_expr_set_u32(expr, NFTNL_EXPR_TG_REV, 3);
	nftnl_expr_set_data(expr, NFTNL_EXPR_TG_INFO, info, INFO_SIZE);
} /* NOLINT(clang-analyzer-unix.Malloc): the expression owns info now */

void rule_comment(struct nftnl_rule *rule, const char *text) {
	struct nftnl_udata_buf *buffer = nftnl_udata_buf_alloc(COMMENT_MAX + 2);

	if (!buffer)
		abort();
	nftnl_udata_put_strz(buffer, NFTNL_UDATA_RULE_COMMENT, text);
	nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(buffer),
			    nftnl_udata_buf_len(buffer));
	nftnl_udata_buf_free(buffer);
}
