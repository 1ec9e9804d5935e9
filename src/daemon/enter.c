/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections from before, into the table.
 */
#include "sallyport/daemon/enter.h"

static bool insert(struct filter *filter, struct stripe *stripe, const struct keyed_connection *keyed) {
	const struct connection *wanted = &keyed->connection;
	struct connection *connection =
	    connection_insert(stripe, &keyed->key, wanted->state, wanted->renewed);

	if (!connection)
		return false;
	connection->opened = wanted->opened;
	connection->rule = wanted->rule;
	connection->generation = wanted->generation;
	connection->interface = wanted->interface;
	connection->direction = wanted->direction;
	connection->flags = wanted->flags;
	/* An epoch that is not the filter's: the windows are learned from the next segments. */
	connection->epoch = (uint8_t)(atomic_load(&filter->epoch) - 1);
	return true;
}

/* What stands in the table is how far it was when packets were last seen. */
static bool gives_way(const struct filter *filter, const struct connection *standing,
		      const struct connection *wanted) {
	bool unseen = wanted->flags & CONNECTION_LEASED || standing->epoch != atomic_load(&filter->epoch);

	return unseen && state_is_open(wanted->state) &&
	       (state_is_opening(standing->state) || state_is_over(standing->state));
}

bool enter_connection(struct filter *filter, const struct keyed_connection *wanted) {
	struct stripe *stripe = table_lock(filter->table, &wanted->key);
	struct connection *standing = connection_find(stripe, &wanted->key);
	bool entered;

	if (standing && gives_way(filter, standing, &wanted->connection)) {
		connection_remove(stripe, standing);
		standing = NULL;
	}
	entered = !standing && insert(filter, stripe, wanted);
	table_unlock(stripe);
	return entered;
}
