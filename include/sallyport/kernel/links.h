/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of network interfaces by kernel index, cheap enough for the packet path.
 * A `struct links` belongs to one thread. The watcher (one, in the main
 * thread) bumps a generation when any interface comes, goes or is renamed.
 */
#ifndef SALLYPORT_KERNEL_LINKS_H
#define SALLYPORT_KERNEL_LINKS_H

#include <stdint.h>

#include "sallyport/core/error.h"

/* rtnetlink: interfaces, and what is configured about them (forwarding.h). */
struct links_watch;

struct links_watch *links_watch_open(struct error *err);
void links_watch_close(struct links_watch *watch);
int links_watch_fd(const struct links_watch *watch);
void links_watch_drain(struct links_watch *watch);

struct links;
struct links *links_new(struct links_watch *watch); /* NULL: out of memory */
void links_free(struct links *links);
/* NULL: no such interface (0 too). Valid until the next call. */
const char *links_name(struct links *links, uint32_t index);

#endif
