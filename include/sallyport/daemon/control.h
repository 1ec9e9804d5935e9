/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket: who may come in, and the list of who is there.
 * The protocol is in doc/control-protocol.md.
 */
#ifndef SALLYPORT_DAEMON_CONTROL_H
#define SALLYPORT_DAEMON_CONTROL_H

#include <systemd/sd-event.h>

#include "sallyport/daemon/daemon.h"

enum {
	MAX_CLIENTS = 64,
	/* The last places are for those who may change things: readers must not lock root out. */
	RESERVED_CLIENTS = 8,
	CLIENT_IDLE_SECONDS = 30,
	/* One that has an answer coming but does not read it: somebody's pager, perhaps. */
	CLIENT_STALLED_SECONDS = 600,
};

#define CONTROL_GROUP "sallyport"

struct control;
struct client;

/* False: another daemon answers there, or something else is in the way (*err). */
bool control_is_free(const char *path, struct error *err);
/* Listens, mode 0660, for the group sallyport where there is one. Makes the directory
 * of the default path when it is missing. NULL: *err says why. */
struct control *control_open(struct daemon *daemon, sd_event *event, struct error *err);
/* Cuts every client off and removes the socket. NULL is fine. */
void control_close(struct control *control);
/* Once a second: cuts off idle clients. */
void control_tick(struct control *control);
/* By a client that ends. */
void control_forget(struct control *control, struct client *client);

#endif
