/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A long list of rules divided by the remote addresses they name: those with few ranges
 * hang in a segment tree over the address, the others stay in a plain list.
 */
#ifndef SALLYPORT_CORE_ADDR_SPLIT_H
#define SALLYPORT_CORE_ADDR_SPLIT_H

#include "sallyport/core/rule.h"
#include "span_tree.h"

/* The addresses of one family, cut into leaves. An address is its last `width` bytes. */
struct addr_tree {
	size_t width;
	uint8_t *bounds; /* the first address of each leaf, in a row; the lowest is 0 */
	size_t bound_count;
	struct tree tree;
};

struct split {
	struct candidates whole; /* the list that was divided; not owned */
	uint32_t *plain;         /* what has no place in a tree */
	size_t plain_count;
	struct addr_tree ipv4, ipv6;
};

/* NULL: out of memory. */
struct split *split_new(const struct ruleset *ruleset, struct candidates whole, bool any_protocol);
void split_free(struct split *split);

/* How many ranges the rule takes in such a tree; 0: it has no place there (it names no address,
 * or too many, or all but some). At most MAX_RANGES. */
enum { MAX_RANGES = 16 };
size_t remote_ranges(const struct rule *rule);
const struct addr_list *rule_remote(const struct rule *rule);

/* Nothing but the port and the remote address is left to ask; `any_protocol`: of a list that
 * did not look at protocol and port. */
bool rule_asks_no_more(const struct rule *rule, bool any_protocol);

static inline const struct addr_tree *split_tree(const struct split *split, const struct addr *addr) {
	return addr_family(addr) == FAMILY_IPV4 ? &split->ipv4 : &split->ipv6;
}

/* The leaf with the last bound that is not above `addr`. */
uint32_t addr_tree_leaf(const struct addr_tree *addresses, const struct addr *addr);

#endif
