/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The real struct world: files, globs, and the system's service names
 * (getservbyname, so nsswitch.conf is respected). Shared by the daemon and the CLI.
 */
#ifndef SALLYPORT_HOST_WORLD_H
#define SALLYPORT_HOST_WORLD_H

#include "sallyport/core/parse.h"

#ifndef SALLYPORT_SYSCONFDIR /* the Makefile's */
#define SALLYPORT_SYSCONFDIR "/etc"
#endif
#define DEFAULT_RULES_FILE SALLYPORT_SYSCONFDIR "/sallyport/sallyport.rules"
#define DEFAULT_SOCKET     "/run/sallyport/control"

/* Reads regular files of at most 128 MiB, refuses directories, devices and what holds a NUL
 * byte (with its offset). */
extern const struct world host_world;

#endif
