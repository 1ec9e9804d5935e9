/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A ruleset from text in memory.
 */
#ifndef SALLYPORT_TESTS_LOAD_TEXT_H
#define SALLYPORT_TESTS_LOAD_TEXT_H

#include "sallyport/core/parse.h"

/* As file "test.rules", beside it "blocked.txt" (`set_text`, NULL: empty), in the world of
 * memory_world.h. `diagnostics` may be NULL: then they are printed where the load fails. */
struct ruleset *load_text(const char *text, const char *set_text, struct diagnostics *diagnostics);

#endif
