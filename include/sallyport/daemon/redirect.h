/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that address translation leads to a socket of this host under another port or address
 * (REDIRECT, DNAT to here). What comes in is seen as the wire shows it; what the socket sends is translated
 * back behind our hook at output, so there it looks like a stranger. conntrack tells what the wire will show.
 */
#ifndef SALLYPORT_DAEMON_REDIRECT_H
#define SALLYPORT_DAEMON_REDIRECT_H

#include "sallyport/core/filter.h"

struct translations;

/* One owner thread each. */
struct redirects {
	struct translations *translations;
	_Atomic bool *seen; /* shared: any so far? Until then nobody but who refuses a packet asks */
};

/* Judges a packet that was refused at HOOK_OUT once more, under what the wire will show. Where it belongs to
 * a connection then, *decision is that one's. */
void redirect_judge(struct redirects *redirects, struct filter *filter, const struct policy *policy,
		    const struct packet *packet, const struct arrival *arrival, uint32_t now,
		    struct decision *decision);
/* As filter_see, for a copy from HOOK_OUT of no known connection. */
bool redirect_see(struct redirects *redirects, struct filter *filter, const struct policy *policy,
		  const struct packet *packet, const struct arrival *arrival, uint32_t now);

#endif
