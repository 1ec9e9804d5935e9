/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The network layer of a packet: IPv4 with options, IPv6 with extension headers.
 */
#ifndef SALLYPORT_CORE_NETWORK_H
#define SALLYPORT_CORE_NETWORK_H

#include <stdbool.h>

#include "cursor.h"
#include "sallyport/core/packet.h"

struct network {
	enum family family;
	struct addr src, dst;
	uint8_t protocol;
};

/* Reads the headers and leaves the cursor at the transport header. `quoted`: a packet inside an
 * ICMP error, of which only the beginning is there: its lengths are not compared, and its
 * first fragment is as good as the whole. Returns as packet_parse. */
enum reason network_parse(struct cursor *cursor, bool quoted, struct network *network);

#endif
