/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Builds a segment tree in two passes, count and fill, so that all lists lie in one array.
 */
#include "span_tree.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

void *array_new(size_t count, size_t size) {
	return calloc(count ? count : 1, size);
}

bool spans_add(struct spans *spans, struct span span) {
	struct span *added = array_add(&spans->items, &spans->count, sizeof(*added));

	if (added)
		*added = span;
	return added != NULL;
}

void spans_clear(struct spans *spans) {
	free(spans->items);
	*spans = (struct spans){0};
}

/* The nodes that make up a span, at most two a level. */
static size_t span_nodes(const struct tree *tree, const struct span *span, uint32_t nodes[64]) {
	uint32_t left = tree->leaves + span->lo, right = tree->leaves + span->hi + 1;
	size_t count = 0;

	for (; left < right; left /= 2, right /= 2) {
		if (left & 1)
			nodes[count++] = left++;
		if (right & 1)
			nodes[count++] = --right;
	}
	return count;
}

/* What one pass over the spans keeps of each node. */
struct tally {
	uint32_t count;
	bool ended; /* by a final rule: what comes behind is never reached */
};

/* Lists each rule at its nodes; `rules` NULL: only counts. `tallies` are zero before. */
static void tree_spread(const struct tree *tree, const struct spans *spans, struct tally *tallies,
			uint32_t *rules) {
	uint32_t nodes[64];

	for (size_t i = 0; i < spans->count; i++) {
		const struct span *span = &spans->items[i];
		size_t count = span_nodes(tree, span, nodes);
		for (size_t n = 0; n < count; n++) {
			struct tally *tally = &tallies[nodes[n]];
			if (tally->ended)
				continue;
			if (rules)
				rules[tree->nodes[nodes[n]].start + tally->count] =
				    span->rule | (span->final ? RULE_CERTAIN : 0);
			tally->count++;
			tally->ended = span->final;
		}
	}
}

/* Counts, makes room, fills. */
static bool tree_fill(struct tree *tree, const struct spans *spans, struct tally *tallies, size_t nodes) {
	tree_spread(tree, spans, tallies, NULL);
	for (size_t node = 0; node < nodes; node++)
		tree->nodes[node + 1].start = tree->nodes[node].start + tallies[node].count;
	tree->rules = array_new(tree->nodes[nodes].start, sizeof(*tree->rules));
	if (!tree->rules)
		return false;
	memset(tallies, 0, nodes * sizeof(*tallies));
	tree_spread(tree, spans, tallies, tree->rules);
	return true;
}

/* The full range is then the root alone: what reaches the last leaf reaches into the padding. */
static void pad_spans(struct spans *spans, size_t points, uint32_t leaves) {
	for (size_t i = 0; i < spans->count; i++)
		if (spans->items[i].hi == points - 1)
			spans->items[i].hi = leaves - 1;
}

bool tree_build(struct tree *tree, struct spans *spans, size_t points) {
	tree->leaves = 1;
	while (tree->leaves < points)
		tree->leaves *= 2;
	pad_spans(spans, points, tree->leaves);

	size_t nodes = 2 * (size_t)tree->leaves;
	struct tally *tallies = array_new(nodes, sizeof(*tallies));
	tree->nodes = array_new(nodes + 1, sizeof(*tree->nodes));
	bool ok = tallies && tree->nodes && tree_fill(tree, spans, tallies, nodes);
	free(tallies);

	for (size_t node = 2; ok && node < nodes; node++) {
		uint32_t above = node / 2;
		bool lists = tree->nodes[above + 1].start > tree->nodes[above].start;
		tree->nodes[node].up = lists ? above : tree->nodes[above].up;
	}
	return ok;
}

void tree_free(struct tree *tree) {
	free(tree->nodes);
	free(tree->rules);
}
