/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets that a rule with `log` judged: workers push events, the main thread writes
 * them, at most LOG_LINES_A_SECOND, and counts what it leaves out.
 *
 * When a second's lines are used up the rings are left alone until the next second, so
 * that a flood of logged packets costs the workers a failed push and the main thread
 * nothing.
 */
#ifndef SALLYPORT_DAEMON_PACKET_LOG_H
#define SALLYPORT_DAEMON_PACKET_LOG_H

#include "sallyport/daemon/log.h"
#include "sallyport/daemon/ring.h"
#include "sallyport/kernel/links.h"

enum { LOG_LINES_A_SECOND = 200 };

struct packet_log;

/* `links` belongs to the main thread. NULL: *err says why. */
struct packet_log *packet_log_open(const struct log *log, struct links *links, struct error *err);
/* After the workers have ended: writes what is left, as far as the limit allows. */
void packet_log_close(struct packet_log *packets);
/* The ring of a new worker, owned by the packet log; NULL: out of memory. */
struct ring *packet_log_ring(struct packet_log *packets);

/* By a worker: takes the event's reference over, also when the ring is full. */
void packet_log_push(struct packet_log *packets, struct ring *ring, const struct packet_event *event);

/* Main thread: readable when there is something to drain. */
int packet_log_fd(const struct packet_log *packets);
void packet_log_drain(struct packet_log *packets);
/* Once a second: says how many lines were left out, and starts anew. */
void packet_log_tick(struct packet_log *packets);
uint64_t packet_log_suppressed(const struct packet_log *packets);

#endif
