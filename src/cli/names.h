/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Few different strings, many times: each is stored once and known by a number.
 */
#ifndef SALLYPORT_CLI_NAMES_H
#define SALLYPORT_CLI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAMES_MAX = 32768 };

/* All zero: empty. */
struct names {
	char **items;
	size_t count;
	uint16_t slots[2 * NAMES_MAX]; /* number + 1, open addressing; 0: free */
};

/* False: out of memory, or more than NAMES_MAX different names. */
bool names_intern(struct names *names, const char *text, uint16_t *number);
void names_free(struct names *names);

#endif
