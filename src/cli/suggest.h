/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "Did you mean?"
 */
#ifndef SALLYPORT_CLI_SUGGEST_H
#define SALLYPORT_CLI_SUGGEST_H

#include <stddef.h>

/* The name nearest to `word`, at most two slips of the finger away (one for words under
 * five letters); NULL where none is near. */
const char *suggest(const char *word, const char *const *names, size_t count);

#endif
