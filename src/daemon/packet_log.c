/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the workers' rings to the log.
 */
#include "sallyport/daemon/packet_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sallyport/daemon/options.h"
#include "sallyport/daemon/packet_text.h"

struct packet_log {
	const struct log *log;
	struct links *links;
	struct ring *rings[MAX_QUEUES];
	size_t ring_count;
	int fd;
	_Atomic bool armed; /* the next push must wake the main thread */
	unsigned lines;     /* written in this second */
	uint64_t discarded; /* popped, not written */
	uint64_t reported;  /* of those suppressed, said so already */
};

struct packet_log *packet_log_open(const struct log *log, struct links *links, struct error *err) {
	struct packet_log *packets = calloc(1, sizeof(*packets));

	if (!packets) {
		error_set(err, "out of memory");
		return NULL;
	}
	packets->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (packets->fd < 0) {
		error_set(err, "cannot make an eventfd: %m");
		free(packets);
		return NULL;
	}
	packets->log = log;
	packets->links = links;
	atomic_init(&packets->armed, true);
	return packets;
}

struct ring *packet_log_ring(struct packet_log *packets) {
	struct ring *ring;

	if (packets->ring_count == MAX_QUEUES)
		return NULL;
	ring = aligned_alloc(_Alignof(struct ring), sizeof(*ring));
	if (!ring)
		return NULL;
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->lost, 0);
	packets->rings[packets->ring_count++] = ring;
	return ring;
}

void packet_log_push(struct packet_log *packets, struct ring *ring, const struct packet_event *event) {
	static const uint64_t one = 1;

	if (!ring_push(ring, event)) {
		policy_drop(event->policy);
		return;
	}
	if (!atomic_exchange(&packets->armed, false))
		return;
	/* Cannot fail in a way that matters: a full counter is readable too. */
	if (write(packets->fd, &one, sizeof(one)) < 0)
		return;
}

int packet_log_fd(const struct packet_log *packets) {
	return packets->fd;
}

static void write_event(struct packet_log *packets, const struct packet_event *event) {
	const char *interface = links_name(packets->links, event->interface);
	struct packet_fields fields = {.list = {NULL}};
	char line[PACKET_LINE];

	packet_event_text(event, interface, line);
	packet_event_fields(event, interface, &fields);
	log_write(packets->log, LOG_PACKET, fields.list, "%s", line);
	packets->lines++;
}

/* Writes until the rings are empty (true) or the second's lines are used up. */
static bool write_events(struct packet_log *packets) {
	struct packet_event event;

	for (size_t i = 0; i < packets->ring_count; i++) {
		while (packets->lines < LOG_LINES_A_SECOND && ring_pop(packets->rings[i], &event)) {
			write_event(packets, &event);
			policy_drop(event.policy);
		}
	}
	return packets->lines < LOG_LINES_A_SECOND;
}

void packet_log_drain(struct packet_log *packets) {
	uint64_t count;

	if (read(packets->fd, &count, sizeof(count)) < 0)
		count = 0;
	if (!write_events(packets))
		return;
	/* What was pushed between the last look and this exchange woke nobody. */
	atomic_exchange(&packets->armed, true);
	write_events(packets);
}

static void discard_events(struct packet_log *packets) {
	struct packet_event event;

	for (size_t i = 0; i < packets->ring_count; i++) {
		for (unsigned taken = 0; taken < RING_SLOTS && ring_pop(packets->rings[i], &event); taken++) {
			policy_drop(event.policy);
			packets->discarded++;
		}
	}
}

static void report_suppressed(struct packet_log *packets) {
	uint64_t suppressed = packet_log_suppressed(packets);

	if (suppressed == packets->reported)
		return;
	log_write(packets->log, LOG_SUPPRESSED, NULL,
		  "%" PRIu64 " more packets were not logged (at most %d a second)",
		  suppressed - packets->reported, LOG_LINES_A_SECOND);
	packets->reported = suppressed;
}

void packet_log_tick(struct packet_log *packets) {
	if (packets->lines >= LOG_LINES_A_SECOND)
		discard_events(packets);
	report_suppressed(packets);
	packets->lines = 0;
	packet_log_drain(packets);
}

uint64_t packet_log_suppressed(const struct packet_log *packets) {
	uint64_t lost = packets->discarded;

	for (size_t i = 0; i < packets->ring_count; i++)
		lost += atomic_load_explicit(&packets->rings[i]->lost, memory_order_relaxed);
	return lost;
}

void packet_log_close(struct packet_log *packets) {
	if (!packets)
		return;
	write_events(packets);
	discard_events(packets);
	report_suppressed(packets);
	for (size_t i = 0; i < packets->ring_count; i++)
		free(packets->rings[i]);
	close(packets->fd);
	free(packets);
}
