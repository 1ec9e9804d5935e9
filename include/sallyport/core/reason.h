/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Why a packet got its verdict. Every path through filter_packet ends in one of
 * these, and each has a named counter in `sallyport stats`.
 */
#ifndef SALLYPORT_CORE_REASON_H
#define SALLYPORT_CORE_REASON_H

#include <stdbool.h>

enum reason {
	REASON_NONE,
	/* passed */
	PASS_RULE,       /* a rule allowed a new connection */
	PASS_DEFAULT,    /* no rule matched and the default allows */
	PASS_CONNECTION, /* belongs to an open connection */
	PASS_RELATED,    /* ICMP error about an open connection */
	PASS_LEARNED,    /* leaves through address translation: learned, so that replies pass */
	PASS_PICKUP,     /* mid-stream, taken up because `pickup on` and the rules allow it */
	PASS_RESET,      /* our own stack's RST for something that has no connection */
	/* refused by policy */
	DROP_RULE,
	DROP_DEFAULT,
	REJECT_RULE,
	REJECT_DEFAULT,
	/* refused by state */
	DROP_NO_CONNECTION, /* a TCP segment that opens nothing and belongs to nothing; a stray ICMP reply */
	DROP_CUT,           /* of a connection that was killed, or that new rules forbid */
	DROP_STATE,         /* a segment that the connection's state does not allow */
	DROP_WINDOW,        /* outside the window */
	DROP_STRAY_ERROR,   /* ICMP error about no known connection */
	DROP_TABLE_FULL,    /* the table is full of connections worth more */
	/* malformed */
	DROP_TRUNCATED,
	DROP_HEADER,
	DROP_FLAGS,
	DROP_FRAGMENT,
	DROP_ADDRESS,
	REASON_COUNT
};

/* "pass.rule", "drop.window", ...: stable, used in JSON. */
const char *reason_name(enum reason reason);
/* One sentence for people. */
const char *reason_text(enum reason reason);
bool reason_passes(enum reason reason);

#endif
