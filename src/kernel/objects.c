/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tables, chains, counters and rules as netlink messages. Memory that runs out while a
 * few bytes are asked for ends the process: systemd starts it again, and the kernel's table
 * stands meanwhile.
 */
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "expr.h"
#include "sets.h"

static void *or_abort(void *object) {
	if (!object)
		abort();
	return object;
}

void names_add(struct names *names, const char *name) {
	if (names->count == names->room) {
		names->room = names->room ? 2 * names->room : 16;
		names->items = or_abort(realloc(names->items, names->room * sizeof(*names->items)));
	}
	names->items[names->count++] = or_abort(strdup(name));
}

void names_free(struct names *names) {
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}

void inventory_free(struct inventory *inventory) {
	names_free(&inventory->sets);
	names_free(&inventory->counters);
	free(inventory->port_owners[0]);
	free(inventory->port_owners[1]);
	free(inventory->open_owners);
	free(inventory->unseen);
	free(inventory->closed);
	*inventory = (struct inventory){0};
}

void rule_object_name(uint32_t index, char name[24]) {
	snprintf(name, 24, "rule_%u", index);
}

uint32_t next_set_id(struct compiler *compiler) {
	return ++compiler->sets;
}

void put_table(struct batch *batch, uint16_t type, uint16_t family) {
	struct nlmsghdr *message =
	    batch_message(batch, type, family, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, TABLE_NAME);
	batch_commit(batch, message);
}

void put_chain_message(struct batch *batch, uint16_t type, uint16_t family, const char *name,
		       const struct base_chain *base) {
	struct nftnl_chain *chain = or_abort(nftnl_chain_alloc());
	struct nlmsghdr *message =
	    batch_message(batch, type, family, type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);

	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	if (base) {
		nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, base->hook);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, base->priority);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(message, chain);
	batch_commit(batch, message);
	nftnl_chain_free(chain);
}

void put_chain(struct compiler *compiler, const char *name) {
	put_chain_message(compiler->batch, NFT_MSG_NEWCHAIN, NFPROTO_INET, name, NULL);
}

void put_counter_message(struct batch *batch, uint16_t type, uint16_t family, const char *name) {
	struct nftnl_obj *counter = or_abort(nftnl_obj_alloc());
	struct nlmsghdr *message =
	    batch_message(batch, type, family, type == NFT_MSG_NEWOBJ ? NLM_F_CREATE : 0);

	nftnl_obj_set_str(counter, NFTNL_OBJ_TABLE, TABLE_NAME);
	nftnl_obj_set_str(counter, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_u64(counter, NFTNL_OBJ_CTR_PKTS, 0);
	nftnl_obj_nlmsg_build_payload(message, counter);
	batch_commit(batch, message);
	nftnl_obj_free(counter);
}

void put_counter(struct compiler *compiler, const char *name) {
	put_counter_message(compiler->batch, NFT_MSG_NEWOBJ, NFPROTO_INET, name);
}

void put_flush(struct batch *batch, uint16_t family, const char *chain) {
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_DELRULE, family, 0);

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE_NAME);
	if (chain)
		mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain);
	batch_commit(batch, message);
}

/* The family stays with the rule until rule_finish writes its message. */
struct nftnl_rule *rule_start(uint16_t family, const char *chain) {
	struct nftnl_rule *rule = or_abort(nftnl_rule_alloc());

	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, family);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	return rule;
}

void rule_finish(struct compiler *compiler, struct nftnl_rule *rule) {
	struct nlmsghdr *message =
	    batch_message(compiler->batch, NFT_MSG_NEWRULE,
			  (uint16_t)nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY), NLM_F_CREATE | NLM_F_APPEND);

	nftnl_rule_nlmsg_build_payload(message, rule);
	batch_commit(compiler->batch, message);
	nftnl_rule_free(rule);
}

void finish_accept(struct compiler *compiler, struct nftnl_rule *rule) {
	expr_verdict(rule, NF_ACCEPT);
	rule_finish(compiler, rule);
}

/* The line number stands at the end, so a path that is too long loses its front. */
void place_text(const struct place *place, char text[PLACE_COMMENT]) {
	char line[16];
	size_t room = PLACE_COMMENT - 1 - (size_t)snprintf(line, sizeof(line), ":%u", place->line);
	size_t length = strlen(place->file);

	snprintf(text, PLACE_COMMENT, "%s%s", place->file + (length > room ? length - room : 0), line);
}

void place_comment(struct nftnl_rule *rule, const struct place *place) {
	char text[PLACE_COMMENT];

	place_text(place, text);
	rule_comment(rule, text);
}
