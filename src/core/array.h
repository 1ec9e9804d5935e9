/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arrays that grow by one, and a string that grows. The capacity of an array is not
 * kept: it is the next power of two above the count, so an array that was cut
 * short must not grow again.
 */
#ifndef SALLYPORT_CORE_ARRAY_H
#define SALLYPORT_CORE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* `array` is the address of the array's pointer. Returns the new last item, zeroed;
 * NULL: out of memory, nothing has changed. */
void *array_add(void *array, size_t *count, size_t item_size);
/* Gives back what lies beyond `count`. */
void array_trim(void *array, size_t count, size_t item_size);

/* Starts as all zeroes. `failed`: out of memory; what was put since is lost. */
struct text {
	char *bytes;
	size_t length, capacity;
	bool failed;
};

void text_put(struct text *text, const char *bytes, size_t length);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands over the malloc'ed string, "" where nothing was put. NULL: out of memory. */
char *text_take(struct text *text);

#endif
