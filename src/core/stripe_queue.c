/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The queues of one stripe: a state's connections, the one renewed longest ago first.
 */
#include "stripe.h"

static void count_half_open(struct stripe *stripe, const struct connection *connection, int32_t amount) {
	if (state_worth(connection->state) == WORTH_HALF_OPEN)
		figure_add(&stripe->figures.half_open, (uint32_t)amount);
}

static void link_as_newest(struct stripe *stripe, struct connection *connection) {
	struct queue *queue = &stripe->queues[connection->state];
	ref self = ref_of(stripe, connection);
	connection->queue_prev = queue->newest;
	connection->queue_next = NONE;
	*(queue->newest != NONE ? &entry_at(stripe, queue->newest)->queue_next : &queue->oldest) = self;
	queue->newest = self;
}

static void unlink_from(struct stripe *stripe, const struct connection *connection) {
	struct queue *queue = &stripe->queues[connection->state];
	ref prev = connection->queue_prev, next = connection->queue_next;
	*(prev != NONE ? &entry_at(stripe, prev)->queue_next : &queue->oldest) = next;
	*(next != NONE ? &entry_at(stripe, next)->queue_prev : &queue->newest) = prev;
}

void queue_enter(struct stripe *stripe, struct connection *connection, uint8_t state, uint32_t now) {
	connection->state = state;
	connection->renewed = now;
	link_as_newest(stripe, connection);
	count_half_open(stripe, connection, 1);
}

void queue_leave(struct stripe *stripe, struct connection *connection) {
	unlink_from(stripe, connection);
	count_half_open(stripe, connection, -1);
}

void connection_move(struct stripe *stripe, struct connection *connection, uint8_t state, uint32_t now) {
	queue_leave(stripe, connection);
	queue_enter(stripe, connection, state, now);
}

/* The order is by the second, so a busy connection moves once a second. */
void connection_renew(struct stripe *stripe, struct connection *connection, uint32_t now) {
	if (connection->renewed == now)
		return;
	connection->renewed = now;
	unlink_from(stripe, connection);
	link_as_newest(stripe, connection);
}

struct connection *queue_oldest(struct stripe *stripe, enum worth worth) {
	struct connection *oldest = NULL;
	for (unsigned state = 0; state < STATES; state++) {
		ref head = stripe->queues[state].oldest;
		if (head == NONE || state_worth(state) != worth)
			continue;
		struct connection *candidate = entry_at(stripe, head);
		if (!oldest || candidate->renewed < oldest->renewed)
			oldest = candidate;
	}
	return oldest;
}

static void run_out(struct stripe *stripe, struct connection *connection, const struct expiry *expiry,
		    uint32_t now) {
	int next = LET_GO;
	if (expiry->keep && state_is_doubtful(connection->state)) {
		struct key key = entry_key(stripe, connection);
		next = expiry->keep(&key, connection, expiry->context);
	}
	if (next != LET_GO) {
		connection_move(stripe, connection, (uint8_t)next, now);
		return;
	}
	stripe_release(stripe, connection);
	figure_add(&stripe->figures.expired, 1);
}

bool queue_expire(struct stripe *stripe, const struct expiry *expiry, uint32_t now, uint32_t *budget) {
	for (unsigned state = 0; state < STATES; state++) {
		uint32_t timeout = expiry->timeouts->seconds[state_timeout(state)];
		for (ref head; (head = stripe->queues[state].oldest) != NONE; --*budget) {
			struct connection *connection = entry_at(stripe, head);
			if (connection->renewed + timeout > now)
				break;
			if (*budget == 0)
				return false;
			run_out(stripe, connection, expiry, now);
		}
	}
	return true;
}
