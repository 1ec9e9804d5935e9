/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SipHash-2-4, after section 2 of the paper: two rounds a word, four at the end.
 */
#include "siphash.h"

#include <endian.h>
#include <string.h>

/* The state by value: so the compiler keeps it in registers. */
struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t word, unsigned bits) {
	return word << bits | word >> (64 - bits);
}

static inline struct state sip_round(struct state s) {
	s.v0 += s.v1;
	s.v2 += s.v3;
	s.v1 = rotate(s.v1, 13) ^ s.v0;
	s.v3 = rotate(s.v3, 16) ^ s.v2;
	s.v0 = rotate(s.v0, 32);
	s.v2 += s.v1;
	s.v0 += s.v3;
	s.v1 = rotate(s.v1, 17) ^ s.v2;
	s.v3 = rotate(s.v3, 21) ^ s.v0;
	s.v2 = rotate(s.v2, 32);
	return s;
}

static inline struct state absorb(struct state s, uint64_t word) {
	s.v3 ^= word;
	s = sip_round(sip_round(s));
	s.v0 ^= word;
	return s;
}

/* Up to eight bytes, least significant first. */
static inline uint64_t read_le(const uint8_t *bytes, size_t count) {
	uint64_t word = 0;
	memcpy(&word, bytes, count);
	return le64toh(word);
}

uint64_t siphash(const void *data, size_t length, const uint64_t key[2]) {
	const uint8_t *bytes = data;
	struct state s = {
	    key[0] ^ UINT64_C(0x736f6d6570736575), /* "somepseudorandomlygeneratedbytes" */
	    key[1] ^ UINT64_C(0x646f72616e646f6d),
	    key[0] ^ UINT64_C(0x6c7967656e657261),
	    key[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t whole = length & ~(size_t)7;
	for (size_t i = 0; i < whole; i += 8)
		s = absorb(s, read_le(bytes + i, 8));
	uint64_t rest = whole < length ? read_le(bytes + whole, length - whole) : 0;
	s = absorb(s, (uint64_t)length << 56 | rest);
	s.v2 ^= 0xff;
	s = sip_round(sip_round(sip_round(sip_round(s))));
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
