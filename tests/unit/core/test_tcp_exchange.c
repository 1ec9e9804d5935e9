/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * core/tcp drops nothing that two honest hosts send each other and still need: small TCPs talk over a
 * network that loses, doubles and reorders, and core/tcp watches beside one of them.
 * Every run is random and repeatable by its number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/core/tcp.h"

enum { RANGES = 32, FLIGHT = 512, TICKS = 60000 };

/* Positions in a stream count from 0, the SYN, to length + 1, the FIN. */
struct range {
	uint64_t from, to;
};

struct host {
	uint32_t isn;
	uint64_t length;             /* bytes of data to send */
	uint64_t una, next, highest; /* acknowledged, to be sent next, sent at all */
	uint64_t right;              /* how far the peer lets it send */
	uint64_t received, read;     /* of the peer's stream */
	struct range early[RANGES];  /* received out of order */
	size_t early_count;
	uint32_t buffer, segment_size;
	uint32_t widest; /* window that it has advertised */
	uint8_t scale, peer_scale;
	uint16_t syn_data;
	bool owes_ack;
	unsigned quiet, patience; /* ticks without progress, and until it repeats */
};

struct flying {
	struct tcp_segment segment;
	enum side side;
	unsigned arrives;
};

enum watching { FROM_THE_START, FROM_THE_MIDDLE, WITH_A_GAP };

struct exchange {
	struct host hosts[2];
	struct flying flying[FLIGHT];
	size_t count;
	unsigned now, loss; /* percent */
	uint64_t random;
	/* the watcher */
	enum watching watching;
	unsigned seen, blind_from, blind_to;
	bool opened, learned;
	enum tcp_state state;
	struct tcp_track track;
	unsigned run;
};

static uint32_t below(struct exchange *exchange, uint32_t limit) {
	exchange->random = exchange->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(exchange->random >> 33) % limit;
}

static bool chance(struct exchange *exchange, uint32_t percent) {
	return below(exchange, 100) < percent;
}

static void begin_watching(struct exchange *exchange, const struct tcp_segment *segment, enum side side) {
	if (exchange->watching == FROM_THE_MIDDLE && segment->flags & TCP_SYN)
		return; /* a late copy: to begin with that would be another story */
	if (tcp_is_pure_syn(segment)) {
		tcp_open(&exchange->track, segment);
		exchange->state = TCP_SYN_SENT;
	} else {
		tcp_pickup(&exchange->track, segment, side);
		exchange->state = segment->flags & TCP_FIN ? TCP_FIN_WAIT : TCP_ESTABLISHED;
	}
	exchange->opened = true;
}

/* What its receiver throws away itself: a late copy of what it has had long since, or what
 * acknowledges less than one window before the last (RFC 5961 5.2). */
static bool is_stale(const struct exchange *exchange, const struct tcp_segment *segment, enum side side) {
	const struct host *receiver = &exchange->hosts[!side], *sender = &exchange->hosts[side];
	uint32_t end = segment->seq + segment->length + !!(segment->flags & (TCP_SYN | TCP_FIN));
	int32_t ahead = (int32_t)(segment->ack - (receiver->isn + (uint32_t)receiver->una));
	bool had = (int32_t)(end - (sender->isn + (uint32_t)receiver->received)) < 0;
	return (had && ahead <= 0) || ahead < -(int32_t)sender->widest;
}

static void watch(struct exchange *exchange, const struct tcp_segment *segment, enum side side) {
	unsigned number = exchange->seen++;
	if (number >= exchange->blind_from && number < exchange->blind_to)
		return;
	if (!exchange->opened) {
		begin_watching(exchange, segment, side);
		return;
	}
	if (exchange->watching == WITH_A_GAP && number >= exchange->blind_to && !exchange->learned)
		exchange->learned = tcp_relearn(&exchange->state, &exchange->track, segment, side);
	enum tcp_state before = exchange->state;
	enum reason reason = tcp_step(&exchange->state, &exchange->track, segment, side);
	if (reason && !is_stale(exchange, segment, side))
		fail_msg("run %u, segment %u, %s: side %d flags %#x seq %u ack %u length %u window %u: %s",
			 exchange->run, number, tcp_state_name(before), side, segment->flags, segment->seq,
			 segment->ack, segment->length, segment->window, reason_name(reason));
}

