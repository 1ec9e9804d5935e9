/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Random rulesets as text, each with a model of what it says, and a judge of questions by that
 * model. The judge knows nothing of struct ruleset: it follows the manual page, one condition
 * after the other, rule by rule. So parser, printer and evaluation are checked against it
 * together.
 */
#ifndef SALLYPORT_TESTS_RANDOM_RULES_H
#define SALLYPORT_TESTS_RANDOM_RULES_H

#include "sallyport/core/parse.h"

/* The same seed gives the same numbers everywhere. */
struct dice {
	uint64_t state;
};

uint32_t roll(struct dice *dice, uint32_t sides); /* 0..sides - 1 */
bool chance(struct dice *dice, uint32_t percent);

enum { MODEL_ITEMS = 64, MODEL_NAMES = 4, MODEL_SETS = 4, MODEL_SERVICES = 3 };

struct model_ports {
	bool given, negate;
	struct port_range ranges[MODEL_ITEMS];
	unsigned count;
};

struct model_addrs {
	bool given, negate;
	struct addr_range ranges[MODEL_ITEMS];
	unsigned count;
};

struct model_rule {
	unsigned line;
	enum action action;
	enum direction direction;
	bool any;
	uint8_t protocols[MODEL_NAMES];
	unsigned protocol_count;
	struct model_ports ports; /* behind the protocols: ports or ICMP types */
	struct match services[MODEL_ITEMS];
	unsigned service_count;
	struct model_addrs from, to;
	struct model_ports from_ports, to_ports;
	bool on_negate;
	const char *names[MODEL_NAMES];
	unsigned name_count;
};

struct model {
	struct dice *dice;
	char *text;     /* the rules file */
	char *set_text; /* the file "blocked.txt" that a set of it may read */
	size_t length, room;
	unsigned lines;
	struct model_rule *rules;
	size_t count;
	enum action defaults[2];
	struct model_addrs sets[MODEL_SETS];
	struct match services[MODEL_SERVICES][2];
	/* Few values, so that rules meet. */
	struct addr addrs[12];
	uint16_t ports[10];
};

struct model_options {
	unsigned rules;  /* at most */
	bool essentials; /* leave them on; the judge does not know them */
	bool settings;   /* also write settings and `expect` lines */
};

/* By the bytes alone. */
bool model_is_ipv4(const struct addr *addr);

/* Owner: the caller, model_free. */
struct model *model_new(struct dice *dice, const struct model_options *options);
void model_free(struct model *model);

/* One that lies on or beside the ends of what the rules name. Its interface is constant. */
struct question model_question(struct model *model);
/* The same, aimed at one rule. */
struct question model_question_at(struct model *model, const struct model_rule *rule);

struct judgement {
	enum action action;
	unsigned line; /* of the rule; 0: the default */
};
struct judgement model_judge(const struct model *model, const struct question *question);

#endif
