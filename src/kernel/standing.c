/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table says in its comment how it is laid out. Where that is not how this version does
 * it, the table is made anew, and its leases with it.
 */
#include "standing.h"

#include <arpa/inet.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sets.h"

/* To be raised with every change of lasting chains or sets. */
enum { LAYOUT = 8, LAYOUT_TEXT = 64 };

static size_t layout_text(enum dispatch dispatch, char text[LAYOUT_TEXT]) {
	return (size_t)snprintf(text, LAYOUT_TEXT, "sallyport, layout %d, %s", LAYOUT,
				dispatch_name(dispatch)) +
	       1;
}

/* As `nft` writes a comment: type, length, text with its end. */
static size_t layout_data(enum dispatch dispatch, uint8_t data[2 + LAYOUT_TEXT]) {
	size_t size = layout_text(dispatch, (char *)data + 2);

	data[0] = NFTNL_UDATA_TABLE_COMMENT;
	data[1] = (uint8_t)size;
	return size + 2;
}

void put_layout(struct nlmsghdr *message, enum dispatch dispatch) {
	uint8_t data[2 + LAYOUT_TEXT];

	mnl_attr_put(message, NFTA_TABLE_USERDATA, layout_data(dispatch, data), data);
}

/* ---- is it ours ---- */

struct comparison {
	enum dispatch dispatch;
	bool same;
};

static const struct nlattr *find(const struct nlmsghdr *message, uint16_t type) {
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) == type)
			return attribute;
	}
	return NULL;
}

static int compare_table(const struct nlmsghdr *message, void *context) {
	struct comparison *comparison = context;
	const struct nlattr *userdata = find(message, NFTA_TABLE_USERDATA);
	uint8_t wanted[2 + LAYOUT_TEXT];
	size_t size = layout_data(comparison->dispatch, wanted);

	comparison->same = userdata && mnl_attr_get_payload_len(userdata) == size &&
			   memcmp(mnl_attr_get_payload(userdata), wanted, size) == 0;
	return MNL_CB_OK;
}

static bool is_laid_out_alike(struct mnl_socket *socket, enum dispatch dispatch) {
	struct comparison comparison = {.dispatch = dispatch};
	char buffer[1024];
	struct error missing;
	struct nlmsghdr *request =
	    nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);

	mnl_attr_put_strz(request, NFTA_TABLE_NAME, TABLE_NAME);
	return nft_dump(socket, request, compare_table, &comparison, &missing) && comparison.same;
}

/* ---- what is in it ---- */

struct naming {
	uint16_t table, name; /* attributes */
	bool (*is_lasting)(const char *name);
	struct names *names;
};

static int note_name(const struct nlmsghdr *message, void *context) {
	const struct naming *naming = context;
	const struct nlattr *table = find(message, naming->table), *name = find(message, naming->name);

	if (table && name && strcmp(mnl_attr_get_str(table), TABLE_NAME) == 0 &&
	    !naming->is_lasting(mnl_attr_get_str(name)))
		names_add(naming->names, mnl_attr_get_str(name));
	return MNL_CB_OK;
}

/* Sets without a name go with their rules. */
static bool is_lasting_set(const char *name) {
	return strncmp(name, "__", 2) == 0 || compile_is_lasting_set(name);
}

static bool is_lasting_counter(const char *name) {
	return strncmp(name, "rule_", 5) != 0;
}

static bool read_names(struct mnl_socket *socket, uint16_t type, uint16_t table_attribute,
		       struct naming *naming) {
	char buffer[1024];
	struct error err;
	struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, type, NFPROTO_INET, NLM_F_DUMP, 1);

	mnl_attr_put_strz(request, table_attribute, TABLE_NAME);
	return nft_dump(socket, request, note_name, naming, &err);
}

static bool is_not_learning(const char *name) {
	return strcmp(name, LEARN_DISPATCH) != 0;
}

static void note_port(const struct nlattr *element, void *context) {
	bool *ports = context;
	const struct nlattr *key =
	    nested_attribute(nested_attribute(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);

	if (key && mnl_attr_get_payload_len(key) >= sizeof(uint16_t))
		ports[ntohs(mnl_attr_get_u16(key))] = true;
}

static bool read_unseen(struct mnl_socket *socket, struct inventory *inventory) {
	struct error err;

	inventory->unseen = calloc(PORTS, sizeof(bool));
	return inventory->unseen && read_elements(socket, UNSEEN_SET, note_port, inventory->unseen, &err);
}

bool standing_read(struct mnl_socket *socket, enum dispatch dispatch, struct inventory *inventory) {
	struct naming sets = {NFTA_SET_TABLE, NFTA_SET_NAME, is_lasting_set, &inventory->sets};
	struct naming counters = {NFTA_OBJ_TABLE, NFTA_OBJ_NAME, is_lasting_counter, &inventory->counters};
	struct names learning = {0};
	struct naming chains = {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, is_not_learning, &learning};
	bool read = is_laid_out_alike(socket, dispatch) &&
		    read_names(socket, NFT_MSG_GETSET, NFTA_SET_TABLE, &sets) &&
		    read_names(socket, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, &counters) &&
		    read_names(socket, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, &chains) &&
		    read_unseen(socket, inventory);

	if (read)
		inventory->learns = learning.count > 0;
	else
		inventory_free(inventory);
	names_free(&learning);
	return read;
}
