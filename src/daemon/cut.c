/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * First in the table, then in the kernel, with the workers settled in between: a packet
 * that was judged before may still bring its connection a lease.
 */
#include "sallyport/daemon/cut.h"

#include <stdlib.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/kernel/translation.h"

void key_list_add(struct key_list *list, const struct key *key) {
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct key *keys = realloc(list->keys, room * sizeof(*keys));

		list->incomplete = list->incomplete || !keys;
		if (!keys)
			return;
		list->keys = keys;
		list->room = room;
	}
	list->keys[list->count++] = *key;
}

struct revocation key_list_revocation(const struct key_list *list) {
	return (struct revocation){list->keys, list->count};
}

void key_list_free(struct key_list *list) {
	free(list->keys);
	*list = (struct key_list){0};
}

void daemon_settle_workers(struct daemon *daemon) {
	for (size_t i = 0; i < daemon->worker_count; i++) {
		if (!worker_settle(daemon->workers[i]))
			log_write(&daemon->log, LOG_PROBLEM, NULL, "the worker of nfqueue %u does not move",
				  worker_queue_number(daemon->workers[i]));
	}
}

static void take_back(struct daemon *daemon, const struct key_list *list) {
	struct revocation revocation = key_list_revocation(list);
	struct error err;

	if (!daemon->installed)
		return;
	if (!install_revoke(daemon->install, &revocation, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL,
			  "leases of connections that were cut run out by themselves: %s", err.text);
	else if (list->incomplete)
		log_write(&daemon->log, LOG_PROBLEM, NULL,
			  "out of memory: some leases of connections that were cut run out by themselves");
}

/* Over the whole table; the leases of what it finds are listed. */
struct walk {
	struct daemon *daemon;
	struct key_list *list;
	/* how it finds */
	cut_stays *stays;
	void *context; /* of `stays` */
	const struct policy *policy;
};

static size_t sweep(struct walk *walk, table_visit *visit) {
	return table_sweep(walk->daemon->workplace.filter.table, clock_seconds(), visit, walk);
}

/* What a socket of this host sends on a redirected connection has a lease of its own, under the port that the
 * socket has. */
static void list_leases_of(const struct walk *walk, const struct key *key) {
	const struct daemon *daemon = walk->daemon;
	struct key inner;

	key_list_add(walk->list, key);
	if (daemon->workplace.redirects_seen && translation_inner(daemon->translations, key, &inner))
		key_list_add(walk->list, &inner);
}

/* ---- again ---- */

static int find_cut(const struct key *key, struct connection *connection, void *context) {
	if (connection->state == STATE_CUT)
		list_leases_of(context, key);
	return (int)connection->state;
}

bool daemon_install(struct daemon *daemon, struct error *err) {
	struct key_list cut = {0};
	struct walk walk = {.daemon = daemon, .list = &cut};
	struct revocation revocation;
	bool done;

	sweep(&walk, find_cut);
	revocation = key_list_revocation(&cut);
	done = install_ruleset(daemon->install, daemon_policy(daemon)->ruleset, &revocation, err);
	key_list_free(&cut);
	return done;
}

/* ---- chosen by the caller ---- */

static int choose(const struct key *key, struct connection *connection, void *context) {
	const struct walk *walk = context;

	if (walk->stays(key, connection, walk->context))
		return (int)connection->state;
	list_leases_of(walk, key);
	return STATE_CUT;
}

size_t daemon_cut(struct daemon *daemon, cut_stays *stays, void *context) {
	struct key_list cut = {0};
	struct walk walk = {.daemon = daemon, .list = &cut, .stays = stays, .context = context};
	size_t count = sweep(&walk, choose);

	daemon_settle_workers(daemon);
	take_back(daemon, &cut);
	key_list_free(&cut);
	return count;
}

/* ---- chosen by new rules ---- */

static const char *interface_of(const struct walk *walk, const struct connection *connection) {
	return connection->interface ? links_name(walk->daemon->links, connection->interface) : NULL;
}

static int judge(const struct key *key, struct connection *connection, void *context) {
	const struct walk *walk = context;
	uint32_t flags = connection->flags;
	bool allowed = filter_recheck(walk->policy, key, connection, interface_of(walk, connection));

	if (!allowed || flags != connection->flags)
		list_leases_of(walk, key);
	return allowed ? (int)connection->state : STATE_CUT;
}

static int foresee(const struct key *key, struct connection *connection, void *context) {
	struct connection copy = *connection;

	judge(key, &copy, context);
	return (int)connection->state;
}

void daemon_find_cuts(struct daemon *daemon, const struct policy *next, struct key_list *list) {
	struct walk walk = {.daemon = daemon, .list = list, .policy = next};

	sweep(&walk, foresee);
}

size_t daemon_cut_forbidden(struct daemon *daemon, const struct policy *policy) {
	struct key_list unleased = {0};
	struct walk walk = {.daemon = daemon, .list = &unleased, .policy = policy};
	size_t count = sweep(&walk, judge);

	take_back(daemon, &unleased);
	key_list_free(&unleased);
	return count;
}
