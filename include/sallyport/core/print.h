/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Ruleset -> canonical text; parsing that text gives an equal ruleset. Essentials are
 * left out of the whole (the `essentials off` line stands for their absence), but
 * rule_print prints one as any other.
 */
#ifndef SALLYPORT_CORE_PRINT_H
#define SALLYPORT_CORE_PRINT_H

#include "sallyport/core/rule.h"

/* All malloc'ed, the caller's; NULL: out of memory. */
char *rule_print(const struct rule *rule); /* one line, no newline */
char *ruleset_print(const struct ruleset *ruleset);
char *question_print(const struct question *question); /* as a probe */
/* "2h4m" */
char *duration_print(uint32_t seconds, char text[32]);

/* True where both mean and say the same, places and generation apart. */
bool ruleset_equal(const struct ruleset *left, const struct ruleset *right);

#endif