static void transmit(struct exchange *exchange, const struct tcp_segment *segment, enum side side) {
	if (side == SIDE_OTHER) /* the watcher stands beside this one */
		watch(exchange, segment, side);
	int copies = chance(exchange, exchange->loss) ? 0 : chance(exchange, 2) ? 2 : 1;
	for (int i = 0; i < copies && exchange->count < FLIGHT; i++) {
		unsigned delay = 5 + (chance(exchange, 10) ? below(exchange, 20) : 0);
		exchange->flying[exchange->count++] = (struct flying){*segment, side, exchange->now + delay};
	}
}

static uint32_t window_to_advertise(const struct host *host, bool syn) {
	uint64_t unread = host->received > host->read ? host->received - host->read : 0;
	uint64_t space = unread < host->buffer ? host->buffer - unread : 0;
	if (!syn && host->peer_scale != TCP_NO_SCALE && host->scale != TCP_NO_SCALE)
		space >>= host->scale;
	return space > 65535 ? 65535 : (uint32_t)space;
}

/* Sends positions [from, to) of its stream; none: an ACK. */
static void emit(struct exchange *exchange, enum side side, uint64_t from, uint64_t to) {
	struct host *host = &exchange->hosts[side];
	const struct host *peer = &exchange->hosts[!side];
	bool syn = from == 0 && to > 0, fin = to == host->length + 2;
	/* The option answers only an option. */
	bool scales =
	    syn && host->scale != TCP_NO_SCALE && (host->received == 0 || host->peer_scale != TCP_NO_SCALE);
	struct tcp_segment segment = {
	    .seq = host->isn + (uint32_t)from,
	    .ack = host->received ? peer->isn + (uint32_t)host->received : 0,
	    .length = (uint32_t)(to - from) - syn - fin,
	    .window = (uint16_t)window_to_advertise(host, syn),
	    .flags = (uint8_t)((syn ? TCP_SYN : 0) | (fin ? TCP_FIN : 0) | (host->received ? TCP_ACK : 0)),
	    .scale = scales ? host->scale : TCP_NO_SCALE,
	    .scale_permitted = scales,
	};
	host->owes_ack = false;
	bool scaled = !syn && host->scale != TCP_NO_SCALE && host->peer_scale != TCP_NO_SCALE;
	uint32_t window = (uint32_t)segment.window << (scaled ? host->scale : 0);
	if (window > host->widest)
		host->widest = window;
	if (to > host->highest)
		host->highest = to;
	transmit(exchange, &segment, side);
}

static void take_early(struct host *host) {
	for (size_t i = 0; i < host->early_count;) {
		if (host->early[i].from > host->received) {
			i++;
			continue;
		}
		if (host->early[i].to > host->received)
			host->received = host->early[i].to;
		host->early[i] = host->early[--host->early_count];
		i = 0;
	}
}

static void receive_data(struct host *host, uint64_t from, uint64_t to) {
	if (to <= from)
		return;
	host->owes_ack = true;
	if (to <= host->received || from > host->received + host->buffer)
		return;
	if (host->early_count < RANGES)
		host->early[host->early_count++] = (struct range){from, to};
	take_early(host);
}

static void receive_ack(struct host *host, const struct tcp_segment *segment) {
	uint64_t ack = host->una + (int32_t)(segment->ack - (host->isn + (uint32_t)host->una));
	if (ack < host->una || ack > host->highest)
		return;
	bool scaled =
	    !(segment->flags & TCP_SYN) && host->scale != TCP_NO_SCALE && host->peer_scale != TCP_NO_SCALE;
	if (ack > host->una)
		host->quiet = 0;
	host->una = ack;
	host->right = ack + ((uint64_t)segment->window << (scaled ? host->peer_scale : 0));
	if (host->next < ack)
		host->next = ack;
}

