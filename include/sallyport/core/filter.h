/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joins packet, table and rules: one call down, one value up.
 */
#ifndef SALLYPORT_CORE_FILTER_H
#define SALLYPORT_CORE_FILTER_H

#include <stdatomic.h>

#include "sallyport/core/eval.h"
#include "sallyport/core/table.h"

/* Where the packet was stopped. */
enum hook {
	HOOK_IN,   /* prerouting: towards this host */
	HOOK_OUT,  /* output: from this host's sockets */
	HOOK_LEARN /* postrouting: leaves with a local source after address translation; always passes */
};

/* What goes with a packet. It belongs to the thread that judges it, so does `names`:
 * `name_of` gives the name of an interface for `on` (NULL: unknown; valid until the next
 * call), of this packet's or of the one that a connection was opened on. */
struct arrival {
	enum hook hook;
	uint32_t interface_index; /* in for HOOK_IN, out for the others; 0: unknown */
	const char *(*name_of)(void *names, uint32_t index); /* NULL: no name is ever known */
	void *names;
};

/* Per rule, shared by all workers, relaxed atomics. */
struct rule_counters {
	_Atomic uint64_t packets;     /* of its connections, and those it refused */
	_Atomic uint64_t connections; /* that it opened (allow), or tries it refused */
	_Atomic uint32_t last_hit;    /* seconds of the monotonic clock; 0: never */
};

/* One ruleset in force and its counters: [0..count) by rule, then default in, default out. */
struct policy {
	const struct ruleset *ruleset;
	struct rule_counters *counters;
};

struct filter {
	struct table *table;
	/* Bumped by the daemon when packets may have passed unseen (the guard judged some):
	 * windows of connections with an older epoch are learned again instead of checked. */
	_Atomic uint8_t epoch;
	/* The kernel admits connections by itself, or did lately, of which the table may not know yet. */
	_Atomic bool behind;
};

enum verdict { VERDICT_ACCEPT, VERDICT_DROP, VERDICT_REJECT };

struct decision {
	enum verdict verdict;
	enum reason reason;
	uint32_t rule; /* index into the ruleset, or NO_RULE; only where a rule or default decided */
	bool opened;   /* a connection was inserted */
	bool log;      /* the rule says `log`, and it decided about this very packet */
	bool lease;    /* packets of its connection may pass unseen for a while */
	enum direction direction; /* of the opening, for the log */
};

/* Judges one parsed packet:
 *
 *   an ICMP error            passes where it goes to the sender of the packet inside, and that belongs to a
 *                            connection of the table (with `strict`: and fits its window), or while the
 *                            table is behind, to one that the rules would let in: the stack checks the rest
 *   of a known connection    its tracker judges: state and window; but the opener's ACK passes where the copy
 *                            of the SYN/ACK may still be on its way here
 *   at HOOK_LEARN            passes, and is entered so that its replies pass
 *   opens a connection       the rules judge; what they allow is entered
 *   in mid-stream            with `pickup on` as if it opened; else only this host's RSTs pass
 *   ICMP of any other kind   the rules judge every packet (redirects, neighbour discovery)
 *
 * What passes may come with a lease: TCP with its first SYN (the handshake) and when it is open, UDP when it
 * is the host's own, or from the second packet of a side on (a forged one alone must not fill the kernel's
 * memory); not what a `strict` rule opened, or with `inspect all`.
 *
 * `now` in seconds of the monotonic clock. Thread-safe: takes the stripe's lock. A connection
 * whose generation is older than the policy's is judged again by its opening before anything
 * else, and cut where the rules no longer allow it: STATE_CUT. */
struct decision filter_packet(struct filter *filter, const struct policy *policy, const struct packet *packet,
			      const struct arrival *arrival, uint32_t now);

/* A packet that has passed on a lease, copied: brings its connection up to date. While the handshake goes
 * on, what does not fit it changes nothing, so that a forged ACK opens nothing; later there is
 * nothing to check it against. False: of no connection of the table. */
bool filter_see(struct filter *filter, const struct policy *policy, const struct packet *packet,
		const struct arrival *arrival, uint32_t now);

/* For the sweep after a reload: judges the connection by its opening again. True: it
 * stays, and rule and generation are brought up to date; where its rule is strict now it loses
 * CONNECTION_LEASED. `interface` is its name or NULL. */
bool filter_recheck(const struct policy *policy, const struct key *key, struct connection *connection,
		    const char *interface);

/* The question that a connection's opening was. */
struct question connection_question(const struct key *key, enum direction direction, const char *interface);

#endif
