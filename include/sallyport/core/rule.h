/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules, sets, services, the ruleset. A ruleset is built by the parser, sealed
 * once, and immutable from then on: any thread may read it.
 *
 * The language is in sallyport.rules(5); the semantics in short: first match wins; no
 * match means the default of the direction; both families unless an address says
 * otherwise; the port after the protocol is the service's port (the `to` side's).
 */
#ifndef SALLYPORT_CORE_RULE_H
#define SALLYPORT_CORE_RULE_H

#include "sallyport/core/addr.h"
#include "sallyport/core/key.h"
#include "sallyport/core/track.h"

enum action { ACTION_ALLOW, ACTION_DROP, ACTION_REJECT };

/* Where a statement stands; `file` is interned in the ruleset. */
struct place {
	const char *file;
	unsigned line; /* from 1 */
};

struct port_range {
	uint16_t lo, hi; /* inclusive */
};

/* count 0: any port. Sorted, merged; a `not` in the text is already taken out. */
struct port_list {
	struct port_range *ranges;
	size_t count;
};

/* `set NAME = ...` or `set NAME from file "PATH"`. Both families; normalized. */
struct set {
	char *name;
	char *file; /* absolute or as given on the command line; NULL: inline */
	struct addr_range *ranges;
	size_t count;
	struct place place;
};

/* `from` and `to`. Matches where negate != (an item holds the address); neither
 * ranges nor sets: any address. */
struct addr_list {
	bool negate;
	struct addr_range *ranges; /* normalized */
	size_t count;
	const struct set **sets; /* owned by the ruleset */
	size_t set_count;
};

/* `on eth0,wg*`: a trailing * matches any rest. count 0: any interface. */
struct interface_list {
	bool negate;
	char **names;
	size_t count;
};

/* One protocol with one range of ports (TCP, UDP) or of message types (ICMP, ICMPv6);
 * 0..65535 for the whole protocol. */
struct match {
	uint8_t protocol;
	struct port_range ports;
};

/* What a rule is about. Matching uses `any` and `matches` alone; the rest is kept
 * as it was written, to print it. */
struct what {
	bool any;              /* every protocol */
	struct match *matches; /* one of them must hold */
	size_t count;
	char **services; /* names, where the rule named services; else NULL */
	size_t service_count;
	uint8_t *protocols; /* where it named protocols; else NULL */
	size_t protocol_count;
	struct port_list ports;
};

struct rule {
	enum action action;
	enum direction direction;
	bool log;
	bool strict;    /* every packet of its connections is judged: no leases */
	bool essential; /* built in; `essentials off` removes it */
	struct what what;
	struct addr_list from, to;
	struct port_list from_ports, to_ports;
	struct interface_list on;
	struct place place; /* essentials: file "essentials" */
};

/* `service NAME = tcp 7000, udp 7000` */
struct service {
	char *name;
	struct match *matches;
	size_t count;
	struct place place;
};

enum { BUSY_RATE_DEFAULT = 1000 };

struct settings {
	bool essentials;      /* default on */
	bool pickup;          /* mid-stream TCP may open a connection; default off */
	bool inspect_all;     /* `inspect all`: every rule is strict; default off */
	bool failure_closed;  /* `on-failure closed`: without the daemon nothing new is admitted */
	uint32_t busy_rate;   /* new connections a second above which the kernel judges by itself; 0: never;
				 default 1,000 */
	uint32_t mark_mask;   /* >= 4 adjoining bits; default 0xf0000000 */
	uint32_t connections; /* bound of the table; default 1,000,000 */
	struct timeouts timeouts;
};

/* What eval answers: one connection that somebody wants to open. */
struct question {
	enum direction direction;
	struct addr from, to; /* from opens */
	uint16_t from_port, to_port;
	uint8_t protocol;
	uint8_t icmp_type;
	const char *interface; /* NULL: unknown, matches only rules without `on` */
};

/* `expect allow in tcp from 192.0.2.7 to 22` */
struct expectation {
	enum action action;
	struct question question; /* interface owned */
	char *text;               /* the probe as written */
	struct place place;
};

struct rule_index; /* private to eval */

struct ruleset {
	struct rule *rules; /* in the order of evaluation, essentials included */
	size_t count;
	enum action defaults[2]; /* by enum direction */
	struct settings settings;
	struct set **sets;
	size_t set_count;
	struct service *services;
	size_t service_count;
	struct expectation *expectations;
	size_t expectation_count;
	char **files; /* every file read, in order, and the interned names of places */
	size_t file_count;
	uint32_t generation; /* given by the daemon when it takes the ruleset over */
	struct rule_index *index;
};

void ruleset_free(struct ruleset *ruleset);
const struct set *ruleset_set(const struct ruleset *ruleset, const char *name);

const char *action_name(enum action action);          /* "allow" */
const char *direction_name(enum direction direction); /* "in" */

/* "tcp", "gre", ...; NULL where the number has no name. And back, by name or number. */
const char *protocol_name(uint8_t protocol);
bool protocol_parse(const char *text, uint8_t *protocol);
/* "echo-request"; NULL where unknown. `protocol` is PROTOCOL_ICMP or PROTOCOL_ICMPV6. */
const char *icmp_type_name(uint8_t protocol, uint8_t type);
bool icmp_type_parse(uint8_t protocol, const char *text, uint8_t *type);

/* Whoever opens the connection and wherever it goes, only protocol and port count. */
bool rule_is_unconditional(const struct rule *rule);
/* The kernel can judge by this rule: there is nothing to check later or to write down about a single
 * connection. */
bool rule_is_static(const struct rule *rule);
/* What the kernel counts for this rule is connections that it has admitted, not packets that it has settled.
 */
bool rule_counts_admissions(const struct rule *rule);
/* The kernel may admit by itself at all: `busy never`, `inspect all` and `on-failure closed` say no. */
bool settings_allow_busy(const struct settings *settings);

/* Sorts and merges in place. */
void port_list_normalize(struct port_list *list);
bool port_list_contains(const struct port_list *list, uint16_t port); /* count 0: true */
bool addr_list_matches(const struct addr_list *list, const struct addr *addr);
bool addr_list_is_any(const struct addr_list *list);
bool interface_list_matches(const struct interface_list *list, const char *name);
bool what_matches(const struct what *what, uint8_t protocol, uint16_t port_or_type);

#endif
