/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parser needs to put rules together and take them apart again.
 */
#ifndef SALLYPORT_CORE_BUILD_H
#define SALLYPORT_CORE_BUILD_H

#include "array.h"
#include "sallyport/core/rule.h"

void strings_free(char **strings, size_t count);
/* Frees what the rule owns and zeroes it. */
void rule_clear(struct rule *rule);
void set_free(struct set *set); /* NULL is fine */
void service_clear(struct service *service);

/* False: out of memory. */
bool port_list_add(struct port_list *list, struct port_range range);
/* A normalized list becomes all of 0..max that it did not hold (count 0: it held all). */
bool port_list_invert(struct port_list *list, uint16_t max);

/* Sorts by protocol and port and merges, in place. */
void match_list_normalize(struct match *matches, size_t *count);

#endif
