/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is at the other end of a control connection, and what that one may do.
 */
#ifndef SALLYPORT_DAEMON_RIGHTS_H
#define SALLYPORT_DAEMON_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

enum right { RIGHT_NONE, RIGHT_READ, RIGHT_CHANGE };

struct peer {
	uid_t uid;
	pid_t pid;
	enum right right;
};

/* root and the daemon's own user change things, the group sallyport reads. */
struct peer peer_of(int fd);
/* The group that reads; false: there is none. */
bool control_group(gid_t *gid);

#endif
