/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel's half of a ruleset, without a kernel: the messages that compile_ruleset
 * writes are read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/kernel/compile.h"
#include "../../../src/kernel/leases.h"
#include "../core/must_load.h"

/* ---- what stands in a batch ---- */

struct reading {
	unsigned kinds[256]; /* nftables messages by type */
	unsigned begins, ends;
	unsigned named_sets; /* made, not anonymous */
	char layout[64];     /* the table's comment */
	char sets[512];      /* those, " lease4 half_in4" */
	bool has_ct;
	char asks[64];          /* what the chain `ask` consists of: " meta bitwise queue" */
	char comments[200][64]; /* of rules, with their chain: "in_guard test.rules:3" */
	size_t comment_count;
	char targets[400][64]; /* of port maps: "ports_in 23 drop test.rules:2", "ports_in 24 end" */
	size_t target_count;
	char ways[100][64]; /* of rules that do nothing but lead on: "in_judge ask" */
	size_t way_count;
};

static const struct nlattr *find(const void *payload, size_t length, uint16_t type) {
	const struct nlattr *attribute = payload;

	for (int left = (int)length; mnl_attr_ok(attribute, left); attribute = mnl_attr_next(attribute)) {
		if (mnl_attr_get_type(attribute) == type)
			return attribute;
		left -= MNL_ALIGN(attribute->nla_len);
	}
	return NULL;
}

static const struct nlattr *find_in(const struct nlattr *nest, uint16_t type) {
	return nest ? find(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), type) : NULL;
}

static const struct nlattr *find_top(const struct nlmsghdr *message, uint16_t type) {
	size_t header = MNL_ALIGN(sizeof(struct nfgenmsg));

	return find((const char *)mnl_nlmsg_get_payload(message) + header,
		    mnl_nlmsg_get_payload_len(message) - header, type);
}

static void append_name(char *names, size_t room, const char *name) {
	size_t used = strlen(names);

	snprintf(names + used, room - used, " %s", name);
}

static void read_way(struct reading *reading, const char *chain, const struct nlattr *expressions) {
	const struct nlattr *only = find_in(expressions, NFTA_LIST_ELEM);
	const struct nlattr *data = find_in(find_in(only, NFTA_EXPR_DATA), NFTA_IMMEDIATE_DATA);
	const struct nlattr *way = find_in(find_in(data, NFTA_DATA_VERDICT), NFTA_VERDICT_CHAIN);

	if (!way || strcmp(mnl_attr_get_str(find_in(only, NFTA_EXPR_NAME)), "immediate") != 0)
		return;
	assert_true(reading->way_count < 100);
	snprintf(reading->ways[reading->way_count++], 64, "%s %s", chain, mnl_attr_get_str(way));
}

static void read_rule(struct reading *reading, const struct nlmsghdr *message) {
	const struct nlattr *userdata = find_top(message, NFTA_RULE_USERDATA);
	const struct nlattr *expressions = find_top(message, NFTA_RULE_EXPRESSIONS);
	const char *chain = mnl_attr_get_str(find_top(message, NFTA_RULE_CHAIN));
	const struct nlattr *expression;

	if (userdata && reading->comment_count < 200)
		snprintf(reading->comments[reading->comment_count++], 64, "%s %s", chain,
			 (const char *)mnl_attr_get_payload(userdata) + 2);
	read_way(reading, chain, expressions);
	mnl_attr_for_each_nested(expression, expressions) {
		const char *name = mnl_attr_get_str(find_in(expression, NFTA_EXPR_NAME));

		if (strcmp(name, "ct") == 0)
			reading->has_ct = true;
		if (strcmp(chain, CHAIN_ASK) == 0)
			append_name(reading->asks, sizeof(reading->asks), name);
	}
}

static const char *settlement_of(const struct nlattr *element) {
	const struct nlattr *verdict = find_in(find_in(element, NFTA_SET_ELEM_DATA), NFTA_DATA_VERDICT);
	const struct nlattr *chain = find_in(verdict, NFTA_VERDICT_CHAIN);

	return !verdict ? "end" : chain ? mnl_attr_get_str(chain) : "drop";
}

