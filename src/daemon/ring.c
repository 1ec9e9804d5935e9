/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One writer, one reader: each index has one owner, and its store releases the slot.
 */
#include "sallyport/daemon/ring.h"

bool ring_push(struct ring *ring, const struct packet_event *event) {
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&ring->head, memory_order_acquire) == RING_SLOTS) {
		atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
		return false;
	}
	ring->slots[tail % RING_SLOTS] = *event;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

bool ring_pop(struct ring *ring, struct packet_event *event) {
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&ring->tail, memory_order_acquire))
		return false;
	*event = ring->slots[head % RING_SLOTS];
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}
