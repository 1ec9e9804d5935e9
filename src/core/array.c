/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Growing arrays and strings.
 */
#include "array.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *array_add(void *array, size_t *count, size_t item_size) {
	char *items;

	memcpy(&items, array, sizeof items);
	if ((*count & (*count - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
		/* cppcheck-suppress memleakOnRealloc ; the caller's pointer still has it */
		items = reallocarray(items, *count ? *count * 2 : 1, item_size);
		if (!items)
			return NULL;
		memcpy(array, &items, sizeof items);
	}
	return memset(items + (*count)++ * item_size, 0, item_size);
}

void array_trim(void *array, size_t count, size_t item_size) {
	char *items, *trimmed;

	memcpy(&items, array, sizeof items);
	if (!items || count == 0)
		return;
	trimmed = reallocarray(items, count, item_size);
	if (trimmed)
		memcpy(array, &trimmed, sizeof trimmed);
	/* cppcheck-suppress memleak ; handed over by memcpy */
}

static bool text_reserve(struct text *text, size_t more) {
	size_t capacity = text->capacity ? text->capacity : 64;
	char *bytes;

	if (text->failed)
		return false;
	while (capacity - text->length <= more) { /* one byte stays for the NUL */
		if (capacity > SIZE_MAX / 2)
			return !(text->failed = true);
		capacity *= 2;
	}
	if (capacity == text->capacity)
		return true;
	bytes = realloc(text->bytes, capacity);
	if (!bytes)
		return !(text->failed = true);
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

void text_put(struct text *text, const char *bytes, size_t length) {
	if (!text_reserve(text, length))
		return;
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

void text_puts(struct text *text, const char *string) {
	text_put(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...) {
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !text_reserve(text, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

char *text_take(struct text *text) {
	char *bytes = text->bytes;
	bool failed = text->failed;

	memset(text, 0, sizeof *text);
	if (!failed)
		return bytes ? bytes : strdup("");
	free(bytes);
	return NULL;
}
