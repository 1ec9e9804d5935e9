/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp against the reference on random connections: ten million segments, or as many as SEGMENTS in
 * the environment says. Most go on as an exchange would, the others lie on and beside every bound. Both
 * must say the same of each, and know the same behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "duo.h"

enum { SEGMENTS = 10000000, MOST_STEPS = 120, KINDS = 9, JUDGEMENTS = JUDGED_NEW + 1 };

static const uint8_t kinds[KINDS] = {SYN,           SYNACK, ACK,       ACK | TCP_PSH, FIN,
				     FIN | TCP_PSH, RST,    RST | ACK, TCP_PSH};

struct walk {
	struct duo duo;
	uint64_t random;
	uint64_t met[TCP_STATES][2][KINDS][JUDGEMENTS];
	uint64_t steps, wrapped;
};

static uint32_t any(struct walk *walk) {
	walk->random ^= walk->random << 13;
	walk->random ^= walk->random >> 7;
	walk->random ^= walk->random << 17;
	return (uint32_t)(walk->random >> 16);
}

static bool chance(struct walk *walk, unsigned percent) {
	return any(walk) % 100 < percent;
}

static uint16_t some_window(struct walk *walk) {
	static const uint16_t edges[] = {0, 1, 2, 1460, 64240, 65534, 65535};
	return chance(walk, 40) ? edges[any(walk) % 7] : (uint16_t)(any(walk) >> any(walk) % 16);
}

static uint32_t some_length(struct walk *walk) {
	static const uint32_t lengths[] = {1, 1448, 65160, 65535, 65536};
	return chance(walk, 60) ? lengths[any(walk) % 5] : any(walk) % 3000;
}

/* Where numbers wrap, and where their sign does. */
static uint32_t some_isn(struct walk *walk) {
	switch (any(walk) % 4) {
	case 0:
		return 0u - any(walk) % 70000;
	case 1:
		return (1u << 31) - any(walk) % 70000;
	default:
		return any(walk);
	}
}

static void give_scale(struct walk *walk, struct tcp_segment *syn) {
	syn->scale_permitted = chance(walk, 75);
	syn->scale = syn->scale_permitted ? (uint8_t)(any(walk) % 15) : (uint8_t)TCP_NO_SCALE;
}

static struct tcp_segment in_order(struct walk *walk, enum side side, uint8_t flags) {
	bool data = flags & TCP_PSH || (flags & SYN && chance(walk, 5));
	struct tcp_segment segment =
	    duo_segment(&walk->duo, side, flags, data ? some_length(walk) : 0, some_isn(walk));
	segment.window = some_window(walk);
	if (flags & SYN)
		give_scale(walk, &segment);
	return segment;
}

/* Something was lost or overtaken, or somebody guesses. */
static void disorder(struct walk *walk, struct tcp_segment *segment, enum side side) {
	const struct reference_end *sender = &walk->duo.reference.ends[side];
	const struct reference_end *receiver = &walk->duo.reference.ends[!side];
	int64_t late_seq = receiver->widest > 66000 ? receiver->widest : 66000;
	int64_t late_ack = sender->widest > 66000 ? sender->widest : 66000;
	const int64_t seqs[] = {sender->sent,
				sender->iss,
				sender->iss + 1 + 65535 - segment->length,
				sender->allowed,
				sender->sent - late_seq - segment->length,
				sender->sent - receiver->widest,
				sender->sent - any(walk) % 5000,
				any(walk)};
	const int64_t acks[] = {receiver->sent,
				receiver->iss,
				receiver->sent - 2 * late_ack,
				receiver->allowed,
				receiver->sent - any(walk) % 5000,
				receiver->sent + any(walk) % 5000,
				any(walk)};
	if (chance(walk, 60))
		segment->seq = reference_number(seqs[any(walk) % 8] + any(walk) % 3 - 1);
	if (segment->flags & ACK && chance(walk, 50))
		segment->ack = reference_number(acks[any(walk) % 7] + any(walk) % 3 - 1);
}

/* What a connection in that state is made of, mostly. */
static size_t some_kind(struct walk *walk) {
	if (chance(walk, 25))
		return any(walk) % KINDS;
	if (walk->duo.state == TCP_SYN_SENT)
		return chance(walk, 20) ? 0 : 1;
	return chance(walk, 12) ? 4 : 2 + any(walk) % 2;
}

static void begin(struct walk *walk) {
	struct tcp_segment first = {.flags = SYN, .seq = some_isn(walk), .window = some_window(walk)};
	give_scale(walk, &first);
	if (chance(walk, 5))
		first.length = any(walk) % 1400;
	if (chance(walk, 90)) {
		walk->duo = duo_open(&first);
		return;
	}
	first.flags = chance(walk, 10) ? FIN : ACK;
	first.ack = some_isn(walk);
	first.scale = TCP_NO_SCALE;
	first.scale_permitted = false;
	walk->duo = duo_pickup(&first);
}

static bool has_wrapped(const struct duo *duo) {
	const struct reference_end *end = &duo->reference.ends[SIDE_OPENER];
	return (end->iss >> 32) != (end->sent >> 32);
}

static void take_step(struct walk *walk) {
	enum side side = chance(walk, 50) ? A : B;
	size_t kind = some_kind(walk);
	enum tcp_state before = walk->duo.state;
	struct tcp_segment segment = in_order(walk, side, kinds[kind]);
	if (chance(walk, 40))
		disorder(walk, &segment, side);
	enum judgement judgement = duo_step(&walk->duo, &segment, side);
	walk->met[before][side][kind][judgement]++;
	walk->steps++;
	walk->wrapped += has_wrapped(&walk->duo);
	if (judgement != JUDGED_NEW)
		return;
	if (segment.length <= UINT16_MAX)       /* more with a SYN no packet carries */
		walk->duo = duo_open(&segment); /* whoever sent it is the opener now */
	else
		begin(walk);
}

static uint64_t segments_wanted(void) {
	const char *wanted = getenv("SEGMENTS");
	return wanted ? strtoull(wanted, NULL, 10) : SEGMENTS;
}

static uint64_t met(const struct walk *walk, enum tcp_state state, enum side side, size_t kind) {
	uint64_t sum = 0;
	for (int judgement = 0; judgement < JUDGEMENTS; judgement++)
		sum += walk->met[state][side][kind][judgement];
	return sum;
}

/* A walk that went nowhere would prove nothing. */
static void assert_everything_was_met(const struct walk *walk) {
	uint64_t passed = 0;
	for (int state = 0; state < TCP_STATES; state++) {
		for (int side = 0; side < 2; side++) {
			for (size_t kind = 0; kind < KINDS; kind++) {
				assert_in_range(met(walk, (enum tcp_state)state, (enum side)side, kind), 20,
						UINT64_MAX);
				passed += walk->met[state][side][kind][JUDGED_FIT];
			}
		}
	}
	assert_in_range(passed, walk->steps / 5, walk->steps * 4 / 5);
	assert_in_range(walk->wrapped, walk->steps / 100, walk->steps);
}

static void table_and_reference_agree_on_random_connections(void **state) {
	(void)state;
	struct walk *walk = test_calloc(1, sizeof *walk);
	uint64_t wanted = segments_wanted();
	walk->random = UINT64_C(0x9e3779b97f4a7c15);
	while (walk->steps < wanted) {
		begin(walk);
		for (uint32_t left = 1 + any(walk) % MOST_STEPS; left > 0; left--)
			take_step(walk);
	}
	assert_everything_was_met(walk);
	print_message("%llu segments\n", (unsigned long long)walk->steps);
	test_free(walk);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_and_reference_agree_on_random_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
