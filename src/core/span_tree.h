/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A segment tree over leaves 0, 1, ...: rules are put in by spans of leaves, and the rules
 * of one leaf are found at the few nodes between it and the root. Built once, then read by
 * any thread. Owner: whoever built it, tree_free.
 */
#ifndef SALLYPORT_CORE_SPAN_TREE_H
#define SALLYPORT_CORE_SPAN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One rule over an interval of leaves. `final`: nothing else is asked of a question that falls
 * into it, so no later rule is ever reached there. */
struct span {
	uint32_t lo, hi;
	uint32_t rule;
	bool final;
};

struct spans {
	struct span *items;
	size_t count;
};

bool spans_add(struct spans *spans, struct span span);
void spans_clear(struct spans *spans);

/* Rules by their place in ruleset->rules, ascending. */
struct candidates {
	const uint32_t *rules; /* with RULE_CERTAIN */
	size_t count;
};

/* Beside a rule's number: it matches every question that led to this list. */
#define RULE_CERTAIN (UINT32_C(1) << 31)

/* Its rules start at `start` and end where the next node's start. */
struct node {
	uint32_t start;
	uint32_t up; /* the nearest node above that lists rules; 0: none */
};

/* Node 1 is the root, 2n and 2n + 1 are below n, leaf i is node leaves + i. A span's rule is
 * listed at the fewest nodes that make it up. */
struct tree {
	uint32_t leaves; /* a power of two */
	struct node *nodes;
	uint32_t *rules;
};

/* `spans` over leaves below `points`, in the order of the rules; their ends are changed. False:
 * out of memory, and the caller still frees what is there. */
bool tree_build(struct tree *tree, struct spans *spans, size_t points);
void tree_free(struct tree *tree);

static inline struct candidates tree_list(const struct tree *tree, uint32_t node) {
	const struct node *at = &tree->nodes[node];

	return (struct candidates){tree->rules + at[0].start, at[1].start - at[0].start};
}

/* The nodes that list rules, from a leaf to the root; 0: no more. */
static inline uint32_t tree_first(const struct tree *tree, uint32_t leaf) {
	const struct node *at = &tree->nodes[tree->leaves + leaf];

	return at[1].start > at[0].start ? tree->leaves + leaf : at->up;
}

static inline uint32_t tree_next(const struct tree *tree, uint32_t node) {
	return tree->nodes[node].up;
}

/* Zeroed, and never NULL for a count of 0. */
void *array_new(size_t count, size_t size);

#endif
