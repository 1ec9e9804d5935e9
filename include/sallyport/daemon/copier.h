/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The thread that reads copies of what passes on leases, and brings the table up to date by
 * them.
 */
#ifndef SALLYPORT_DAEMON_COPIER_H
#define SALLYPORT_DAEMON_COPIER_H

#include "sallyport/daemon/worker.h"

struct copier;

/* Binds the nflog group. NULL: *err says why. Owner: copier_free. */
struct copier *copier_new(uint16_t group, struct workplace *workplace, struct error *err);
/* Starts the thread; every signal must be blocked by now. */
bool copier_start(struct copier *copier, struct error *err);
void copier_ask_to_stop(struct copier *copier);
/* Waits for the thread, if there is one. NULL is fine. */
void copier_free(struct copier *copier);

/* The rest is for the main thread, while the copier works. */

/* True: the thread has given up, or the kernel sends no more copies; *err says why. */
bool copier_has_failed(const struct copier *copier, struct error *err);

/* Waits, at most 15 ms, until what has passed before the call is in the table. */
void copier_catch_up(const struct copier *copier);

struct copier_figures {
	uint64_t copies;
	uint64_t lost;      /* on the way; their connections' windows are learned again */
	uint64_t strangers; /* of no connection in the table */
};
struct copier_figures copier_figures(const struct copier *copier);

#endif
