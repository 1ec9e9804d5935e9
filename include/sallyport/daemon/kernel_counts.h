/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel counted for us: rules and defaults that it settles itself, packets
 * that the guard judged.
 */
#ifndef SALLYPORT_DAEMON_KERNEL_COUNTS_H
#define SALLYPORT_DAEMON_KERNEL_COUNTS_H

#include "sallyport/kernel/install.h"

struct kernel_counts {
	struct kernel_counter *items;
	size_t count;
};

/* `rules`: of the ruleset that is installed. Owner: kernel_counts_free. */
bool kernel_counts_read(struct install *install, size_t rules, struct kernel_counts *counts,
			struct error *err);
void kernel_counts_free(struct kernel_counts *counts);

/* 0 where there is no such counter. */
uint64_t kernel_counts_packets(const struct kernel_counts *counts, const char *name);
/* All that the guard judged, either way. */
uint64_t kernel_counts_guard(const struct kernel_counts *counts);
/* "rule_12" -> 12 */
bool kernel_counter_rule(const struct kernel_counter *counter, size_t *index);
/* Packets by index of the rule, `rules` entries, malloc'ed. NULL: out of memory. */
uint64_t *kernel_counts_by_rule(const struct kernel_counts *counts, size_t rules);

#endif
