/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SipHash-2-4: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012).
 */
#ifndef SALLYPORT_CORE_SIPHASH_H
#define SALLYPORT_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* `key`: the paper's k0 and k1. */
uint64_t siphash(const void *data, size_t length, const uint64_t key[2]);

#endif
