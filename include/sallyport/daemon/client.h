/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One client of the control socket: lines in, lines out, never waiting for it.
 *
 * Backpressure: a request is read only when the answer to the one before has left, and
 * a long answer is made piece by piece as the client takes it.
 */
#ifndef SALLYPORT_DAEMON_CLIENT_H
#define SALLYPORT_DAEMON_CLIENT_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "sallyport/daemon/daemon.h"
#include "sallyport/daemon/rights.h"

enum {
	REQUEST_MAX = 64 * 1024,  /* bytes of one line, its newline included */
	OUTPUT_HIGH = 256 * 1024, /* no more pieces are made beyond this */
};

struct client;

/* `fd` is taken over, also on failure (NULL: out of memory). */
struct client *client_new(struct daemon *daemon, sd_event *event, int fd, const struct peer *peer);
/* Closes, frees and takes it from the control's list. */
void client_end(struct client *client);
bool client_is_idle(const struct client *client, uint32_t now);
/* The peer has closed; what it asked for is nobody's any more. */
bool client_is_gone(const struct client *client);

/* For commands: */

struct daemon *client_daemon(const struct client *client);
const struct peer *client_peer(const struct client *client);

/* One line of data. Takes the reference; NULL stands for "out of memory", and cuts the
 * client off. */
void client_send(struct client *client, json_t *object);
/* The closing line {"done":true, ...}: `more` (a reference, may be NULL) follows. */
void client_done(struct client *client, json_t *more);
void client_error(struct client *client, const char *text);
/* After client_error: nothing more from this one. */
void client_hang_up(struct client *client);

/* A long answer. `more` sends a piece (a few hundred lines at most, and may be none) and
 * answers whether it is to be called again; `end` frees the state, however it ends. */
struct piecemeal {
	bool (*more)(struct client *client, void *state);
	void (*end)(void *state);
};
void client_send_piecemeal(struct client *client, const struct piecemeal *answer, void *state);

#endif
