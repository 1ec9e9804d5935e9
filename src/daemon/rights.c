/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is at the other end: what the kernel says, not what the client says.
 */
#include "sallyport/daemon/rights.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/daemon/control.h"

gid_t control_group(void) {
	const struct group *group = getgrnam(CONTROL_GROUP);

	return group ? group->gr_gid : NO_GROUP;
}

static bool has_supplementary_group(int fd, gid_t gid) {
	gid_t *groups;
	socklen_t size = 0;
	bool found = false;

	/* With no room it fails, and says how much it takes. */
	getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size);
	groups = size ? malloc(size) : NULL;
	if (groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
		for (size_t i = 0; i < size / sizeof(*groups); i++)
			found = found || groups[i] == gid;
	}
	free(groups);
	return found;
}

static enum right right_of(int fd, const struct ucred *credentials, gid_t readers) {
	if (credentials->uid == 0 || credentials->uid == geteuid())
		return RIGHT_CHANGE;
	if (readers != NO_GROUP && (credentials->gid == readers || has_supplementary_group(fd, readers)))
		return RIGHT_READ;
	return RIGHT_NONE;
}

struct peer peer_of(int fd, gid_t readers) {
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return (struct peer){.uid = (uid_t)-1, .right = RIGHT_NONE};
	return (struct peer){
	    .uid = credentials.uid,
	    .pid = credentials.pid,
	    .right = right_of(fd, &credentials, readers),
	};
}
