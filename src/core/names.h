/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tables of names, for those who look for the nearest one.
 */
#ifndef SALLYPORT_CORE_NAMES_H
#define SALLYPORT_CORE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

struct number_name {
	uint8_t number;
	const char *name; /* NULL ends a table */
};

const struct number_name *protocol_names(void);
const struct number_name *icmp_type_names(uint8_t protocol);

/* Decimal digits and nothing else, at most `max`. */
bool number_parse(const char *text, uint32_t max, uint32_t *number);

#endif
