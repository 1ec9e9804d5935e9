/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packet -> key.
 */
#include "sallyport/core/key.h"

#include <assert.h>
#include <string.h>

#include "siphash.h"

static_assert(sizeof(struct key) == 38, "keys are compared as bytes, so they must have no padding");

/* The type that a reply answers. */
static uint8_t query_of(uint8_t protocol, uint8_t reply) {
	if (protocol == PROTOCOL_ICMPV6)
		return (uint8_t)(reply - 1);
	return reply == 0 ? 8 : (uint8_t)(reply - 1);
}

static struct key key_of_tuple(const struct tuple *tuple, uint8_t icmp_type, enum direction direction) {
	struct key key = {.protocol = tuple->protocol};
	bool in = direction == DIRECTION_IN;
	key.local = in ? tuple->dst : tuple->src;
	key.remote = in ? tuple->src : tuple->dst;
	key.local_port = in ? tuple->dst_port : tuple->src_port;
	key.remote_port = in ? tuple->src_port : tuple->dst_port;
	/* The identifier of an ICMP query is in both ports; it belongs to who asked. */
	bool query = icmp_is_query(tuple->protocol, icmp_type);
	if (query || icmp_is_reply(tuple->protocol, icmp_type)) {
		bool remote_asked = query == in;
		*(remote_asked ? &key.local_port : &key.remote_port) = 0;
		key.query = query ? icmp_type : query_of(tuple->protocol, icmp_type);
	}
	return key;
}

struct key key_of_packet(const struct packet *packet, enum direction direction) {
	return key_of_tuple(&packet->tuple, packet->icmp_type, direction);
}

struct key key_of_inner(const struct packet *packet, enum direction direction) {
	/* The packet that the error is about went the other way. */
	enum direction other = direction == DIRECTION_IN ? DIRECTION_OUT : DIRECTION_IN;
	return key_of_tuple(&packet->inner, packet->inner_icmp_type, other);
}

bool key_equal(const struct key *left, const struct key *right) {
	return memcmp(left, right, sizeof *left) == 0;
}

uint64_t key_hash(const struct key *key, const struct hash_secret *secret) {
	return siphash(key, sizeof *key, secret->words);
}