static void read_elements(struct reading *reading, const struct nlmsghdr *message) {
	const char *set = mnl_attr_get_str(find_top(message, NFTA_SET_ELEM_LIST_SET));
	const struct nlattr *element;

	if (strncmp(set, "ports_", 6) != 0)
		return;
	mnl_attr_for_each_nested(element, find_top(message, NFTA_SET_ELEM_LIST_ELEMENTS)) {
		const uint8_t *key =
		    mnl_attr_get_payload(find_in(find_in(element, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE));
		const struct nlattr *comment = find_in(element, NFTA_SET_ELEM_USERDATA);

		assert_true(reading->target_count < 400);
		snprintf(reading->targets[reading->target_count++], 64, "%s %u %s%s%s", set,
			 key[0] * 256 + key[1], settlement_of(element), comment ? " " : "",
			 comment ? (const char *)mnl_attr_get_payload(comment) + 2 : "");
	}
}

static void read_table(struct reading *reading, const struct nlmsghdr *message) {
	const struct nlattr *userdata = find_top(message, NFTA_TABLE_USERDATA);

	if (userdata)
		snprintf(reading->layout, sizeof(reading->layout), "%s",
			 (const char *)mnl_attr_get_payload(userdata) + 2);
}

static void read_set(struct reading *reading, const char *name) {
	if (strncmp(name, "__", 2) == 0)
		return;
	reading->named_sets++;
	append_name(reading->sets, sizeof(reading->sets), name);
}

static void read_message(struct reading *reading, const struct nlmsghdr *message) {
	uint8_t type = message->nlmsg_type & 0xff;

	reading->begins += message->nlmsg_type == NFNL_MSG_BATCH_BEGIN;
	reading->ends += message->nlmsg_type == NFNL_MSG_BATCH_END;
	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return;
	reading->kinds[type]++;
	if (type == NFT_MSG_NEWRULE)
		read_rule(reading, message);
	if (type == NFT_MSG_NEWTABLE)
		read_table(reading, message);
	if (type == NFT_MSG_NEWSET)
		read_set(reading, mnl_attr_get_str(find_top(message, NFTA_SET_NAME)));
	if (type == NFT_MSG_NEWSETELEM)
		read_elements(reading, message);
}

static const struct compile_options native = {.dispatch = DISPATCH_NATIVE, .forwards = true};
static const struct compile_options xtables = {.dispatch = DISPATCH_XTABLES, .forwards = true};
static const struct compile_options at_home = {.dispatch = DISPATCH_XTABLES};

/* Ends, reads and frees it; the messages must fill the batch to the byte. */
static struct reading read_batch(struct batch *batch) {
	struct reading reading = {0};
	const struct nlmsghdr *message;
	int left;

	batch_end(batch);
	assert_false(batch->failed);
	left = (int)batch->length;
	for (message = (const struct nlmsghdr *)batch->bytes; mnl_nlmsg_ok(message, left);
	     message = mnl_nlmsg_next(message, &left))
		read_message(&reading, message);
	assert_int_equal(left, 0);
	assert_int_equal(reading.begins, 1);
	assert_int_equal(reading.ends, 1);
	batch_free(batch);
	return reading;
}

static void compile(const char *text, const struct compile_options *options, const struct inventory *old,
		    struct inventory *made, struct reading *reading) {
	struct ruleset *ruleset = must_load(text);
	struct batch batch;

	batch_begin(&batch);
	compile_ruleset(&batch, ruleset, options, old, made);
	*reading = read_batch(&batch);
	ruleset_free(ruleset);
}

static bool has_line(char (*lines)[64], size_t count, const char *wanted) {
	for (size_t i = 0; i < count; i++)
		if (strcmp(lines[i], wanted) == 0)
			return true;
	for (size_t i = 0; i < count; i++)
		print_message("  there: %s\n", lines[i]);
	return false;
}

#define assert_target(reading, text)  assert_true(has_line((reading).targets, (reading).target_count, text))
#define assert_way(reading, text)     assert_true(has_line((reading).ways, (reading).way_count, text))
#define assert_comment(reading, text) assert_true(has_line((reading).comments, (reading).comment_count, text))

static struct reading compiled(const char *text, const struct compile_options *options) {
	struct inventory made = {0};
	struct reading reading;

	compile(text, options, NULL, &made, &reading);
	inventory_free(&made);
	return reading;
}

/* ---- tests ---- */

static void every_rule_carries_its_line(void **state) {
	struct reading reading = compiled("allow in tcp 22 from 192.0.2.0/24, 2001:db8::/32\n"
					  "\n"
					  "drop in tcp 23\n"
					  "reject out tcp 25\n",
					  &native);
	(void)state;
	assert_comment(reading, "in_static test.rules:1");
	assert_comment(reading, "in_static test.rules:3");
	assert_comment(reading, "out_guard test.rules:4");
	assert_comment(reading, "in_dispatch essentials:1");
}

static bool drops_closed_ports(const char *text) {
	struct reading reading = compiled(text, &native);

	return has_line(reading.comments, reading.comment_count, "in_new default in drop");
}

/* Before the map is searched. Not where another default stands, or so many are named that they would fill a
 * list. */
static void ports_that_nobody_names_are_dropped_at_once(void **state) {
	(void)state;
	assert_true(drops_closed_ports("allow in tcp 22\nallow in tcp 30 from 192.0.2.1\n"));
	assert_true(drops_closed_ports("default in drop\nreject in tcp 1000-2023\n"));
	assert_false(drops_closed_ports("default in drop\nreject in tcp 1000-2024\n"));
	assert_false(drops_closed_ports("default in reject\nallow in tcp 22\n"));
	assert_false(drops_closed_ports("default in allow\nallow in tcp 22\n"));
	assert_false(drops_closed_ports("drop in any from 192.0.2.1\nallow in any from 192.0.2.0/24\n"));
}

static void ports_ask_only_where_a_rule_may_allow(void **state) {
	struct reading reading = compiled("allow in tcp 22\n"
					  "allow in tcp 8000-8010\n"
					  "drop in tcp 8000-9000\n",
					  &native);
	(void)state;
	assert_target(reading, "ports_in 0 drop default in drop");
	assert_target(reading, "ports_in 22 in_open test.rules:1");
	assert_target(reading, "ports_in 23 drop default in drop");
	assert_target(reading, "ports_in 8000 in_open test.rules:2");
	assert_target(reading, "ports_in 8011 drop test.rules:3");
	assert_target(reading, "ports_in 9001 drop default in drop");
	assert_target(reading, "ports_out 0 ask");
}

/* The kernel may admit to a port by itself only where there is nothing to log or to inspect. */
static void ports_are_open_where_the_rules_are_static(void **state) {
	struct reading reading = compiled("allow in tcp 22 from 192.0.2.1\n"
					  "allow in tcp 22\n"
					  "allow in tcp 30 strict\n"
					  "allow in log tcp 40\n"
					  "allow in tcp 50 on eth1\n"
					  "allow in tcp 60\n"
					  "drop in tcp 60 from 192.0.2.1\n",
					  &native);
	(void)state;
	assert_target(reading, "ports_in 22 in_open_static");
	assert_target(reading, "ports_in 23 drop default in drop");
	assert_target(reading, "ports_in 30 ask");
	assert_target(reading, "ports_in 40 ask");
	assert_target(reading, "ports_in 50 in_open_static");
	assert_target(reading, "ports_in 60 in_open test.rules:6");
	reading = compiled("default in allow\ndrop in tcp 23\n", &native);
	assert_target(reading, "ports_in 0 in_open default in allow");
	assert_target(reading, "ports_out 0 ask");
}

/* The kernel would go through them one by one for every connection. */
static void many_conditions_are_the_daemons(void **state) {
	char text[4096] = "allow in tcp 22 from 192.0.2.1\n";
	struct reading reading;
	(void)state;
	for (unsigned i = 1; i < 64; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "allow in tcp %u\n", 1000 + 2 * i);
	reading = compiled(text, &native);
	assert_target(reading, "ports_in 22 in_open_static");
	strcat(text, "allow in tcp 9999\n");
	reading = compiled(text, &native);
	assert_target(reading, "ports_in 22 ask");
	assert_target(reading, "ports_in 1002 in_open test.rules:2");
}

/* But whom none of them names it may admit, if that is what the port's rule does. */
static void whoever_no_rule_names_is_told_apart(void **state) {
	char text[8192] = "";
	struct reading reading;
	(void)state;
	for (unsigned i = 1; i <= 64; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "drop in tcp 22 from 192.0.2.%u\n",
			 i);
	strcat(text, "drop in any from 198.51.100.0/24\nallow in tcp 22\nallow in tcp 23 from 192.0.2.1\n"
		     "allow in tcp 24 on eth1\nallow in tcp 24\n");
	reading = compiled(text, &native);
	assert_target(reading, "ports_in 22 in_open_static");
	assert_target(reading, "ports_in 23 ask"); /* the kernel cannot refuse the others */
	assert_target(reading, "ports_in 24 ask"); /* nobody is named, but not everybody is meant */
}

static void a_file_can_keep_every_connection_for_the_daemon(void **state) {
	static const char *const settings[] = {"busy never\n", "inspect all\n", "on-failure closed\n"};
	char text[64];
	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(text, sizeof(text), "%sallow in tcp 22\n", settings[i]);
		struct reading reading = compiled(text, &native);

		assert_target(reading, "ports_in 22 ask");
	}
}

