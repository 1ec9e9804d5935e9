/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ruleset -> nftables messages. No socket here, so it can be tested without a kernel.
 */
#ifndef SALLYPORT_KERNEL_COMPILE_H
#define SALLYPORT_KERNEL_COMPILE_H

#include <libnftnl/rule.h>

#include "netlink.h"
#include "sallyport/core/rule.h"
#include "sallyport/kernel/install.h"
#include "sallyport/kernel/mark.h"

/* Names that a later reload has to delete. */
struct names {
	char **items;
	size_t count, room;
};
struct inventory {
	struct names sets, counters;
	bool learns;        /* there are base chains at postrouting */
	bool passes_unseen; /* there are chains for compile_segments */
	bool judges;        /* there is one for compile_pause */
	/* By direction, PORTS each: the rule that settles new connections to the port, or
	 * OWNER_DEFAULT or OWNER_ASK. */
	uint32_t *port_owners[2];
	/* The same, of ports that the kernel may admit to by itself: see busy.c. */
	uint32_t *open_owners;
	/* Of a table that was taken over, instead: PORTS, those that an earlier daemon's kernel has
	 * admitted to. */
	bool *unseen;
	/* PORTS, those that the ruleset before let the kernel admit to and this one does not; NULL: none. */
	bool *closed;
};
enum { PORTS = 65536 };
#define OWNER_DEFAULT UINT32_MAX
#define OWNER_ASK     (UINT32_MAX - 1)
void inventory_free(struct inventory *inventory);
void names_free(struct names *names);

struct compile_options {
	enum dispatch dispatch;
	uint16_t queue_first, queue_last;
	uint16_t copies_group; /* of nflog */
	bool forwards;         /* see forwarding.h; without, nothing is learned at postrouting */
	/* Of a host that forwards nothing. Whether segments are looked up in `cut` before they pass unseen:
	 * not while nothing was cut. And in `unseen` before leases: not before anything was admitted. */
	bool heeds_cuts, unseen_first;
};

/* How the busy kernel tells connections under conditions apart: see busy.c. */
enum busy_way {
	BUSY_NOT,       /* not at all: their ports are the daemon's */
	BUSY_STATIC,    /* by the static rules, which are few */
	BUSY_MENTIONED, /* whoever no rule names is admitted, the others are the daemon's */
};

/* Everything that one compilation carries along. */
struct compiler {
	struct batch *batch;
	const struct ruleset *ruleset;
	const struct compile_options *options;
	struct marks marks;
	bool admits; /* something by itself: see busy.c */
	enum busy_way busy;
	uint32_t sets;               /* ids given so far */
	const struct inventory *old; /* NULL: nothing stands */
	struct inventory *made;
};

/* Appends to `batch`, which the caller begins and ends, what turns the kernel's table into this ruleset.
 * `old` names what an earlier ruleset left there; NULL: whatever stands under our names goes first. *made is
 * filled with what the next reload has to delete. */
void compile_ruleset(struct batch *batch, const struct ruleset *ruleset,
		     const struct compile_options *options, const struct inventory *old,
		     struct inventory *made);
/* Appends what fills the chains of segments anew, by other options, in a ruleset that admits and of a host
 * that forwards nothing. */
void compile_segments(struct batch *batch, const struct compile_options *options);
/* Appends what makes the busy kernel ask where it would judge, or judge again. A ruleset begins with a pause:
 * while a transaction changes a set of ranges, a look-up may miss what is there before and after (Linux 6.18:
 * of 8,000 SYNs a second, 0.7 a reload; see the .commit of net/netfilter/nft_set_rbtree.c). */
void compile_pause(struct batch *batch, bool pause);
/* Appends the removal of what sends packets to the queue. */
void compile_detachment(struct batch *batch, const struct marks *marks);
/* Of the named sets in our table, those that no reload deletes or fills. */
bool compile_is_lasting_set(const char *name);
/* Appends the removal of every table of ours, there or not. */
void compile_removal(struct batch *batch);

/* ---- objects.c: what the others write with ---- */

struct base_chain {
	const char *name;
	uint32_t hook;    /* enum nf_inet_hooks */
	int32_t priority; /* lower is earlier */
};

/* type: NFT_MSG_NEW... or NFT_MSG_DEL...; what is new may be there already. */
void put_table(struct batch *batch, uint16_t type, uint16_t family);
/* base NULL: a chain that others go to. */
void put_chain_message(struct batch *batch, uint16_t type, uint16_t family, const char *name,
		       const struct base_chain *base);
void put_counter_message(struct batch *batch, uint16_t type, uint16_t family, const char *name);

/* Of all rules in `chain`; NULL: in the table. */
void put_flush(struct batch *batch, uint16_t family, const char *chain);
struct nftnl_rule *rule_start(uint16_t family, const char *chain);
/* Appends the rule to its chain and frees it. */
void rule_finish(struct compiler *compiler, struct nftnl_rule *rule);
/* The same, for one that ends with accept. */
void finish_accept(struct compiler *compiler, struct nftnl_rule *rule);
enum { PLACE_COMMENT = 128 };
/* "FILE:LINE" */
void place_text(const struct place *place, char text[PLACE_COMMENT]);
void place_comment(struct nftnl_rule *rule, const struct place *place);
/* "rule_7": the counter of rules[7]. */
void rule_object_name(uint32_t index, char name[24]);
uint32_t next_set_id(struct compiler *compiler);
void put_counter(struct compiler *compiler, const char *name);
void put_chain(struct compiler *compiler, const char *name);
void names_add(struct names *names, const char *name);

