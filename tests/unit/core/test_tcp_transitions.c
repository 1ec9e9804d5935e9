/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp: every state x kind of segment x side, a test each, against the reference. Each state is
 * reached by several ways; each segment comes with the numbers that it should have, and on and beside every
 * bound; and behind it every other kind, so that what it has left behind is seen too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "duo.h"

enum { OPENER_ISN = 0xfffffffe, OTHER_ISN = 0x7ffffff0, WAY_LENGTH = 8, WAYS = 5, NAME = 64 };

static const struct kind {
	const char *name;
	uint8_t flags;
	uint32_t length;
} kinds[] = {
    {"SYN", SYN, 0},
    {"SYN with data", SYN, 100},
    {"SYN/ACK", SYNACK, 0},
    {"ACK", ACK, 0},
    {"data", ACK | TCP_PSH, 1000},
    {"FIN", FIN, 0},
    {"FIN with data", FIN | TCP_PSH, 1000},
    {"RST", RST, 0},
    {"RST/ACK", RST | ACK, 0},
    {"nothing", TCP_PSH, 10},
};

enum { KINDS = sizeof kinds / sizeof *kinds, CASES = TCP_STATES * 2 * KINDS };

/* One segment of a way: as it should be, but for an older acknowledgment or a later start. */
struct move {
	char side; /* 'A' the opener, 'B' the other; 0 ends the way */
	uint8_t flags;
	uint32_t length, ack_behind, seq_ahead;
};

#define SHAKE                                                                                                \
	{'B', SYNACK, 0, 0, 0}, {                                                                            \
		'A', ACK, 0, 0, 0                                                                            \
	}

/* Behind the opener's SYN. */
static const struct move ways[TCP_STATES][WAYS][WAY_LENGTH] =
    {
	[TCP_SYN_SENT] =
	    {
		{{0}}, {{'A', SYN, 0, 0, 0}}, {{'B', ACK, 0, 0, 12345}}, /* of an older connection */
	    },
	[TCP_SYN_RECV] =
	    {
		{{'B', SYNACK, 0, 0, 0}},
		{{'B', SYN, 0, 0, 0}}, /* crossing */
		{{'B', SYN, 0, 0, 0}, {'A', SYNACK, 0, 0, 0}},
		{{'B', SYNACK, 0, 0, 0}, {'B', ACK, 500, 0, 0}}, /* RFC 7413 */
		{{'B', SYNACK, 0, 0, 0}, {'A', SYN, 0, 0, 0}},
	    },
	[TCP_ESTABLISHED] =
	    {
		{SHAKE},
		{{'B', SYN, 0, 0, 0}, {'A', SYNACK, 0, 0, 0}, {'B', SYNACK, 0, 0, 0}},
		{SHAKE, {'A', ACK, 5000, 0, 0}, {'B', ACK, 3000, 0, 0}},
		{SHAKE, {'A', SYN, 0, 0, 70000}}, /* the opener has forgotten */
		{SHAKE,
		 {'B', RST, 0, 0, 100},
		 {'A', ACK, 0, 0, 0}}, /* a guessed RST, and the challenge ACK */
	    },
	[TCP_FIN_WAIT] =
	    {
		{SHAKE, {'A', FIN, 0, 0, 0}},
		{SHAKE, {'A', FIN, 100, 0, 0}, {'B', ACK, 0, 0, 0}},
		{{'B', SYNACK, 0, 0, 0}, {'A', FIN, 100, 0, 0}}, /* with the handshake's ACK */
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', ACK, 4000, 0, 0}},
	    },
	[TCP_CLOSE_WAIT] =
	    {
		{SHAKE, {'B', FIN, 0, 0, 0}},
		{SHAKE, {'B', FIN, 100, 0, 0}, {'A', ACK, 0, 0, 0}},
		{{'B', SYNACK, 0, 0, 0}, {'B', FIN, 100, 0, 0}}, /* before the handshake is complete */
		{SHAKE, {'B', FIN, 0, 0, 0}, {'A', ACK, 4000, 0, 0}},
	    },
	[TCP_LAST_ACK] =
	    {
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', FIN, 0, 0, 0}},
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', FIN, 0, 1, 0}}, /* FINs that cross */
		{SHAKE, {'B', FIN, 0, 0, 0}, {'A', ACK, 0, 0, 0}, {'A', FIN, 0, 0, 0}},
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', FIN, 0, 1, 0}, {'A', ACK, 0, 0, 0}},
	    },
	[TCP_TIME_WAIT] =
	    {
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', FIN, 0, 0, 0}, {'A', ACK, 0, 0, 0}},
		{SHAKE, {'B', FIN, 9, 0, 0}, {'A', FIN, 9, 0, 0}, {'B', ACK, 0, 0, 0}},
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', FIN, 0, 1, 0}, {'A', ACK, 0, 0, 0}, {'B', ACK, 0, 0, 0}},
	    },
	[TCP_CLOSED] =
	    {
		{{'B', RST | ACK, 0, 0, 0}}, /* nobody listens */
		{SHAKE, {'B', RST, 0, 0, 0}},
		{SHAKE, {'A', RST, 0, 0, 100}}, /* guessed */
		{SHAKE, {'A', FIN, 0, 0, 0}, {'B', RST, 0, 0, 0}, {'B', ACK, 0, 0, 0}},
		{SHAKE, {'A', SYN, 0, 0, 70000}, {'B', ACK, 0, 0, 0}, {'A', RST, 0, 0, 0}},
	    },
};

