/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sample packets: both families, ten chains of options or extension headers each, ten
 * transports on each chain. All are whole and right.
 */
#ifndef SALLYPORT_TESTS_SAMPLES_H
#define SALLYPORT_TESTS_SAMPLES_H

#include <stdbool.h>

#include "packets.h"

enum { SAMPLE_CHAINS = 10, SAMPLE_TRANSPORTS = 10, SAMPLES = 2 * SAMPLE_CHAINS * SAMPLE_TRANSPORTS };

/* Where a length stands that a liar may change; `bits` 4: the upper (TCP) or lower (IHL) half of a byte. */
struct sample_length {
	enum length_field {
		LENGTH_IPV4_TOTAL,
		LENGTH_IPV4_HEADER,
		LENGTH_IPV6_PAYLOAD,
		LENGTH_EXTENSION,
		LENGTH_OPTION, /* of IPv4 or TCP: nothing may depend on it */
		LENGTH_UDP,
		LENGTH_TCP_OFFSET,
	} field;
	size_t at;
	bool quoted; /* it stands in the packet inside an ICMP error */
};

struct sample {
	char name[64];
	struct raw raw;
	size_t transport; /* where its transport header begins */
	struct sample_length lengths[12];
	size_t length_count;
};

/* number: 0..SAMPLES-1 */
struct sample sample(int number);

#endif
