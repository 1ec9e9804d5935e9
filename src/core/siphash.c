/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SipHash-2-4, after section 2 of the paper: two rounds a word, four at the end.
 */
#include "siphash.h"

static inline uint64_t rotate(uint64_t word, unsigned bits) {
	return word << bits | word >> (64 - bits);
}

static inline void rounds(uint64_t v[4], int count) {
	while (count-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static inline void absorb(uint64_t v[4], uint64_t word) {
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

/* Up to eight bytes, least significant first. */
static inline uint64_t read_le(const uint8_t *bytes, size_t count) {
	uint64_t word = 0;
	for (size_t i = 0; i < count; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

uint64_t siphash(const void *data, size_t length, const uint64_t key[2]) {
	const uint8_t *bytes = data;
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575), /* "somepseudorandomlygeneratedbytes" */
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t whole = length & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8)
		absorb(v, read_le(bytes + i, 8));
	absorb(v, (uint64_t)length << 56 | read_le(bytes + whole, length & 7));
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
