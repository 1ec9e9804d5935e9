/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For tests whose rules must load, or must not.
 */
#ifndef SALLYPORT_TESTS_MUST_LOAD_H
#define SALLYPORT_TESTS_MUST_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../memory_world.h"

/* The test fails with the diagnostics where the text does not load. */
static inline struct ruleset *must_load(const char *text) {
	struct diagnostics diagnostics;
	struct ruleset *ruleset = load_rules(text, &diagnostics);
	char *shown = diagnostics_text(&diagnostics);

	if (!ruleset)
		fail_msg("%s", shown);
	free(shown);
	diagnostics_free(&diagnostics);
	return ruleset;
}

/* The text of the diagnostics, malloc'ed; the test fails where the text loads. */
static inline char *must_fail(const char *text) {
	struct diagnostics diagnostics;
	struct ruleset *ruleset = load_rules(text, &diagnostics);
	char *shown = diagnostics_text(&diagnostics);

	diagnostics_free(&diagnostics);
	if (ruleset)
		fail_msg("loads although it should not:\n%s", text);
	return shown;
}

#endif
