/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A struct world for tests: files in memory, and service names that do not depend on the machine.
 */
#ifndef SALLYPORT_TESTS_MEMORY_WORLD_H
#define SALLYPORT_TESTS_MEMORY_WORLD_H

#include "sallyport/core/parse.h"

struct memory_file {
	const char *path; /* NULL ends a list */
	const char *text;
};

/* The list must outlive the world. */
struct world memory_world(const struct memory_file *files);
/* Loads text as the file "test.rules"; the caller frees both. */
struct ruleset *load_rules(const char *text, struct diagnostics *diagnostics);
#endif
