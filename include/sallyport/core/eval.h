/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A sealed ruleset and a question -> the first rule that matches.
 */
#ifndef SALLYPORT_CORE_EVAL_H
#define SALLYPORT_CORE_EVAL_H

#include "sallyport/core/parse.h"
#include "sallyport/core/rule.h"

struct answer {
	enum action action;
	const struct rule *rule; /* NULL: the default decided */
};

/* Builds ruleset->index. Called by ruleset_load as its last step. False: out of memory. */
bool ruleset_seal(struct ruleset *ruleset);
void rule_index_free(struct rule_index *index);

/* Cost grows with the logarithm of the number of rules for rules that differ in port
 * or in remote address (`from` of in, `to` of out). */
struct answer eval(const struct ruleset *ruleset, const struct question *question);

/* Whether this one rule matches, and if not, what did not hold. */
enum condition {
	CONDITION_DIRECTION = 1 << 0,
	CONDITION_PROTOCOL = 1 << 1,
	CONDITION_PORT = 1 << 2, /* the service's port */
	CONDITION_FROM = 1 << 3,
	CONDITION_FROM_PORT = 1 << 4,
	CONDITION_TO = 1 << 5,
	CONDITION_INTERFACE = 1 << 6,
	CONDITION_TYPE = 1 << 7, /* the ICMP type, where a port would stand */
};
unsigned rule_failed_conditions(const struct rule *rule, const struct question *question);

struct near_miss {
	const struct rule *rule;
	enum condition condition; /* the one that did not hold */
};
/* Rules of the same direction that would have answered otherwise than `answer`, but for
 * one condition, in file order, essentials left out. Returns how many of `max` were filled. */
size_t near_misses(const struct ruleset *ruleset, const struct question *question,
		   const struct answer *answer, struct near_miss *misses, size_t max);
/* "the source", "the port", ...: "line 12 would allow it but for the source". */
const char *condition_text(enum condition condition);

/* Adds a warning for every rule that can never match because earlier rules cover it. */
void warn_covered(const struct ruleset *ruleset, struct diagnostics *diagnostics);
/* Adds an error for every `expect` that does not hold. */
void check_expectations(const struct ruleset *ruleset, struct diagnostics *diagnostics);

#endif