/* match.c: one rule of the file as nftables rules in `chain`, each ended by `finish`. A rule with
 * alternatives (families, protocols, sets, interfaces) becomes several. */
void put_rule(struct compiler *compiler, const char *chain, const struct rule *rule,
	      void (*finish)(struct compiler *, struct nftnl_rule *, const struct rule *));
/* The kernel's name of a named set. */
void set_name(const struct set *set, enum family family, char name[80]);
/* compile.c: a named set of those of `family` among `ranges`; one that stands is filled anew. */
void put_filled_set(struct compiler *compiler, const char *name, enum family family,
		    const struct addr_range *ranges, size_t count);

/* ports.c: the verdict map of one direction; `standing`: it is there and is filled anew. */
void put_ports(struct compiler *compiler, enum direction direction, bool standing);
const char *port_map_name(enum direction direction);
/* Drops new connections to ports that no rule speaks of, if the default does so, before the map is asked.
 * Behind put_ports, which finds those. */
void put_closed_ports(struct compiler *compiler, const char *chain);
#define CLOSED_COUNTER "closed" /* of those; a part of default_in */
/* The sets of those ports that are open to all. */
void put_open_ports(struct compiler *compiler, bool standing);

/* busy.c: what the kernel admits while it is busy. */
enum busy_way busy_way_of(const struct ruleset *ruleset);
void put_busy_sets(struct compiler *compiler);
/* What was admitted to these of PORTS passes no more without the daemon's knowledge. `destroy`: see
 * put_revocation. */
void put_busy_removal(struct batch *batch, const bool *ports, bool destroy);
/* Counts the SYN as admitted, and from now on its port's other segments pass too. */
void expr_admitted(struct nftnl_rule *rule);
void put_busy_chains(struct compiler *compiler);
void put_pause(struct compiler *compiler, bool pause);
/* A SYN from outside that the daemon allows: its ports are no longer those of one that was cut. */
void expr_uncut(struct nftnl_rule *rule, enum family family);
/* Segments of connections that were opened unseen go on. Only TCP comes by in `chain`, and no pure SYN. */
void put_unseen(struct compiler *compiler, const char *chain, enum direction direction);

/* mentioned.c: the set of all sources that a rule for connections from outside names. */
const char *mentioned_set(enum family family);
bool rule_names_sources(const struct rule *rule);
/* False: more than the kernel is given twice. */
bool kernel_knows_mentioned(const struct ruleset *ruleset);
void put_mentioned(struct compiler *compiler);

/* dispatch.c */
void put_dispatch(struct compiler *compiler);
/* Empties the chains of ACKs, of what ends a connection, and of answers, and fills them. */
void put_segments_anew(struct compiler *compiler);
/* The maps from what a segment is for to its chain; lasting. */
void put_kinds(struct compiler *compiler);
/* Ends a rule: to the queues, by what the kernel has for it. */
void expr_queue_by(struct nftnl_rule *rule, const struct compile_options *options);
/* The chain that marks a packet ASK and, with `queues`, queues it. */
void put_ask(struct compiler *compiler, bool queues);
/* Of the essentials, those that stand before the file's own rules and open nothing: an answer to a
 * query must find a connection. */
bool kernel_accepts(const struct ruleset *ruleset, uint32_t index);

/* fast_path.c: leases. */
void put_lease_sets(struct compiler *compiler);
/* What has one goes to `target`, NULL: passes. */
void put_lease_lookups(struct compiler *compiler, const char *chain, enum direction direction,
		       const char *target);
/* Of handshakes under way: for SYN/ACKs, which only answer, and for segments without SYN. */
void put_answering_lookups(struct compiler *compiler, const char *chain, enum direction direction);
void put_handshake_lookups(struct compiler *compiler, const char *chain, enum direction direction);
/* A SYN from outside that crosses one of this host's own (RFC 9293 3.5) is no new connection. */
void put_crossing(struct compiler *compiler, const char *chain);
/* CHAIN_PASS_OUT: accepts what the daemon lets pass without a lease, and remembers its SYNs for that. */
void put_pass_out(struct compiler *compiler);
/* The chains that those lead to, and the one that grants. */
void put_fast_path(struct compiler *compiler, enum direction direction);
/* Where the host forwards: an ACK of what the busy kernel admitted is accepted, and gets it a short lease. */
void put_unseen_renewals(struct compiler *compiler, const char *chain, enum direction direction);
/* Accepts the packet, and gives its connection a place in `half` or a lease. */
const char *grant_chain(enum direction direction);
/* For a FIN or RST of a connection that has a lease. */
const char *ended_chain(enum direction direction);

/* verdict.c, guard.c: also the static rules, at CHAIN_STATIC, for packets from outside that the guard judges,
 * or, with `marks.learn` set, that the busy kernel does. */
void put_verdicts(struct compiler *compiler);
void put_guard(struct compiler *compiler);

#define LEARN_DISPATCH    "learn_dispatch"
#define CHAIN_ASK         "ask"
#define CHAIN_REJECT      "reject"
#define CHAIN_PASS_OUT    "out_pass"
#define CHAIN_OPEN        "in_open"
#define CHAIN_OPEN_STATIC "in_open_static"
#define CHAIN_STATIC      "in_static"

#endif