/* A packet on its way through rules that are being replaced may be led there by the map of the others; what a
 * chain does not settle is accepted. */
static void what_no_port_leads_to_asks_all_the_same(void **state) {
	static const char *const never[] = {"busy never\n", "inspect all\n", "on-failure closed\n"};
	struct reading reading;
	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		reading = compiled(never[i], &native);
		assert_way(reading, "in_open ask");
		assert_way(reading, "in_open_static ask");
	}
	reading = compiled("allow in tcp 22\n", &native);
	assert_way(reading, "in_open ask");
	assert_way(reading, "in_open_static ask");
}

/* What a host at the end of the line sends it has made itself, and output has judged it. */
static void nothing_is_learned_where_nothing_is_forwarded(void **state) {
	struct inventory forwarding = {0}, home = {0}, again = {0};
	struct reading before, after, back;
	(void)state;
	compile("allow in tcp 22\n", &xtables, NULL, &forwarding, &before);
	compile("allow in tcp 22\n", &at_home, &forwarding, &home, &after);
	compile("allow in tcp 22\n", &xtables, &home, &again, &back);
	assert_int_equal(before.kinds[NFT_MSG_DELCHAIN], 0);
	assert_int_equal(after.kinds[NFT_MSG_DELCHAIN], 2); /* dispatch, verdict */
	assert_int_equal(back.kinds[NFT_MSG_DELCHAIN], 0);
	assert_int_equal(back.kinds[NFT_MSG_NEWCHAIN], after.kinds[NFT_MSG_NEWCHAIN] + 2);
	assert_true(after.kinds[NFT_MSG_NEWRULE] < before.kinds[NFT_MSG_NEWRULE]);
	inventory_free(&forwarding);
	inventory_free(&home);
	inventory_free(&again);
}