static void receive(struct exchange *exchange, const struct flying *flying) {
	enum side side = flying->side;
	const struct tcp_segment *segment = &flying->segment;
	struct host *host = &exchange->hosts[!side], *peer = &exchange->hosts[side];
	if (side == SIDE_OPENER)
		watch(exchange, segment, side);
	if (segment->flags & TCP_SYN && host->received == 0)
		host->peer_scale = segment->scale;
	if (!(segment->flags & TCP_SYN) && host->received == 0)
		return;
	if (segment->flags & TCP_ACK)
		receive_ack(host, segment);
	uint64_t from = host->received + (int32_t)(segment->seq - (peer->isn + (uint32_t)host->received));
	uint64_t count = segment->length + !!(segment->flags & TCP_SYN) + !!(segment->flags & TCP_FIN);
	if (count == 0 && from != host->received && host->received > 1)
		host->owes_ack = true; /* a keep-alive or a probe */
	receive_data(host, from, from + count);
}

static void deliver(struct exchange *exchange) {
	for (size_t i = 0; i < exchange->count;) {
		if (exchange->flying[i].arrives > exchange->now) {
			i++;
			continue;
		}
		struct flying arrived = exchange->flying[i];
		memmove(&exchange->flying[i], &exchange->flying[i + 1],
			(exchange->count - i - 1) * sizeof *exchange->flying);
		exchange->count--;
		receive(exchange, &arrived);
	}
}

static bool has_shaken_hands(const struct host *host) {
	return host->una > 0 && host->received > 0;
}

static void send_new(struct exchange *exchange, enum side side) {
	struct host *host = &exchange->hosts[side];
	uint64_t end = host->length + 2;
	while (host->next < end && host->next < host->right) {
		uint64_t to = host->next + 1 + below(exchange, host->segment_size);
		if (to > host->right)
			to = host->right;
		if (to > end)
			to = end;
		if (to == end && host->next < end - 1 && chance(exchange, 50))
			to = end - 1; /* the FIN alone */
		if (to == end && !chance(exchange, 5))
			return; /* closes when it likes to */
		emit(exchange, side, host->next, to);
		host->next = to;
	}
}

static void repeat(struct exchange *exchange, enum side side) {
	struct host *host = &exchange->hosts[side];
	if (host->next == 0 || ++host->quiet < host->patience)
		return;
	host->quiet = 0;
	host->patience += host->patience / 2;
	if (host->patience > 200)
		host->patience = 200;
	if (host->una < host->next) {
		uint64_t to = host->una + 1 + (host->una ? below(exchange, host->segment_size) : 0);
		emit(exchange, side, host->una, to < host->next ? to : host->next);
	} else if (host->next < host->length + 2 && host->next >= host->right) {
		/* A probe of the closed window, as BSD and as Linux send it. */
		bool byte = host->next < host->length + 1 && chance(exchange, 50);
		emit(exchange, side, byte ? host->next : host->next - 1,
		     byte ? host->next + 1 : host->next - 1);
		host->next += byte;
	} else if (has_shaken_hands(host) && chance(exchange, 30)) {
		emit(exchange, side, host->next - 1, host->next - 1); /* a keep-alive */
	}
}

