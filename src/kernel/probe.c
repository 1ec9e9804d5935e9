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

static void put_table_message(struct batch *batch, uint16_t type) {
	struct nlmsghdr *message =
	    batch_message(batch, type, NFPROTO_INET, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);

	mnl_attr_put_strz(message, NFTA_TABLE_NAME, PROBE_TABLE);
	batch_commit(batch, message);
}

static void probe_begin(struct batch *batch) {
	batch_begin(batch);
	put_table_message(batch, NFT_MSG_NEWTABLE);
}

static bool probe_send(struct batch *batch, struct mnl_socket *socket, int *code, struct error *err) {
	bool done;

	put_table_message(batch, NFT_MSG_DELTABLE);
	batch_end(batch);
	done = batch_send(batch, socket, code, err);
	batch_free(batch);
	return done;
}

/* One queue rule, in a chain that no hook calls. */
static void put_queue_rule(struct batch *batch, const struct compile_options *options) {
	struct compiler compiler = {.batch = batch, .options = options};
	struct nftnl_rule *rule = rule_start(NFPROTO_INET, "probe");
	struct nlmsghdr *message = batch_message(batch, NFT_MSG_NEWCHAIN, NFPROTO_INET, NLM_F_CREATE);

	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "probe");
	batch_commit(batch, message);
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, PROBE_TABLE);
	expr_queue_by(rule, options);
	rule_finish(&compiler, rule);
}

/* nf_tables looks an xtables target up for every family, whose own family is none
 * (net/netfilter/nft_compat.c, nft_target_select_ops), though `nft` itself writes none into a table for both.
 */
bool probe_dispatch(struct mnl_socket *socket, struct compile_options *options, struct error *err) {
	static const enum dispatch dispatches[] = {DISPATCH_NATIVE, DISPATCH_XTABLES};

	for (size_t i = 0; i < sizeof(dispatches) / sizeof(dispatches[0]); i++) {
		struct batch batch;
		int code;

		options->dispatch = dispatches[i];
		probe_begin(&batch);
		put_queue_rule(&batch, options);
		if (probe_send(&batch, socket, &code, err))
			return true;
		/* ENOENT: no such expression or target; anything else is a failure of its own. */
		if (code != ENOENT && code != EOPNOTSUPP)
			return false;
	}
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

	probe_begin(&batch);
	message = batch_message(&batch, DESTROY_SET, NFPROTO_INET, 0);
	mnl_attr_put_strz(message, NFTA_SET_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(message, NFTA_SET_NAME, "none");
	batch_commit(&batch, message);
	return probe_send(&batch, socket, &code, &err);
}
