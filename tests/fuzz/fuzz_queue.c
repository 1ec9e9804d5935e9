/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as a datagram of an nfqueue: what is taken for a packet lies within the datagram,
 * and its bytes go on into the packet parser.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/kernel/queue_message.h"
#include "sallyport/core/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_packet(const struct queued *packet, const uint8_t *datagram, size_t size) {
	struct packet parsed;
	enum reason reason;

	assert(packet->hook == HOOK_IN || packet->hook == HOOK_OUT || packet->hook == HOOK_LEARN);
	assert(packet->bytes >= datagram && packet->bytes <= datagram + size);
	assert(packet->captured <= size - (size_t)(packet->bytes - datagram));
	assert(packet->length >= packet->captured);
	reason = packet_parse(packet->bytes, packet->captured, packet->length, &parsed);
	assert(reason < REASON_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t *datagram = malloc(size ? size : 1); /* of its own size, for ASan */
	struct queued packet;

	if (!datagram)
		abort();
	memcpy(datagram, data, size);
	memset(&packet, 0xa5, sizeof(packet));
	if (queue_message_read(datagram, size, &packet) == QUEUE_MESSAGE_PACKET)
		check_packet(&packet, datagram, size);
	free(datagram);
	return 0;
}
