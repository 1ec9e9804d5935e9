/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one error idiom of the project.
 */
#include "sallyport/core/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *err, const char *format, ...) {
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(err->text, sizeof err->text, format, arguments);
	va_end(arguments);
	return false;
}
