/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether somebody else changes our tables: nftables' events, without those that we cause.
 *
 * While anybody listens the kernel writes an event for every rule and element of a transaction, which takes
 * two fifths of a large one's time. So nobody of us listens while we put a ruleset in, and the ruleset's
 * generation, which each transaction of anybody raises by one, tells whether we were alone. Small changes of
 * ours are not heard: the socket's filter lets none through.
 */
#ifndef SALLYPORT_KERNEL_WATCH_H
#define SALLYPORT_KERNEL_WATCH_H

#include "netlink.h"

struct watch;

/* `ours`: the socket that our own transactions go through. NULL: *err. */
struct watch *watch_open(struct mnl_socket *ours, struct error *err);
void watch_close(struct watch *watch);
int watch_fd(const struct watch *watch); /* readable when somebody changed nftables */
/* False: it has gone deaf, see nft_socket_stands. */
bool watch_stands(const struct watch *watch);

/* As batch_send, of a ruleset, without listening meanwhile unless others change something all the time.
 * `anew`: it makes the table from nothing, and what others did to it before is no matter any more; the events
 * of a large change come while we are already at it. */
bool watch_send(struct watch *watch, struct batch *batch, bool anew, int *code, struct error *err);

/* What stands in the kernel may not be what we think: the next watch_saw_change is true. */
void watch_doubt(struct watch *watch);
/* Drains the events; true: somebody else has changed a table of ours, or may have. */
bool watch_saw_change(struct watch *watch);

#endif
