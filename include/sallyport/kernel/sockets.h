/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host's own TCP sockets, by sock_diag (net/ipv4/inet_diag.c). So that a firewall
 * that starts on a running host does not cut the connections that are open already, the
 * administrator's own first of all.
 */
#ifndef SALLYPORT_KERNEL_SOCKETS_H
#define SALLYPORT_KERNEL_SOCKETS_H

#include "sallyport/core/error.h"
#include "sallyport/core/key.h"
#include "sallyport/core/tcp.h"

/* A connected TCP socket as the table would know it. */
struct open_socket {
	struct key key;
	enum direction direction; /* IN where a socket of this host listens on its local port */
	enum tcp_state state;     /* ESTABLISHED, FIN_WAIT, CLOSE_WAIT or LAST_ACK */
};

/* Calls `see` for every connected TCP socket of this network namespace, both families. */
bool sockets_open(void (*see)(const struct open_socket *socket, void *context), void *context,
		  struct error *err);

/* Looks single sockets up. One owner thread. */
struct socket_finder;
struct socket_finder *socket_finder_open(struct error *err);
void socket_finder_close(struct socket_finder *finder); /* NULL is fine */
/* Whether a TCP socket of this host has this key. OPEN: *state is what the table would have for a connection
 * opened in `direction`; OPENING: its handshake goes on; ENDED: TIME-WAIT; NONE: or the kernel did not
 * answer. Takes a few microseconds. */
enum socket_found { SOCKET_NONE, SOCKET_ENDED, SOCKET_OPENING, SOCKET_OPEN };
enum socket_found socket_find(struct socket_finder *finder, const struct key *key, enum direction direction,
			      enum tcp_state *state);

#endif
