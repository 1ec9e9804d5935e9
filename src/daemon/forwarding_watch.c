/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A container engine that starts turns forwarding on; its first packets come later.
 */
#include "sallyport/daemon/forwarding_watch.h"

#include "sallyport/daemon/cut.h"
#include "sallyport/kernel/forwarding.h"

static bool host_forwards(const struct daemon *daemon) {
	bool forwards;
	struct error err;

	if (forwarding_read(&forwards, &err))
		return forwards;
	log_write(&daemon->log, LOG_PROBLEM, NULL, "%s; taking it that it does", err.text);
	return true;
}

void forwarding_watch_start(struct daemon *daemon) {
	install_set_forwards(daemon->install, host_forwards(daemon));
}

void forwarding_watch_event(struct daemon *daemon) {
	bool forwards = host_forwards(daemon);
	struct error err;

	if (forwards == install_forwards(daemon->install))
		return;
	install_set_forwards(daemon->install, forwards);
	if (!daemon->installed)
		return;
	if (daemon_install(daemon, &err)) {
		log_write(&daemon->log, LOG_REINSTALLED, NULL, "this host %s packets now: what leaves is %s",
			  forwards ? "forwards" : "does not forward", forwards ? "learned" : "its own");
		return;
	}
	/* So that the next event tries again. */
	install_set_forwards(daemon->install, !forwards);
	log_write(&daemon->log, LOG_FAILED, NULL, "the rules for a host that %s cannot be installed: %s",
		  forwards ? "forwards" : "does not forward", err.text);
}
