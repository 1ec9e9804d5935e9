/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rules for tests of the daemon, from a few lines of text.
 */
#ifndef SALLYPORT_TESTS_DAEMON_RULES_OF_H
#define SALLYPORT_TESTS_DAEMON_RULES_OF_H

#include "../memory_world.h"
#include "sallyport/daemon/policy.h"

/* A version of rules that must load, as the file "test.rules". */
static inline struct policy_version *version_of(const char *text, uint32_t generation) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = load_rules(text, &diagnostics);
	struct policy_version *version = ruleset ? policy_new(ruleset, generation) : NULL;

	diagnostics_free(&diagnostics);
	if (!version)
		fail_msg("these rules do not load:\n%s", text);
	return version;
}

#endif
