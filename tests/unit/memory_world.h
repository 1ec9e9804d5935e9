/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A struct world for tests: files in memory or on disk, and service names that do not depend on
 * the machine.
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
/* The files of the disk; only the services are made up. */
struct world disk_world(void);

/* Loads text as the file "test.rules"; the caller frees both. */
struct ruleset *load_rules(const char *text, struct diagnostics *diagnostics);
/* As load_rules; fails the test with the diagnostics where it does not load. */
struct ruleset *must_load(const char *text);
/* The text of the diagnostics; the test fails where it loads. Malloc'ed. */
char *must_fail(const char *text);

#endif
