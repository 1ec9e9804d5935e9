/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Both files have a line each: the number, and the port id of the socket that it is bound to.
 */
#include "owner.h"

#include <stdio.h>

static enum owner find_owner(const char *path, uint16_t number, uint32_t port) {
	FILE *file = fopen(path, "re");
	enum owner owner = OWNER_NOBODY;
	unsigned listed, bound;
	char line[256];

	if (!file)
		return OWNER_UNKNOWN;
	while (owner == OWNER_NOBODY && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %u", &listed, &bound) == 2 && listed == number)
			owner = bound == port ? OWNER_US : OWNER_ANOTHER;
	}
	fclose(file);
	return owner;
}

enum owner owner_of_queue(uint16_t number, uint32_t port) {
	return find_owner("/proc/net/netfilter/nfnetlink_queue", number, port);
}

enum owner owner_of_log_group(uint16_t number, uint32_t port) {
	return find_owner("/proc/net/netfilter/nfnetlink_log", number, port);
}
