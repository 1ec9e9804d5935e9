/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A logged packet as people and as the journal read it.
 */
#ifndef SALLYPORT_DAEMON_PACKET_TEXT_H
#define SALLYPORT_DAEMON_PACKET_TEXT_H

#include "sallyport/daemon/ring.h"

enum { PACKET_LINE = 512, PACKET_FIELDS = 10, PACKET_FIELD = 320 };

/* "drop in tcp 203.0.113.9:51000 -> 192.0.2.1:23 on eth0 by sallyport.rules:14";
 * `interface` may be NULL. */
void packet_event_text(const struct packet_event *event, const char *interface, char text[PACKET_LINE]);

/* SALLYPORT_VERDICT=, SALLYPORT_REASON=, ...: `list` ends with NULL. */
struct packet_fields {
	const char *list[PACKET_FIELDS + 1];
	char texts[PACKET_FIELDS][PACKET_FIELD];
};

void packet_event_fields(const struct packet_event *event, const char *interface,
			 struct packet_fields *fields);

#endif