/* On a busy port what was asked about would get a lease from the kernel. */
static void a_strict_rule_keeps_its_port_the_daemons_among_many_conditions(void **state) {
	char text[8192] = "allow in tcp 81 from 192.0.2.1\nallow in tcp 82 from 192.0.2.1 strict\n";
	size_t length = strlen(text);
	struct reading reading;
	(void)state;

	for (unsigned i = 0; i < 100; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "drop in tcp 80 from 10.0.0.%u\n", i);
	snprintf(text + length, sizeof(text) - length, "allow in tcp 80-82\n");
	reading = compiled(text, &native);
	assert_target(reading, "ports_in 80 " CHAIN_OPEN_STATIC);
	assert_target(reading, "ports_in 82 ask");
}

static void a_logged_or_conditional_refusal_asks(void **state) {
	struct reading reading = compiled("drop in log tcp 23\n"
					  "drop in tcp 24 from 192.0.2.1\n"
					  "drop in tcp 25 on eth1\n",
					  &native);
	(void)state;
	assert_target(reading, "ports_in 23 ask");
	assert_target(reading, "ports_in 26 drop default in drop");
}

static void a_rule_for_every_port_covers_the_map(void **state) {
	struct reading reading = compiled("drop in log any from 192.0.2.1\nallow in tcp 22\n", &native);
	(void)state;
	assert_target(reading, "ports_in 0 ask");
	assert_int_equal(reading.target_count, 2); /* in and out, and no end behind the last port */
}

static void either_dispatch_queues_in_one_chain(void **state) {
	struct reading with_native = compiled("", &native), with_xtables = compiled("", &xtables);
	(void)state;
	assert_string_equal(with_native.asks, " meta bitwise meta queue");
	assert_string_equal(with_xtables.asks, " meta bitwise meta target");
	/* Each of three is made to be removed, two stand. */
	assert_int_equal(with_native.kinds[NFT_MSG_NEWTABLE], 3 + 2);
	assert_int_equal(with_xtables.kinds[NFT_MSG_NEWTABLE], 3 + 2);
	assert_int_equal(with_xtables.kinds[NFT_MSG_NEWRULE], with_native.kinds[NFT_MSG_NEWRULE]);
}

