/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel counted for us.
 */
#include "sallyport/daemon/kernel_counts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OTHER_COUNTERS = 64 };

bool kernel_counts_read(struct install *install, size_t rules, struct kernel_counts *counts,
			struct error *err) {
	size_t max = rules + OTHER_COUNTERS;
	struct kernel_counter *items = calloc(max, sizeof(*items));
	int count;

	if (!items)
		return error_set(err, "out of memory for the kernel's counters");
	count = install_counters(install, items, max, err);
	if (count < 0) {
		free(items);
		return false;
	}
	*counts = (struct kernel_counts){.items = items, .count = (size_t)count};
	return true;
}

void kernel_counts_free(struct kernel_counts *counts) {
	free(counts->items);
	*counts = (struct kernel_counts){0};
}

uint64_t kernel_counts_packets(const struct kernel_counts *counts, const char *name) {
	for (size_t i = 0; i < counts->count; i++) {
		if (strcmp(counts->items[i].name, name) == 0)
			return counts->items[i].packets;
	}
	return 0;
}

uint64_t kernel_counts_guard(const struct kernel_counts *counts) {
	static const char prefix[] = "guard_";
	uint64_t packets = 0;

	for (size_t i = 0; i < counts->count; i++) {
		if (strncmp(counts->items[i].name, prefix, sizeof(prefix) - 1) == 0)
			packets += counts->items[i].packets;
	}
	return packets;
}

bool kernel_counter_rule(const struct kernel_counter *counter, size_t *index) {
	static const char prefix[] = "rule_";
	const char *digits = counter->name + sizeof(prefix) - 1;
	char *end;
	size_t value;

	if (strncmp(counter->name, prefix, sizeof(prefix) - 1) != 0 || !isdigit((unsigned char)*digits))
		return false;
	value = strtoul(digits, &end, 10);
	if (*end != '\0')
		return false;
	*index = value;
	return true;
}

uint64_t *kernel_counts_by_rule(const struct kernel_counts *counts, size_t rules) {
	uint64_t *packets = calloc(rules + 1, sizeof(*packets));
	size_t index;

	for (size_t i = 0; packets && i < counts->count; i++) {
		if (kernel_counter_rule(&counts->items[i], &index) && index < rules)
			packets[index] += counts->items[i].packets;
	}
	return packets;
}
