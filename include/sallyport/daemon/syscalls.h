/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The system calls that a running daemon needs; seccomp refuses the others.
 *
 * What only an intruder would try (to run a program, to trace, to mount, to load a module, to become
 * somebody else) kills the process: the guard goes on in the kernel, the kernel logs it, systemd
 * starts the daemon anew. Anything else that is not listed does not exist (ENOSYS), so that a newer
 * libc that tries a newer call falls back to the older one instead of ending a firewall.
 */
#ifndef SALLYPORT_DAEMON_SYSCALLS_H
#define SALLYPORT_DAEMON_SYSCALLS_H

#include <stdbool.h>

#include "sallyport/core/error.h"

/* For all threads of the process, for good. *filtered: false where the kernel has no seccomp, and in
 * builds with a sanitizer, which traces the process from inside as it ends. */
bool syscalls_restrict(bool *filtered, struct error *err);

#endif
