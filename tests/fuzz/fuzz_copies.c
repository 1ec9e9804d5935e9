/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as a datagram of nflog, read twice: every copy lies within the datagram, its bytes
 * go on into the packet parser, and gaps in the numbers alone count as lost.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/kernel/copies_message.h"
#include "sallyport/core/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct datagram {
	const uint8_t *bytes;
	size_t size;
	int seen;
};

static void check_copy(const struct copied *copied, void *context) {
	struct datagram *datagram = context;
	struct packet parsed;
	enum reason reason;

	assert(copied->hook == HOOK_IN || copied->hook == HOOK_OUT || copied->hook == HOOK_LEARN);
	assert(copied->bytes >= datagram->bytes && copied->bytes <= datagram->bytes + datagram->size);
	assert(copied->captured <= datagram->size - (size_t)(copied->bytes - datagram->bytes));
	assert(copied->length >= copied->captured);
	reason = packet_parse(copied->bytes, copied->captured, copied->length, &parsed);
	assert(reason < REASON_COUNT);
	datagram->seen++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct copy_numbers numbers = {0};
	uint8_t *copy = malloc(size ? size : 1); /* of its own size, for ASan */
	struct datagram datagram = {.bytes = copy, .size = size};
	uint64_t lost;
	int count;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	count = copies_message_read(copy, size, &numbers, check_copy, &datagram);
	assert(count == datagram.seen);
	assert(numbers.known || numbers.lost == 0);
	lost = numbers.lost;
	count = copies_message_read(copy, size, &numbers, check_copy, &datagram);
	assert(2 * count == datagram.seen && numbers.lost >= lost);
	free(copy);
	return 0;
}