static void conntrack_is_never_started(void **state) {
	(void)state;
	assert_false(
	    compiled("allow in tcp 22\nallow in icmp echo-request\ndrop out any to 192.0.2.1\n", &native)
		.has_ct);
}

/* What is marked and not answered goes to the guard; unmarked it would be accepted. */
static void a_detached_ruleset_still_marks_what_it_would_ask(void **state) {
	struct marks marks = marks_of(0xf0000000);
	struct batch batch;
	struct reading reading;
	(void)state;

	batch_begin(&batch);
	compile_detachment(&batch, &marks);
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[NFT_MSG_DELRULE], 1); /* of the chain `ask` alone */
	assert_int_equal(reading.kinds[NFT_MSG_NEWRULE], 1);
}

/* Nobody has written what stands between attributes. */
static void clear_padding(uint8_t *attributes, size_t length) {
	struct nlattr *attribute = (struct nlattr *)attributes;

	for (int left = (int)length; mnl_attr_ok(attribute, left); attribute = mnl_attr_next(attribute)) {
		uint8_t *payload = mnl_attr_get_payload(attribute);
		size_t size = mnl_attr_get_payload_len(attribute);

		if (attribute->nla_type & NLA_F_NESTED)
			clear_padding(payload, size);
		else
			memset(payload + size, 0, MNL_ALIGN(size) - size);
		left -= MNL_ALIGN(attribute->nla_len);
	}
}

/* The rules of `chain` that a batch makes, as the kernel reads them, in order. Returns their bytes. */
static size_t read_chain(const struct batch *batch, const char *chain, uint8_t *rules, size_t room) {
	const struct nlmsghdr *message;
	int left = (int)batch->length;
	size_t length = 0, header = MNL_ALIGN(sizeof(struct nfgenmsg));

	for (message = (const struct nlmsghdr *)batch->bytes; mnl_nlmsg_ok(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		size_t size = mnl_nlmsg_get_payload_len(message);

		if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE) ||
		    strcmp(mnl_attr_get_str(find_top(message, NFTA_RULE_CHAIN)), chain) != 0)
			continue;
		assert_true(length + size <= room);
		memcpy(rules + length, mnl_nlmsg_get_payload(message), size);
		clear_padding(rules + length + header, size - header);
		length += size;
	}
	return length;
}

/* The daemon changes them while the ruleset stands; the next reload must not change them back. */
static void segments_filled_anew_are_those_of_the_ruleset(void **state) {
	static const char *const chains[] = {"in_ack",  "in_answer",  "in_end",
					     "out_ack", "out_answer", "out_end"};
	static uint8_t whole[65536], anew[65536];
	struct ruleset *ruleset = must_load("busy above 100/s\nallow in tcp 80\n");
	(void)state;

	for (unsigned way = 0; way < 4; way++) {
		struct compile_options options = at_home;
		struct inventory made = {0};
		struct batch rules, segments;

		options.heeds_cuts = way & 1;
		options.unseen_first = way & 2;
		batch_begin(&rules);
		compile_ruleset(&rules, ruleset, &options, NULL, &made);
		assert_true(made.passes_unseen);
		batch_begin(&segments);
		compile_segments(&segments, &options);
		for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
			size_t length = read_chain(&rules, chains[i], whole, sizeof(whole));

			assert_true(length > 0);
			assert_int_equal(read_chain(&segments, chains[i], anew, sizeof(anew)), length);
			assert_memory_equal(anew, whole, length);
		}
		inventory_free(&made);
		batch_free(&rules);
		assert_int_equal(read_batch(&segments).kinds[NFT_MSG_DELRULE], 6);
	}
	ruleset_free(ruleset);
}

