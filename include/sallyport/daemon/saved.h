/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection table in a file, DIRECTORY/connections (core/snapshot.h is its format), so
 * that a restart keeps what neither the kernel nor the host's sockets can tell: direction,
 * state, age, UDP and ICMP, and what was learned.
 *
 * The file is written beside its name and renamed over it, so whoever reads it finds all of
 * an old one or all of a new one; mode 0600. It is removed as it is read: it tells
 * of one moment, and after a crash later on it would bring back what was closed or killed
 * since. It needs no limit to its age: each connection has its own timeout, and the time that
 * has passed counts.
 */
#ifndef SALLYPORT_DAEMON_SAVED_H
#define SALLYPORT_DAEMON_SAVED_H

#include "sallyport/core/error.h"
#include "sallyport/core/snapshot.h"

/* Saves all connections that stand but those of which only a SYN was seen. False: nothing was
 * changed in the directory. */
bool saved_write(struct table *table, const char *directory, uint32_t now, struct error *err);

enum saved_outcome {
	SAVED_MISSING, /* there is none */
	SAVED_READ,    /* every connection was seen, and the file is gone */
	SAVED_STALE,   /* of another boot or network namespace: whole, but it means nothing here */
	SAVED_BAD,     /* damaged, of another version, or it cannot be read or removed */
};

/* Calls `see` for each connection, its age and idle time as of `now`. All or nothing: a
 * damaged file is found out before the first call. STALE and BAD say why in `err`, and leave the
 * file where it is. */
enum saved_outcome saved_read(const char *directory, uint32_t now,
			      void (*see)(const struct saved_connection *, void *), void *context,
			      struct error *err);

#endif
