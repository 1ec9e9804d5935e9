/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ring of log events: nothing is lost, doubled or reordered, and a full one says so.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sallyport/daemon/ring.h"

enum { MANY = 200000 };

static struct ring *ring_new(void) {
	struct ring *ring = aligned_alloc(_Alignof(struct ring), sizeof(*ring));

	assert_non_null(ring);
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->lost, 0);
	return ring;
}

static void test_first_in_first_out(void **state) {
	struct ring *ring = ring_new();
	struct packet_event event = {0};

	(void)state;
	assert_false(ring_pop(ring, &event));
	for (uint32_t i = 0; i < 3; i++)
		assert_true(ring_push(ring, &(struct packet_event){.rule = i}));
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(ring_pop(ring, &event));
		assert_int_equal(event.rule, i);
	}
	assert_false(ring_pop(ring, &event));
	free(ring);
}

static void test_full_ring_refuses_and_counts(void **state) {
	struct ring *ring = ring_new();
	struct packet_event event = {0};

	(void)state;
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		assert_true(ring_push(ring, &(struct packet_event){.rule = i}));
	assert_false(ring_push(ring, &event));
	assert_false(ring_push(ring, &event));
	assert_int_equal(atomic_load(&ring->lost), 2);
	/* What is in it is untouched, and one that leaves makes room for one. */
	assert_true(ring_pop(ring, &event));
	assert_int_equal(event.rule, 0);
	assert_true(ring_push(ring, &event));
	assert_false(ring_push(ring, &event));
	free(ring);
}

/* The indices are 32 bits wide and wrap. */
static void test_indices_wrap(void **state) {
	struct ring *ring = ring_new();
	struct packet_event event = {0};

	(void)state;
	atomic_init(&ring->head, UINT32_MAX - 1);
	atomic_init(&ring->tail, UINT32_MAX - 1);
	for (uint32_t i = 0; i < RING_SLOTS; i++)
		assert_true(ring_push(ring, &(struct packet_event){.rule = i}));
	assert_false(ring_push(ring, &event));
	for (uint32_t i = 0; i < RING_SLOTS; i++) {
		assert_true(ring_pop(ring, &event));
		assert_int_equal(event.rule, i);
	}
	free(ring);
}

static void *write_many(void *argument) {
	struct ring *ring = argument;

	for (uint32_t i = 0; i < MANY;) {
		if (ring_push(ring, &(struct packet_event){.rule = i, .interface = ~i}))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

/* Also under ThreadSanitizer: each slot is handed over whole. */
static void test_two_threads(void **state) {
	struct ring *ring = ring_new();
	struct packet_event event;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_many, ring), 0);
	for (uint32_t next = 0; next < MANY;) {
		if (!ring_pop(ring, &event)) {
			sched_yield();
			continue;
		}
		assert_int_equal(event.rule, next);
		assert_int_equal(event.interface, ~next);
		next++;
	}
	pthread_join(writer, NULL);
	assert_false(ring_pop(ring, &event));
	free(ring);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_in_first_out),
	    cmocka_unit_test(test_full_ring_refuses_and_counts),
	    cmocka_unit_test(test_indices_wrap),
	    cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
