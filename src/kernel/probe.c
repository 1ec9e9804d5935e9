/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A transaction that the kernel refuses changes nothing, and one that it takes has removed
 * its own table again.
 */
#include "probe.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "expr.h"

#define PROBE_TABLE "sallyport_probe"

static void put_table_message(struct batch *batch, uint16_t type, uint16_t family) {
	struct nlmsghdr *message =
	    batch_message(batch, type, family, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE);
	batch_commit(batch, message);
}

static bool probe_send(struct batch *batch, uint16_t family, struct mnl_socket *socket, int *code,
		       struct error *err) {
	bool done;

	put_table_message(batch, NFT_MSG_DELTABLE, family);
	batch_end(batch);
	done = batch_send(batch, socket, code, err);
	batch_free(batch);
	return done;
}

/* One queue rule, in a chain that no hook calls. */
static void put_queue_rule(struct batch *batch, uint16_t family, const struct compile_options *options) {
	struct compiler compiler = {.batch = batch, .options = options};
	struct nftnl_rule *rule = rule_start(family, "probe");
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_NEWCHAIN, family, NLM_F_CREATE);

	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "probe");
	batch_commit(batch, message);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, PROBE_TABLE);
	expr_queue_by(rule, options);
	rule_finish(&compiler, rule);
}

static bool can_queue(struct mnl_socket *socket, const struct compile_options *options, uint16_t family,
		      int *code, struct error *err) {
	struct batch batch;

	batch_begin(&batch);
	put_table_message(&batch, NFT_MSG_NEWTABLE, family);
	put_queue_rule(&batch, family, options);
	return probe_send(&batch, family, socket, code, err);
}

/* nf_tables finds an xtables target of no family of its own for any table, though `nft` writes none into one
 * for both families. But it loads the target's module by the name that it has for one family
 * (net/netfilter/x_tables.c, xt_request_find_target). */
static bool can_queue_by_xtables(struct mnl_socket *socket, const struct compile_options *options, int *code,
				 struct error *err) {
	return can_queue(socket, options, NFPROTO_IPV4, code, err) &&
	       can_queue(socket, options, NFPROTO_INET, code, err);
}

bool probe_dispatch(struct mnl_socket *socket, struct compile_options *options, struct error *err) {
	int code;

	options->dispatch = DISPATCH_NATIVE;
	if (can_queue(socket, options, NFPROTO_INET, &code, err))
		return true;
	/* ENOENT: no such expression, or target; anything else is a failure of its own. */
	if (code != ENOENT && code != EOPNOTSUPP)
		return false;
	options->dispatch = DISPATCH_XTABLES;
	if (can_queue_by_xtables(socket, options, &code, err))
		return true;
	if (code != ENOENT && code != EOPNOTSUPP)
		return false;
	return error_set(err, "this kernel's nftables cannot queue packets: it needs nft_queue "
			      "(CONFIG_NFT_QUEUE), or nft_compat and xt_NFQUEUE");
}

/* That there is no such set is fine by the message, where the kernel knows it. */
bool probe_destroy(struct mnl_socket *socket) {
	enum { DESTROY_SET = 29 }; /* NFT_MSG_DESTROYSET, which came with the other */
	struct nlmsghdr *message;
	struct batch batch;
	struct error err;
	int code;

	batch_begin(&batch);
	put_table_message(&batch, NFT_MSG_NEWTABLE, NFPROTO_INET);
	message = batch_message(&batch, DESTROY_SET, NFPROTO_INET, 0);
	mnl_attr_put_strz(message, NFTA_SET_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(message, NFTA_SET_NAME, "none");
	batch_commit(&batch, message);
	return probe_send(&batch, NFPROTO_INET, socket, &code, &err);
}
