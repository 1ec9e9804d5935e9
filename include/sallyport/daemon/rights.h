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

#define NO_GROUP ((gid_t)-1)

/* root and the daemon's own user change things, members of the group `readers` read. */
struct peer peer_of(int fd, gid_t readers);
/* The group that reads, or NO_GROUP. */
gid_t control_group(void);

#endif
