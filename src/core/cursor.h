/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The only way in which packet bytes are read: a cursor that knows how many there are.
 */
#ifndef SALLYPORT_CORE_CURSOR_H
#define SALLYPORT_CORE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at;
	size_t left;   /* bytes that may be read from here */
	size_t length; /* bytes that the packet has from here on the wire, >= left */
};

/* The next `count` bytes without moving on; NULL where there are not so many. */
static inline const uint8_t *cursor_peek(const struct cursor *cursor, size_t count) {
	return count <= cursor->left ? cursor->at : NULL;
}

/* The same, and moves on. */
static inline const uint8_t *cursor_take(struct cursor *cursor, size_t count) {
	const uint8_t *bytes = cursor_peek(cursor, count);
	if (bytes) {
		cursor->at += count;
		cursor->left -= count;
		cursor->length -= count;
	}
	return bytes;
}

/* What lies behind `length` bytes does not belong to the packet (padding). */
static inline void cursor_limit(struct cursor *cursor, size_t length) {
	if (cursor->length > length)
		cursor->length = length;
	if (cursor->left > length)
		cursor->left = length;
}

static inline uint16_t read_be16(const uint8_t *bytes) {
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t read_be32(const uint8_t *bytes) {
	return (uint32_t)read_be16(bytes) << 16 | read_be16(bytes + 2);
}

#endif
