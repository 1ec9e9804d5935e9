/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a worker pauses to let packets gather.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sallyport/daemon/pace.h"

enum { US = 1000 };

/* One packet every `gap`, for ten spans; how many pauses that made. */
static unsigned pauses_at(struct pace *pace, uint64_t *now, uint64_t gap) {
	unsigned pauses = 0;

	for (uint64_t end = *now + 10ULL * PACE_SPAN_NS; *now < end; *now += gap)
		pauses += pace_note(pace, 1, *now) > 0;
	return pauses;
}

static void a_slow_trickle_never_waits(void **state) {
	struct pace pace = {0};
	uint64_t now = 1ULL << 40;
	(void)state;

	assert_int_equal(pauses_at(&pace, &now, 200ULL * US), 0); /* 5,000 a second */
}

static void load_makes_it_pause_within_a_span(void **state) {
	struct pace pace = {0};
	uint64_t now = 1ULL << 40;
	unsigned batches = 10 * PACE_SPAN_NS / (10 * US);
	(void)state;

	assert_true(pauses_at(&pace, &now, 10ULL * US) >= batches * 8 / 10); /* 100,000 a second */
}

static void silence_ends_the_pauses(void **state) {
	struct pace pace = {0};
	uint64_t now = 1ULL << 40;
	(void)state;

	pauses_at(&pace, &now, 10ULL * US);
	assert_int_not_equal(pace.pause, 0);
	now += 100ULL * 1000 * US; /* silence */
	assert_int_equal(pace_note(&pace, 1, now), 0);
	assert_int_equal(pace_note(&pace, 1, now + 100ULL * US), 0);
}

static void a_pause_is_as_long_as_a_few_packets_take_and_bounded(void **state) {
	(void)state;
	assert_int_equal(pace_pause(39, PACE_SPAN_NS), 0);
	assert_int_equal(pace_pause(40, PACE_SPAN_NS), PACE_MOST_NS);
	assert_int_equal(pace_pause(600, PACE_SPAN_NS), 53333); /* 300,000 a second */
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_slow_trickle_never_waits),
	    cmocka_unit_test(load_makes_it_pause_within_a_span),
	    cmocka_unit_test(silence_ends_the_pauses),
	    cmocka_unit_test(a_pause_is_as_long_as_a_few_packets_take_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
