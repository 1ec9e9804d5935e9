/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Least privilege: what the daemon gives up once its sockets are open and before its threads start,
 * whoever started it. The unit (systemd/sallyport.service) does as much from outside, and more.
 */
#ifndef SALLYPORT_DAEMON_SANDBOX_H
#define SALLYPORT_DAEMON_SANDBOX_H

#include <stdbool.h>

#include "sallyport/core/error.h"

struct sandbox {
	const char *state_directory; /* may be written to; NULL: none */
	const char *socket_path;     /* may be removed at the end */
	bool paths_are_confined;     /* set by sandbox_enter; false: this kernel has no Landlock */
	bool calls_are_filtered;     /* false: no seccomp in this kernel, or a build with a sanitizer */
};

/* For the calling thread and those that it starts, for good: CAP_NET_ADMIN alone, no new privileges,
 * nothing to write outside the state directory, and no system calls but those of daemon/syscalls.h.
 * What the kernel does not have is left out; false: something it has failed. */
bool sandbox_enter(struct sandbox *sandbox, struct error *err);

#endif
