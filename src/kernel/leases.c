/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys of connections to and from elements of the lease sets.
 */
#include "leases.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "compile.h"
#include "sets.h"

enum {
	MS = 1000,
};

/* ---- tuples ---- */

static size_t put_end(uint8_t *bytes, const struct addr *addr, uint16_t port, size_t length) {
	uint16_t wire = htons(port);

	memcpy(bytes, addr->bytes + sizeof(addr->bytes) - length, length);
	memcpy(bytes + length, &wire, sizeof(wire));
	return length + 4;
}

/* Returns the length. */
static size_t tuple_of(const struct key *key, uint8_t tuple[TUPLE_IPV6]) {
	size_t length = addr_family(&key->local) == FAMILY_IPV4 ? 4 : 16;
	size_t at;

	memset(tuple, 0, TUPLE_IPV6);
	at = put_end(tuple, &key->local, key->local_port, length);
	at += put_end(tuple + at, &key->remote, key->remote_port, length);
	tuple[at] = key->protocol;
	return at + 4;
}

static size_t get_end(const uint8_t *bytes, size_t length, struct addr *addr, uint16_t *port) {
	uint16_t wire;

	*addr = length == 4 ? addr_from_ipv4(bytes) : addr_from_ipv6(bytes);
	memcpy(&wire, bytes + length, sizeof(wire));
	*port = ntohs(wire);
	return length + 4;
}

static bool key_of_tuple(const uint8_t *tuple, size_t size, struct key *key) {
	size_t length = size == TUPLE_IPV4 ? 4 : 16;
	size_t at;

	if (size != TUPLE_IPV4 && size != TUPLE_IPV6)
		return false;
	*key = (struct key){0};
	at = get_end(tuple, length, &key->local, &key->local_port);
	at += get_end(tuple + at, length, &key->remote, &key->remote_port);
	key->protocol = tuple[at];
	return true;
}

/* ---- revoking ---- */

/* Connections that the busy kernel would admit by itself. */
static bool is_admitted(const struct key *key, const uint32_t *open_owners) {
	return key->protocol == PROTOCOL_TCP && open_owners[key->local_port] != OWNER_ASK;
}

/* `open_owners`: NULL, or only connections to ports that somebody owns there. */
static void put_keys(struct batch *batch, const char *set, uint16_t type, const struct revocation *revoked,
		     enum family family, const uint32_t *open_owners) {
	struct elements elements = {.batch = batch, .set = set, .type = type};
	uint8_t tuple[TUPLE_IPV6];

	for (size_t i = 0; i < revoked->count; i++) {
		const struct key *key = &revoked->keys[i];

		if (addr_family(&key->local) != family || (open_owners && !is_admitted(key, open_owners)))
			continue;
		put_element(&elements, tuple, tuple_of(key, tuple), 0);
	}
	elements_finish(&elements);
}

/* Deleting what is not there would fail the transaction; where the kernel has no word for
 * "if it is there", each is added first. */
static void put_lease_removal(struct batch *batch, const struct revocation *revoked, enum family family,
			      bool destroy) {
	const char *set = family == FAMILY_IPV4 ? LEASE_SET_IPV4 : LEASE_SET_IPV6;

	if (destroy) {
		put_keys(batch, set, DESTROY_ELEMENTS, revoked, family, NULL);
		return;
	}
	put_keys(batch, set, NFT_MSG_NEWSETELEM, revoked, family, NULL);
	put_keys(batch, set, NFT_MSG_DELSETELEM, revoked, family, NULL);
}

void put_revocation(struct batch *batch, const struct revocation *revoked, bool destroy) {
	static const char *const halves[] = {HALF_IN_IPV4, HALF_IN_IPV6, HALF_OUT_IPV4, HALF_OUT_IPV6};

	if (revoked->count == 0)
		return;
	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++)
		put_set_flush(batch, halves[i]);
	put_lease_removal(batch, revoked, FAMILY_IPV4, destroy);
	put_lease_removal(batch, revoked, FAMILY_IPV6, destroy);
}

/* What is there already would keep its time, and then not outlive the connections that are cut now. */
static bool put_cut_ports(struct batch *batch, const struct revocation *cut, const uint32_t *open_owners,
			  bool destroy) {
	bool ports[PORTS] = {false}, any = false;

	for (size_t i = 0; i < cut->count; i++) {
		if (!is_admitted(&cut->keys[i], open_owners))
			continue;
		ports[cut->keys[i].local_port] = any = true;
	}
	put_port_removal(batch, CUT_PORTS, ports, destroy);
	put_port_changes(batch, CUT_PORTS, NFT_MSG_NEWSETELEM, ports);
	return any;
}

bool put_cuts(struct batch *batch, const struct revocation *cut, const uint32_t *open_owners, bool destroy) {
	if (!open_owners)
		return false;
	put_keys(batch, CUT_SET_IPV4, NFT_MSG_NEWSETELEM, cut, FAMILY_IPV4, open_owners);
	put_keys(batch, CUT_SET_IPV6, NFT_MSG_NEWSETELEM, cut, FAMILY_IPV6, open_owners);
	return put_cut_ports(batch, cut, open_owners, destroy);
}

void put_cuts_flush(struct batch *batch) {
	put_set_flush(batch, CUT_SET_IPV4);
	put_set_flush(batch, CUT_SET_IPV6);
	put_set_flush(batch, CUT_PORTS);
}

/* ---- reading ---- */

struct reading {
	void (*see)(const struct lease *, void *);
	void *context;
};

static uint32_t seconds_of(const struct nlattr *element, uint16_t type) {
	return (uint32_t)(attribute_u64(nested_attribute(element, type)) / MS);
}

static void read_lease(const struct nlattr *element, void *context) {
	const struct reading *reading = context;
	const struct nlattr *key =
	    nested_attribute(nested_attribute(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	struct lease lease = {
	    .left = seconds_of(element, NFTA_SET_ELEM_EXPIRATION),
	};

	if (key && key_of_tuple(mnl_attr_get_payload(key), mnl_attr_get_payload_len(key), &lease.key))
		reading->see(&lease, reading->context);
}

bool leases_read(struct mnl_socket *socket, void (*see)(const struct lease *, void *), void *context,
		 struct error *err) {
	struct reading reading = {see, context};

	return read_elements(socket, LEASE_SET_IPV4, read_lease, &reading, err) &&
	       read_elements(socket, LEASE_SET_IPV6, read_lease, &reading, err);
}
