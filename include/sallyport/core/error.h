/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One error idiom: a function that can fail for a reason a person should read takes
 * a `struct error *` last, answers false (or NULL, or -1), and leaves its outputs
 * untouched. The text is one line without a newline: what, where, why, what to do.
 */
#ifndef SALLYPORT_CORE_ERROR_H
#define SALLYPORT_CORE_ERROR_H

#include <stdbool.h>

struct error {
	char text[512];
};

/* Writes the text (cut at the buffer's end) and returns false, so that a caller
 * can say `return error_set(err, ...)`. */
bool error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