static struct tcp_segment moved(const struct duo *duo, const struct move *move) {
	enum side side = move->side == 'A' ? A : B;
	struct tcp_segment segment = duo_segment(duo, side, move->flags, move->length, OTHER_ISN);
	segment.ack -= move->ack_behind;
	segment.seq += move->seq_ahead;
	return segment;
}

/* False: there are no more ways. */
static bool go(enum tcp_state state, size_t way, struct duo *duo) {
	struct tcp_segment syn = {.flags = SYN, .seq = OPENER_ISN, .window = 10000, .scale = TCP_NO_SCALE};
	if (way == WAYS || (way > 0 && !ways[state][way][0].side))
		return false;
	*duo = duo_open(&syn);
	for (const struct move *move = ways[state][way]; move->side; move++) {
		struct tcp_segment segment = moved(duo, move);
		assert_int_equal(duo_step(duo, &segment, move->side == 'A' ? A : B), JUDGED_FIT);
	}
	assert_state(duo, state);
	return true;
}

/* Every kind from either side, each for itself, with the numbers that it should have. */
static void look_around(const struct duo *duo) {
	for (size_t kind = 0; kind < KINDS; kind++) {
		for (int side = 0; side < 2; side++) {
			struct duo copy = *duo;
			struct tcp_segment segment =
			    duo_segment(&copy, (enum side)side, kinds[kind].flags, kinds[kind].length, 99);
			duo_step(&copy, &segment, (enum side)side);
		}
	}
}

static void try_at(const struct duo *duo, const struct tcp_segment *segment, enum side side) {
	struct duo copy = *duo;
	if (duo_step(&copy, segment, side) == JUDGED_FIT)
		look_around(&copy);
}

static void try_at_every_bound(const struct duo *duo, const struct tcp_segment *segment, enum side side) {
	const struct reference_end *sender = &duo->reference.ends[side];
	const struct reference_end *receiver = &duo->reference.ends[!side];
	const int64_t seqs[] = {segment->seq,
				sender->sent,
				sender->iss,
				sender->allowed,
				sender->sent - 66000,
				sender->sent - 10000,
				sender->sent - 20000,
				sender->iss + 1 + 65535,
				sender->sent + (1 << 30),
				sender->sent - (1 << 30)};
	const int64_t acks[] = {segment->ack,
				receiver->sent,
				receiver->iss,
				receiver->allowed,
				receiver->sent - 2 * 66000,
				receiver->sent + (1 << 30),
				0};
	for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
		for (size_t j = 0; j < sizeof acks / sizeof *acks; j++) {
			for (int beside = 0; beside < 9; beside++) {
				struct tcp_segment tried = *segment;
				tried.seq = reference_number(seqs[i] + beside % 3 - 1);
				tried.ack =
				    segment->flags & ACK ? reference_number(acks[j] + beside / 3 - 1) : 0;
				try_at(duo, &tried, side);
			}
		}
	}
}

struct transition {
	enum tcp_state state;
	enum side side;
	const struct kind *kind;
};

static void is_as_the_reference_says(void **state) {
	const struct transition *transition = *state;
	struct duo duo;
	for (size_t way = 0; go(transition->state, way, &duo); way++) {
		struct tcp_segment segment = duo_segment(&duo, transition->side, transition->kind->flags,
							 transition->kind->length, OTHER_ISN);
		try_at(&duo, &segment, transition->side);
		try_at_every_bound(&duo, &segment, transition->side);
	}
}

static struct transition transition_of(int number) {
	return (struct transition){
	    .state = (enum tcp_state)(number / (2 * KINDS)),
	    .side = (enum side)(number / KINDS % 2),
	    .kind = &kinds[number % KINDS],
	};
}

int main(void) {
	static struct transition transitions[CASES];
	static char test_names[CASES][NAME];
	static struct CMUnitTest tests[CASES];
	for (int i = 0; i < CASES; i++) {
		transitions[i] = transition_of(i);
		snprintf(test_names[i], NAME, "%s: %s sends %s", tcp_state_name(transitions[i].state),
			 transitions[i].side == A ? "the opener" : "the other side",
			 transitions[i].kind->name);
		tests[i] = (struct CMUnitTest){.name = test_names[i],
					       .test_func = is_as_the_reference_says,
					       .initial_state = &transitions[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
