/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key of a connection: protocol, local address and port, remote address and
 * port. "Local" is this host's side as the wire shows it (before DNAT, after SNAT),
 * so one key serves both directions of a connection.
 *
 * ICMP queries: the identifier stands as the port of the side that asked, the other
 * port is 0. So two hosts that ping each other with one identifier have two keys. The
 * type of the query belongs to the key too: a rule that allows echo allows nothing else.
 */
#ifndef SALLYPORT_CORE_KEY_H
#define SALLYPORT_CORE_KEY_H

#include "sallyport/core/packet.h"

/* Which way a packet goes, and which way a connection was opened. */
enum direction { DIRECTION_IN, DIRECTION_OUT };

/* Without padding: keys are compared and hashed as bytes. */
struct key {
	struct addr local, remote;
	uint16_t local_port, remote_port;
	uint8_t protocol;
	uint8_t query; /* ICMP: the type that asks, also in the key of its reply; else 0 */
};

struct hash_secret {
	uint64_t words[2]; /* random, one a start of the daemon */
};

struct key key_of_packet(const struct packet *packet, enum direction direction);
/* The connection that an ICMP error is about. `direction` is the error's own. Only
 * with packet->inner_known. */
struct key key_of_inner(const struct packet *packet, enum direction direction);
bool key_equal(const struct key *left, const struct key *right);
/* SipHash-2-4 (Aumasson, Bernstein 2012), all 64 bits good. */
uint64_t key_hash(const struct key *key, const struct hash_secret *secret);

#endif
