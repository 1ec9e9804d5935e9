/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pieces that several answers are made of. Each gives a new reference, or NULL when out
 * of memory; jansson carries a NULL through to the object as a whole.
 */
#ifndef SALLYPORT_DAEMON_ANSWER_H
#define SALLYPORT_DAEMON_ANSWER_H

#include <jansson.h>

#include "sallyport/core/rule.h"

/* File names may hold any byte, JSON only UTF-8: others become '?'. */
json_t *answer_text(const char *text);
/* {"file":...,"line":...}; NULL gives null. */
json_t *answer_place(const struct place *place);
/* The rule as the canonical line of text. */
json_t *answer_rule(const struct rule *rule);
/* "default in drop" */
json_t *answer_default(const struct ruleset *ruleset, enum direction direction);
json_t *answer_count(uint64_t count);
/* 0 for what another thread, whose second began earlier than ours, has just done. */
json_t *answer_seconds_since(uint32_t then, uint32_t now);

#endif