/* Before Linux 6.3 what is to be deleted has to be there. */
static void a_port_leaves_both_busy_sets_by_itself(void **state) {
	enum { DESTROY_SETELEM = 30 };
	static bool ports[PORTS] = {[80] = true, [65535] = true};
	struct batch batch;
	struct reading reading;
	(void)state;

	batch_begin(&batch);
	put_busy_removal(&batch, ports, true);
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[DESTROY_SETELEM], 2);
	assert_int_equal(reading.kinds[NFT_MSG_NEWSETELEM] + reading.kinds[NFT_MSG_DELSETELEM], 0);
	batch_begin(&batch);
	put_busy_removal(&batch, ports, false);
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[NFT_MSG_NEWSETELEM], 2);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 2);
}

static void a_revocation_takes_just_its_leases_and_handshakes_under_way(void **state) {
	static const uint8_t here[4] = {10, 0, 0, 1}, there[4] = {10, 0, 0, 2};
	enum { DESTROY_ELEMENTS = 30 };
	struct key key = {.local = addr_from_ipv4(here),
			  .remote = addr_from_ipv4(there),
			  .local_port = 22,
			  .remote_port = 40000,
			  .protocol = PROTOCOL_TCP};
	struct revocation none = {&key, 0}, one = {&key, 1};
	struct batch batch;
	struct reading reading;
	(void)state;

	batch_begin(&batch);
	put_revocation(&batch, &none, true);
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 0);
	batch_begin(&batch);
	put_revocation(&batch, &one, true);
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 4); /* the handshakes are emptied */
	assert_int_equal(reading.kinds[DESTROY_ELEMENTS], 1);
	batch_begin(&batch);
	put_revocation(&batch, &one, false); /* a kernel without it */
	reading = read_batch(&batch);
	assert_int_equal(reading.kinds[NFT_MSG_NEWSETELEM], 1);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 5);
}

/* Unhooking a base chain makes the kernel drop what waits in the queue. */
static void a_reload_keeps_tables_and_base_chains(void **state) {
	struct inventory first = {0}, second = {0};
	struct reading reading;
	(void)state;

	compile("set a = 192.0.2.1\ndrop in tcp 23\nallow in tcp 22 from @a\n", &xtables, NULL, &first,
		&reading);
	compile("allow in tcp 22\n", &xtables, &first, &second, &reading);
	assert_int_equal(reading.kinds[NFT_MSG_DELTABLE], 0);
	assert_int_equal(reading.kinds[NFT_MSG_DELCHAIN], 0);
	assert_int_equal(reading.kinds[NFT_MSG_DELSET], 2); /* a, both families */
	assert_int_equal(reading.kinds[NFT_MSG_DELOBJ], first.counters.count);
	inventory_free(&first);
	inventory_free(&second);
}

/* A daemon that finds a table of its layout fills its sets, and makes none: other sets, another number, or an
 * upgrade does not start. */
static void the_layout_says_which_sets_stand(void **state) {
	struct reading reading = compiled("", &native);
	(void)state;
	assert_string_equal(reading.layout, "sallyport, layout 8, native");
	assert_string_equal(reading.sets,
			    " in_kinds out_kinds lease4 half_in4 half_out4 lease6 half_in6 half_out6 "
			    "asked_out4 asked_out6 busy unseen cut_ports cut4 cut6 named_ports ports_in "
			    "ports_out admitted_ports");
}

static bool has_twice(const char *names, const char *name) {
	const char *first = strstr(names, name);

	return first && strstr(first + 1, name);
}

/* Or one would be filled with what belongs into the other. */
static void no_set_of_the_file_is_one_of_ours(void **state) {
	static const char *const taken[] = {"in.mentioned", "mentioned", "lease", "half_in", "busy"};
	char text[8192] = "", name[80];
	size_t length = 0;
	struct reading reading;
	(void)state;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		length +=
		    (size_t)snprintf(text + length, sizeof(text) - length, "set %s = 192.0.2.1\n", taken[i]);
	for (unsigned i = 0; i < 100; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "drop in tcp 80 from 10.0.0.%u\n", i);
	reading = compiled(text, &native);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		snprintf(name, sizeof(name), " %s_4 ", taken[i]);
		assert_non_null(strstr(reading.sets, name));
		assert_false(has_twice(reading.sets, name));
	}
	assert_non_null(strstr(reading.sets, "mentioned"));
}

/* A look-up in a set that was deleted a moment ago finds nothing, so a packet on its way through the old
 * rules would be dropped: what stays is filled anew in place. */
