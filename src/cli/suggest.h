/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "Did you mean?"
 */
#ifndef SALLYPORT_CLI_SUGGEST_H
#define SALLYPORT_CLI_SUGGEST_H

#include <stddef.h>

/* The name nearest to `word`, as core/nearest.h measures; NULL where none is near enough. */
const char *suggest(const char *word, const char *const *names, size_t count);

#endif
