/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that were opened unseen: whether the rules allow them, asked without the packet
 * that opened them.
 */
#ifndef SALLYPORT_DAEMON_ADOPT_H
#define SALLYPORT_DAEMON_ADOPT_H

#include "sallyport/daemon/daemon.h"

struct adoption {
	struct daemon *daemon;
	struct filter *filter;
	const struct policy *policy;
	struct ifaddrs *addresses; /* of this host; may be NULL */
	uint32_t now;
	size_t count; /* entered so far */
};
void adoption_begin(struct adoption *adoption, struct daemon *daemon);
void adoption_end(struct adoption *adoption);

/* Asks the rules, with every interface that its packets can have come through; fills rule,
 * generation and interface. */
bool adoption_allows(const struct adoption *adoption, struct keyed_connection *wanted);

/* What others behind this host have open, or this host under other ports than the wire shows: conntrack knows
 * it. */
void daemon_adopt_translated(struct daemon *daemon);
/* Enters the TCP connections that the host's sockets have open and the rules allow. Returns how many. */
size_t daemon_adopt_sockets(struct daemon *daemon);

#endif