static void a_reload_fills_sets_in_place(void **state) {
	struct inventory first = {0}, second = {0};
	struct reading reading;
	(void)state;

	compile("set a = 192.0.2.1\nallow in tcp 22 from @a\n", &native, NULL, &first, &reading);
	compile("set a = 192.0.2.2\nallow in tcp 22 from @a\n", &native, &first, &second, &reading);
	assert_int_equal(reading.named_sets, 0);
	assert_int_equal(reading.kinds[NFT_MSG_DELSET], 0);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 6); /* a, both families; the sets of ports */
	inventory_free(&first);
	inventory_free(&second);
}

/* Or a packet on its way through the old rules would take every port for one that nobody names. */
static void named_ports_stay_where_no_rule_looks_them_up(void **state) {
	struct inventory first = {0}, second = {0};
	struct reading reading;
	(void)state;

	compile("allow in tcp 22\n", &native, NULL, &first, &reading);
	compile("allow in tcp 23\n", &native, &first, &second, &reading);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 4);
	inventory_free(&first);
	compile("default in reject\nallow in tcp 22\n", &native, &second, &first, &reading);
	assert_int_equal(reading.kinds[NFT_MSG_DELSETELEM], 3);
	inventory_free(&first);
	inventory_free(&second);
}

/* Accepted without a connection, its reply would be a stranger. */
static void an_echo_request_is_never_settled_by_the_kernel(void **state) {
	struct reading reading = compiled("", &native);
	(void)state;
	for (size_t i = 0; i < reading.comment_count; i++)
		assert_true(strcmp(reading.comments[i], "in_icmpv6 essentials:17") != 0);
	assert_comment(reading, "in_static essentials:17");
}

/* A list of elements is one netlink attribute of at most 64 KiB. */
static void a_large_set_is_cut_into_messages(void **state) {
	enum { MEMBERS = 3000, LINE = 18 };
	char *text = malloc(MEMBERS * LINE + 64);
	size_t length = (size_t)sprintf(text, "set a = 10.0.0.0");
	struct reading reading;
	(void)state;

	for (unsigned i = 1; i < MEMBERS; i++)
		length += (size_t)sprintf(text + length, ",10.%u.%u.%u", i >> 15 & 255, i >> 7 & 255,
					  (i << 1) & 255);
	sprintf(text + length, "\nallow in tcp 22 from @a\n");
	reading = compiled(text, &native);
	free(text);
	assert_true(reading.kinds[NFT_MSG_NEWSETELEM] > 3);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_rule_carries_its_line),
	    cmocka_unit_test(ports_that_nobody_names_are_dropped_at_once),
	    cmocka_unit_test(ports_ask_only_where_a_rule_may_allow),
	    cmocka_unit_test(ports_are_open_where_the_rules_are_static),
	    cmocka_unit_test(many_conditions_are_the_daemons),
	    cmocka_unit_test(whoever_no_rule_names_is_told_apart),
	    cmocka_unit_test(a_file_can_keep_every_connection_for_the_daemon),
	    cmocka_unit_test(what_no_port_leads_to_asks_all_the_same),
	    cmocka_unit_test(nothing_is_learned_where_nothing_is_forwarded),
	    cmocka_unit_test(a_strict_rule_keeps_its_port_the_daemons_among_many_conditions),
	    cmocka_unit_test(a_logged_or_conditional_refusal_asks),
	    cmocka_unit_test(a_rule_for_every_port_covers_the_map),
	    cmocka_unit_test(either_dispatch_queues_in_one_chain),
	    cmocka_unit_test(conntrack_is_never_started),
	    cmocka_unit_test(a_detached_ruleset_still_marks_what_it_would_ask),
	    cmocka_unit_test(segments_filled_anew_are_those_of_the_ruleset),
	    cmocka_unit_test(a_port_leaves_both_busy_sets_by_itself),
	    cmocka_unit_test(a_revocation_takes_just_its_leases_and_handshakes_under_way),
	    cmocka_unit_test(a_reload_keeps_tables_and_base_chains),
	    cmocka_unit_test(the_layout_says_which_sets_stand),
	    cmocka_unit_test(no_set_of_the_file_is_one_of_ours),
	    cmocka_unit_test(a_reload_fills_sets_in_place),
	    cmocka_unit_test(named_ports_stay_where_no_rule_looks_them_up),
	    cmocka_unit_test(an_echo_request_is_never_settled_by_the_kernel),
	    cmocka_unit_test(a_large_set_is_cut_into_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
