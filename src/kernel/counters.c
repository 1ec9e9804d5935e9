/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two kinds of dump: the table's counter objects, and the elements of the port maps and of
 * the set of open ports, whose owners the inventory knows by their first port.
 */
#include "counters.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sets.h"

struct listing {
	struct kernel_counter *items;
	size_t count, max;
	struct tally closed;
};

static void list(struct listing *listing, const char *name, struct tally tally) {
	struct kernel_counter *item;

	if (listing->count == listing->max)
		return;
	item = &listing->items[listing->count++];
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->packets = tally.packets;
	item->bytes = tally.bytes;
}

/* ---- objects ---- */

static void take_object(struct listing *listing, struct nftnl_obj *object) {
	const char *name = nftnl_obj_get_str(object, NFTNL_OBJ_NAME);
	struct tally tally = {nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_PKTS),
			      nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_BYTES)};

	if (strcmp(name, CLOSED_COUNTER) == 0)
		listing->closed = tally;
	else
		list(listing, name, tally);
}

static int read_object(const struct nlmsghdr *message, void *context) {
	struct nftnl_obj *object = nftnl_obj_alloc();

	if (!object)
		return MNL_CB_ERROR;
	if (nftnl_obj_nlmsg_parse(message, object) == 0 && nftnl_obj_get_str(object, NFTNL_OBJ_NAME) &&
	    nftnl_obj_get_u32(object, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER)
		take_object(context, object);
	nftnl_obj_free(object);
	return MNL_CB_OK;
}

static bool read_objects(struct mnl_socket *socket, uint16_t family, struct listing *listing,
			 struct error *err) {
	char buffer[1024];
	struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETOBJ, family, NLM_F_DUMP, 1);

	mnl_attr_put_strz(request, NFTA_OBJ_TABLE, TABLE_NAME);
	mnl_attr_put_u32(request, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
	return nft_dump(socket, request, read_object, listing, err);
}

/* ---- elements of a port map ---- */

struct element_walk {
	const uint32_t *owners; /* PORTS of them */
	struct tally *rules;    /* by rule; NULL: not wanted */
	struct tally defaults;
};

static void tally_element(const struct nlattr *element, void *context) {
	struct element_walk *walk = context;
	const struct nlattr *key =
	    nested_attribute(nested_attribute(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	const struct nlattr *counter =
	    nested_attribute(nested_attribute(element, NFTA_SET_ELEM_EXPR), NFTA_EXPR_DATA);
	struct tally tally = {attribute_u64(nested_attribute(counter, NFTA_COUNTER_PACKETS)),
			      attribute_u64(nested_attribute(counter, NFTA_COUNTER_BYTES))};
	struct tally *to;
	uint32_t owner;

	if (!key || mnl_attr_get_payload_len(key) < sizeof(uint16_t) || !counter)
		return;
	owner = walk->owners[ntohs(mnl_attr_get_u16(key))];
	if (owner == OWNER_ASK || (owner != OWNER_DEFAULT && !walk->rules))
		return;
	to = owner == OWNER_DEFAULT ? &walk->defaults : &walk->rules[owner];
	to->packets += tally.packets;
	to->bytes += tally.bytes;
}

static uint32_t rules_owning(const uint32_t *owners) {
	uint32_t count = 0;

	for (uint32_t port = 0; port < PORTS; port++)
		if (owners[port] < OWNER_ASK && owners[port] >= count)
			count = owners[port] + 1;
	return count;
}

static void list_rules(struct listing *listing, const struct tally *rules, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		char name[24];

		if (rules[i].packets == 0)
			continue;
		rule_object_name(i, name);
		list(listing, name, rules[i]);
	}
}

static bool read_ports(struct mnl_socket *socket, const char *set, const uint32_t *owners,
		       struct tally *defaults, struct listing *listing, struct error *err) {
	struct element_walk walk = {.owners = owners};
	uint32_t count = walk.owners && listing->items ? rules_owning(walk.owners) : 0;
	bool done;

	if (!walk.owners)
		return true;
	walk.rules = count > 0 ? calloc(count, sizeof(*walk.rules)) : NULL;
	if (count > 0 && !walk.rules)
		return error_set(err, "out of memory for the kernel's counters");
	done = read_elements(socket, set, tally_element, &walk, err);
	if (done) {
		defaults->packets += walk.defaults.packets;
		defaults->bytes += walk.defaults.bytes;
		list_rules(listing, walk.rules, count);
	}
	free(walk.rules);
	return done;
}

int counters_read(struct mnl_socket *socket, const struct inventory *inventory, struct tally defaults[2],
		  struct kernel_counter *counters, size_t max, struct error *err) {
	static const char *const names[2] = {"default_in", "default_out"};
	struct listing listing = {.items = counters, .max = counters ? max : 0};

	for (size_t i = 0; i < 2; i++)
		if (!read_ports(socket, port_map_name((enum direction)i), inventory->port_owners[i],
				&defaults[i], &listing, err))
			return -1;
	if (!read_ports(socket, ADMITTED_SET, inventory->open_owners, &defaults[DIRECTION_IN], &listing, err))
		return -1;
	if (counters && (!read_objects(socket, NFPROTO_INET, &listing, err) ||
			 !read_objects(socket, NFPROTO_IPV6, &listing, err)))
		return -1;
	defaults[DIRECTION_IN].packets += listing.closed.packets;
	defaults[DIRECTION_IN].bytes += listing.closed.bytes;
	list(&listing, names[DIRECTION_IN], defaults[DIRECTION_IN]);
	list(&listing, names[DIRECTION_OUT], defaults[DIRECTION_OUT]);
	return (int)listing.count;
}