static void live(struct exchange *exchange, enum side side) {
	struct host *host = &exchange->hosts[side];
	if (chance(exchange, 20) && host->read < host->received) {
		bool was_closed = host->received - host->read >= host->buffer;
		host->read += 1 + below(exchange, (uint32_t)(host->received - host->read));
		host->owes_ack |= was_closed;
	}
	if (has_shaken_hands(host))
		send_new(exchange, side);
	else if (host->next == 0 && (side == SIDE_OPENER || host->received > 0)) {
		host->next = 1 + (uint64_t)(side == SIDE_OPENER ? host->syn_data : 0);
		emit(exchange, side, 0, host->next);
	}
	repeat(exchange, side);
	if (host->owes_ack && host->next > 0 && chance(exchange, 60)) {
		bool beyond = has_shaken_hands(host) && host->next > host->right;
		uint64_t at = beyond ? host->right : host->next;
		emit(exchange, side, at, at);
	}
}

static bool is_over(const struct exchange *exchange) {
	for (int i = 0; i < 2; i++) {
		const struct host *host = &exchange->hosts[i], *peer = &exchange->hosts[!i];
		if (host->una != host->length + 2 || host->received != peer->length + 2)
			return false;
	}
	return true;
}

static void prepare_host(struct exchange *exchange, struct host *host, uint32_t data) {
	host->isn = below(exchange, 2) ? below(exchange, 1u << 31) * 2 : 0u - below(exchange, data);
	host->length = below(exchange, data);
	host->buffer = 1 + below(exchange, chance(exchange, 50) ? 5000 : 4000000);
	host->segment_size = chance(exchange, 50) ? 1448 : 65160; /* offload merges segments */
	host->scale = chance(exchange, 80) ? (uint8_t)below(exchange, 15) : TCP_NO_SCALE;
	host->peer_scale = TCP_NO_SCALE;
	host->patience = 30;
	/* A window that scaling rounds down to nothing would never open. */
	if (host->scale != TCP_NO_SCALE && host->buffer < 4u << host->scale)
		host->buffer = 4u << host->scale;
}

static void run(unsigned number, enum watching watching) {
	struct exchange *exchange = calloc(1, sizeof *exchange);
	exchange->run = number;
	exchange->random = number + 1;
	exchange->watching = watching;
	below(exchange, 2);
	exchange->loss = below(exchange, 25);
	uint32_t data = chance(exchange, 10) ? 3000000 : 100000;
	for (int i = 0; i < 2; i++)
		prepare_host(exchange, &exchange->hosts[i], data);
	if (chance(exchange, 20) && exchange->hosts[0].length > 1200)
		exchange->hosts[0].syn_data = (uint16_t)below(exchange, 1200);
	if (watching != FROM_THE_START) {
		exchange->blind_from = watching == FROM_THE_MIDDLE ? 0 : 1 + below(exchange, 60);
		exchange->blind_to = exchange->blind_from + 3 + below(exchange, 60);
	}
	while (!is_over(exchange) && exchange->now++ < TICKS) {
		deliver(exchange);
		live(exchange, SIDE_OPENER);
		live(exchange, SIDE_OTHER);
	}
	if (watching == FROM_THE_START && is_over(exchange)) {
		assert_string_equal(tcp_state_name(exchange->state), "TIME_WAIT");
		assert_true(exchange->seen > 3);
	}
	/* The simulation itself must not be what stops early. */
	if (!is_over(exchange) && exchange->hosts[0].una + exchange->hosts[1].una < 2)
		fail_msg("run %u: nothing was exchanged", number);
	free(exchange);
}

static void nothing_honest_is_dropped(void **state) {
	(void)state;
	for (unsigned number = 0; number < 600; number++)
		run(number, FROM_THE_START);
}

static void nothing_honest_is_dropped_after_a_mid_stream_pickup(void **state) {
	(void)state;
	for (unsigned number = 0; number < 200; number++)
		run(number, FROM_THE_MIDDLE);
}

static void nothing_honest_is_dropped_after_packets_passed_unseen(void **state) {
	(void)state;
	for (unsigned number = 0; number < 200; number++)
		run(number, WITH_A_GAP);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_honest_is_dropped),
	    cmocka_unit_test(nothing_honest_is_dropped_after_a_mid_stream_pickup),
	    cmocka_unit_test(nothing_honest_is_dropped_after_packets_passed_unseen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
