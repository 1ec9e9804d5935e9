/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of services by port, for people. Read once from the system's database; a
 * rules file's own `service` lines come first.
 */
#ifndef SALLYPORT_DAEMON_SERVICES_H
#define SALLYPORT_DAEMON_SERVICES_H

#include "sallyport/core/rule.h"

struct services;

/* NULL: out of memory. */
struct services *services_load(void);
void services_free(struct services *services);
/* NULL: the port has no name, or the protocol no ports. */
const char *services_name(const struct services *services, const struct ruleset *ruleset, uint8_t protocol,
			  uint16_t port);

#endif
