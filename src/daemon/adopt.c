/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A firewall that starts on a running host must not cut what is open, the
 * administrator's own connection first of all: the host's sockets say what that is.
 */
#include <net/if.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/daemon.h"
#include "sallyport/kernel/sockets.h"

struct adoption {
	struct filter *filter;
	const struct policy *policy;
	const struct if_nameindex *interfaces; /* NULL, or ended by index 0 */
	uint32_t now;
	size_t count;
};

/* A socket does not say through which interface it was opened: any that the rules allow. */
static bool is_allowed(const struct adoption *adoption, struct connection *connection) {
	if (filter_recheck(adoption->policy, connection, NULL))
		return true;
	for (const struct if_nameindex *i = adoption->interfaces; i && i->if_index != 0; i++) {
		if (filter_recheck(adoption->policy, connection, i->if_name)) {
			connection->interface = i->if_index;
			return true;
		}
	}
	return false;
}

static void insert(struct adoption *adoption, struct stripe *stripe, const struct connection *wanted) {
	const struct tracker *tracker = tracker_of(PROTOCOL_TCP);
	const struct timeouts *timeouts = &adoption->policy->ruleset->settings.timeouts;
	struct connection *connection = connection_insert(stripe, &wanted->key, adoption->now);

	if (!connection)
		return;
	connection->rule = wanted->rule;
	connection->generation = wanted->generation;
	connection->interface = wanted->interface;
	connection->direction = wanted->direction;
	connection->state = wanted->state;
	connection->flags = CONNECTION_PICKED_UP;
	/* An epoch that is not the filter's: the windows are learned from the next segments. */
	connection->epoch = (uint8_t)(atomic_load(&adoption->filter->epoch) - 1);
	connection_touch(stripe, connection, adoption->now, timeouts->seconds[tracker->timeout(wanted->state)],
	                 tracker->worth(wanted->state), true);
	adoption->count++;
}

static void adopt(const struct open_socket *socket, void *context) {
	struct adoption *adoption = context;
	struct connection wanted = {
	    .key = socket->key,
	    .direction = (uint8_t)socket->direction,
	    .state = (uint8_t)socket->state,
	};
	struct stripe *stripe;

	if (!is_allowed(adoption, &wanted))
		return;
	stripe = table_lock(adoption->filter->table, &wanted.key);
	if (!connection_find(stripe, &wanted.key))
		insert(adoption, stripe, &wanted);
	table_unlock(stripe);
}

size_t daemon_adopt_sockets(struct daemon *daemon) {
	struct if_nameindex *interfaces = if_nameindex();
	struct adoption adoption = {
	    .filter = &daemon->workplace.filter,
	    .policy = &daemon_policy(daemon)->policy,
	    .interfaces = interfaces,
	    .now = clock_seconds(),
	};
	struct error err;

	if (!sockets_open(adopt, &adoption, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read what connections are open: %s", err.text);
	if (interfaces)
		if_freenameindex(interfaces);
	return adoption.count;
}
