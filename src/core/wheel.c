/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A hashed timer wheel (Varghese, Lauck 1987, scheme 6) of one-second slots.
 *
 * An entry stands in the slot of some second no later than its expiry, modulo the size of
 * the wheel. When a packet renews an entry only `expires` changes; when the slot
 * fires, what is not yet due is filed again. So a packet never touches the wheel, and an
 * entry is visited at most once a turn of the wheel, or once per timeout where that is longer.
 */
#include "stripe.h"

enum { HEAD = UINT32_C(1) << 31 }; /* `wheel_prev` of a slot's first entry: HEAD | slot */

static void push(struct stripe *stripe, uint32_t slot, struct connection *connection) {
	ref self = ref_of(stripe, connection), next = stripe->wheel[slot];
	connection->wheel_prev = HEAD | slot;
	connection->wheel_next = next;
	if (next != NONE)
		entry_at(stripe, next)->wheel_prev = self;
	stripe->wheel[slot] = self;
}

void wheel_file(struct stripe *stripe, struct connection *connection) {
	uint32_t second = connection->expires;
	if (second < stripe->wheel_next)
		second = stripe->wheel_next;
	push(stripe, second % WHEEL_SLOTS, connection);
}

void wheel_unfile(struct stripe *stripe, struct connection *connection) {
	ref prev = connection->wheel_prev, next = connection->wheel_next;
	if (prev == NONE)
		return;
	if (prev & HEAD)
		stripe->wheel[prev & ~HEAD] = next;
	else
		entry_at(stripe, prev)->wheel_next = next;
	if (next != NONE)
		entry_at(stripe, next)->wheel_prev = prev;
	connection->wheel_prev = connection->wheel_next = NONE;
}

/* The whole slot changes its head, so that filing again may use that slot at once. */
static void fire(struct stripe *stripe, uint32_t slot) {
	ref first = stripe->wheel[slot];
	stripe->wheel[slot] = NONE;
	stripe->wheel[FIRING] = first;
	if (first != NONE)
		entry_at(stripe, first)->wheel_prev = HEAD | FIRING;
}

static void visit(struct stripe *stripe, struct connection *connection, uint32_t now) {
	if (connection->expires <= now) {
		stripe_release(stripe, connection);
		figure_add(&stripe->figures.expired, 1);
	} else {
		wheel_unfile(stripe, connection);
		wheel_file(stripe, connection);
	}
}

bool wheel_turn(struct stripe *stripe, uint32_t now, uint32_t *budget) {
	for (;;) {
		for (; stripe->wheel[FIRING] != NONE; --*budget) {
			if (*budget == 0)
				return false;
			visit(stripe, entry_at(stripe, stripe->wheel[FIRING]), now);
		}
		if (stripe->wheel_next > now)
			return true;
		/* After a long pause one turn sees every slot. */
		if (now - stripe->wheel_next >= WHEEL_SLOTS)
			stripe->wheel_next = now - WHEEL_SLOTS + 1;
		fire(stripe, stripe->wheel_next++ % WHEEL_SLOTS);
	}
}
