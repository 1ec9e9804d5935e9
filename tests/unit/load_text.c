/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A ruleset from text, and what is wrong with it where it does not load.
 */
#include "load_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "memory_world.h"

struct ruleset *load_text(const char *text, const char *set_text, struct diagnostics *diagnostics) {
	const struct memory_file files[] = {
	    {"test.rules", text}, {"blocked.txt", set_text ? set_text : ""}, {NULL, NULL}};
	struct world world = memory_world(files);
	struct diagnostics own = {0};
	struct ruleset *ruleset = ruleset_load("test.rules", &world, diagnostics ? diagnostics : &own);

	if (!ruleset && !diagnostics) {
		char *said = diagnostics_text(&own);
		fprintf(stderr, "this ruleset does not load:\n%s\n%s\n", text, said ? said : "");
		free(said);
	}
	diagnostics_free(&own);
	return ruleset;
}
