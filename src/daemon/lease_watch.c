/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One walk over the kernel's leases. Who opened a connection is not written there: it is asked of
 * the rules for whichever side can have been the server.
 */
#include "sallyport/daemon/lease_watch.h"

#include <inttypes.h>

#include "sallyport/daemon/adopt.h"
#include "sallyport/daemon/busy_watch.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/cut.h"
#include "sallyport/daemon/enter.h"
#include "sallyport/daemon/loop.h"
#include "sallyport/kernel/sockets.h"
#include "sallyport/kernel/translation.h"

enum {
	EVERY_US = 10 * 1000 * 1000,
	/* A dump starts its walk anew for every 32 KiB of answer, so that many leases take their time. */
	READ_SHARE = 200,
	/* What the kernel has admitted meanwhile must be known while it still grants leases by itself, for
	 * two minutes after the last. */
	BUSY_READ_SHARE = 40,
	BUSY_PAUSE_US = 30 * 1000 * 1000,
	/* A dump of as many takes milliseconds; of a million, asking about each, half a minute. */
	ALIVE_EVERY = 4096,
	/* Ports from here on are for clients (net.ipv4.ip_local_port_range). */
	EPHEMERAL = 32768,
	/* A socket's answer to a SYN, or the end of it, is not to be waited for longer. */
	HANDSHAKE_SECONDS = 3,
	MOST_HALF_OPEN = 8192, /* a look; each costs a question */
};

struct comparison {
	struct daemon *daemon;
	struct adoption adoption;
	struct lease_figures figures;
	bool second;    /* look */
	bool undecided; /* some were left to a second look */
	uint64_t known; /* leases of connections in the table, */
	uint64_t held;  /* and connections there that were given one */
	struct key_list forbidden;
};

static uint8_t state_of(const struct key *key) {
	return key->protocol == PROTOCOL_TCP ? TCP_ESTABLISHED : UDP_REPLIED;
}

static enum socket_found find_socket(struct daemon *daemon, const struct key *key) {
	enum tcp_state state;

	return socket_find(daemon->sockets, key, DIRECTION_IN, &state);
}

/* STATES: the table does not know it. */
static uint8_t state_in_table(struct table *table, const struct key *key) {
	struct stripe *stripe = table_lock(table, key);
	const struct connection *connection = connection_find(stripe, key);
	uint8_t state = connection ? connection->state : STATES;

	table_unlock(stripe);
	return state;
}

static bool is_translating(struct daemon *daemon) {
	return install_forwards(daemon->install) || daemon->workplace.redirects_seen;
}

static bool is_open(struct daemon *daemon, const struct key *key) {
	return find_socket(daemon, key) == SOCKET_OPEN ||
	       (is_translating(daemon) && translation_find(daemon->translations, key) == TRANSLATED_OPEN);
}

/* A FIN and an RST shorten the lease: where it is long, what was over is not what it was given to. And a
 * handshake may have been completed unseen, where half of it was admitted by the kernel. */
static bool is_known(const struct comparison *comparison, const struct lease *lease) {
	uint8_t state = state_in_table(comparison->daemon->workplace.filter.table, &lease->key);

	if (state_is_opening(state))
		return !is_open(comparison->daemon, &lease->key);
	return state != STATES && (lease->left <= LEASE_CLOSING_SECONDS || !state_is_over(state));
}

static bool is_allowed(const struct comparison *comparison, struct keyed_connection *wanted,
		       enum direction direction) {
	wanted->connection.direction = direction;
	return adoption_allows(&comparison->adoption, wanted);
}

/* With a service's port here and a client's there, the other side opened it. */
static bool find_direction(const struct comparison *comparison, struct keyed_connection *wanted) {
	const struct key *key = &wanted->key;
	bool serves = key->local_port < EPHEMERAL && key->remote_port >= EPHEMERAL;

	return is_allowed(comparison, wanted, DIRECTION_IN) ||
	       (!serves && is_allowed(comparison, wanted, DIRECTION_OUT));
}

/* A lease without an open socket: of somebody behind this host, or of a connection that has ended since the
 * lease was read. A moment later the latter is running out. */
static bool take_time(struct comparison *comparison, enum socket_found found) {
	bool later = found != SOCKET_OPEN && !comparison->second;

	comparison->undecided = comparison->undecided || later;
	return later;
}

/* With nobody behind this host either: a segment that belongs to nothing brought it, as the last of a
 * connection does that comes late. It runs out by itself, while an entry would stay for hours. */
static bool is_nobodys(const struct comparison *comparison, const struct key *key, bool here) {
	struct daemon *daemon = comparison->daemon;

	return !here &&
	       (!is_translating(daemon) || translation_find(daemon->translations, key) <= TRANSLATED_ENDED);
}

static void take_up(struct comparison *comparison, const struct lease *lease) {
	bool tcp = lease->key.protocol == PROTOCOL_TCP;
	enum socket_found found = tcp ? find_socket(comparison->daemon, &lease->key) : SOCKET_NONE;
	bool here = found != SOCKET_NONE;
	struct keyed_connection wanted = {
	    .key = lease->key,
	    .connection =
		{
		    .state = state_of(&lease->key),
		    .flags = here ? CONNECTION_LEASED : CONNECTION_LEASED | CONNECTION_FORWARDED,
		    .opened = comparison->adoption.now,
		    .renewed = comparison->adoption.now,
		},
	};

	if (tcp && (take_time(comparison, found) || is_nobodys(comparison, &lease->key, here)))
		return;
	if (!find_direction(comparison, &wanted)) {
		key_list_add(&comparison->forbidden, &lease->key);
		comparison->figures.revoked++;
	} else {
		comparison->adoption.count +=
		    enter_connection(&comparison->daemon->workplace.filter, &wanted);
	}
}

/* One that is running out after a FIN may be older than the table's memory of it; so may one that is about to
 * run out anyway, but for the host's own connections the socket tells. */
static bool may_have_ended(const struct comparison *comparison, const struct lease *lease) {
	if (lease->key.protocol != PROTOCOL_TCP || lease->left > LEASE_CLOSING_SECONDS)
		return false;
	/* A busy host has too many of these to ask for each, and its sockets were read just now. */
	return busy_watch_is_behind(comparison->daemon) ||
	       find_socket(comparison->daemon, &lease->key) != SOCKET_OPEN;
}

/* Under what the wire shows of it. */
static bool is_redirected(const struct comparison *comparison, const struct key *key) {
	struct daemon *daemon = comparison->daemon;
	struct key outer;

	return daemon->workplace.redirects_seen && translation_outer(daemon->translations, key, &outer) &&
	       state_in_table(daemon->workplace.filter.table, &outer) != STATES;
}

static void see(const struct lease *lease, void *context) {
	struct comparison *comparison = context;

	if (comparison->figures.leases++ % ALIVE_EVERY == 0)
		daemon_notify_alive(comparison->daemon);
	if (is_known(comparison, lease) || is_redirected(comparison, &lease->key)) {
		comparison->known++;
		return;
	}
	if (may_have_ended(comparison, lease))
		return;
	comparison->figures.unknown++;
	take_up(comparison, lease);
}

static void take_back(struct daemon *daemon, const struct key_list *forbidden) {
	struct revocation revocation = key_list_revocation(forbidden);
	struct error err;

	if (!install_revoke(daemon->install, &revocation, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL,
			  "leases that the rules do not allow run out by themselves: %s", err.text);
}

static int count_held(const struct key *key, struct connection *connection, void *context) {
	struct comparison *comparison = context;

	(void)key;
	comparison->held += (connection->flags & CONNECTION_LEASED) != 0;
	return (int)connection->state;
}

static bool compare(struct daemon *daemon, bool second, struct lease_figures *figures, struct error *err) {
	struct comparison comparison = {.daemon = daemon, .second = second};
	bool done;

	adoption_begin(&comparison.adoption, daemon);
	done = install_leases(daemon->install, see, &comparison, err);
	adoption_end(&comparison.adoption);
	if (done)
		take_back(daemon, &comparison.forbidden);
	key_list_free(&comparison.forbidden);
	table_sweep(daemon->workplace.filter.table, comparison.adoption.now, count_held, &comparison);
	*figures = comparison.figures;
	figures->idle = comparison.held > comparison.known ? comparison.held - comparison.known : 0;
	figures->adopted = comparison.adoption.count;
	figures->time = comparison.adoption.now;
	daemon->lease_watch.comparisons += done;
	if (comparison.undecided && daemon->loop)
		loop_follow_sockets(daemon->loop);
	return done;
}

bool leases_compare(struct daemon *daemon, struct lease_figures *figures, struct error *err) {
	return compare(daemon, false, figures, err);
}

/* ---- what is gone ---- */

struct truth {
	struct daemon *daemon;
	uint32_t now;
	uint32_t asked; /* about half-open ones */
};

/* Connections of others behind this host have no socket here; conntrack remembers their end for a while. */
static int forwarded_state(struct daemon *daemon, const struct key *key,
			   const struct connection *connection) {
	bool ended =
	    connection->state != STATE_CUT && translation_find(daemon->translations, key) == TRANSLATED_ENDED;

	return ended ? LET_GO : (int)connection->state;
}

/* On a busy port the rest of a handshake passes unseen, and so does all that comes after it. What stands open
 * then is taken up as what it is, with windows that nobody knows: this is about the others. */
static int half_open_state(struct truth *truth, const struct key *key, const struct connection *connection) {
	struct daemon *daemon = truth->daemon;
	bool under_way = truth->now - connection->renewed < HANDSHAKE_SECONDS;
	enum socket_found found;
	enum tcp_state state;

	if (under_way || truth->asked == MOST_HALF_OPEN)
		return (int)connection->state;
	truth->asked++;
	if (is_translating(daemon) && translation_find(daemon->translations, key) != TRANSLATED_NONE)
		return (int)connection->state;
	found = socket_find(daemon->sockets, key, (enum direction)connection->direction, &state);
	return found == SOCKET_NONE || found == SOCKET_ENDED ? LET_GO : (int)connection->state;
}

static int true_state(const struct key *key, struct connection *connection, void *context) {
	struct truth *truth = context;
	struct daemon *daemon = truth->daemon;
	enum tcp_state state;

	if (state_is_opening(connection->state))
		return half_open_state(truth, key, connection);
	if (key->protocol != PROTOCOL_TCP || !state_is_doubtful(connection->state))
		return (int)connection->state;
	if (connection->flags & CONNECTION_FORWARDED)
		return forwarded_state(daemon, key, connection);
	if (socket_find(daemon->sockets, key, (enum direction)connection->direction, &state) != SOCKET_OPEN)
		return LET_GO;
	return connection->flags & CONNECTION_LEASED && connection->state != STATE_CUT
		   ? (int)state
		   : (int)connection->state;
}

static size_t let_go(struct daemon *daemon) {
	struct truth truth = {.daemon = daemon, .now = clock_seconds()};

	return table_sweep(daemon->workplace.filter.table, truth.now, true_state, &truth);
}

/* Once more, a moment later: what ended while the sockets were being read may have been entered after its
 * end. */
void daemon_follow_sockets(struct daemon *daemon) {
	struct lease_figures *last = &daemon->lease_watch.last, figures;
	struct error err;

	if (compare(daemon, true, &figures, &err)) {
		figures.adopted += last->adopted;
		figures.revoked += last->revoked;
		figures.ended = last->ended;
		*last = figures;
	}
	last->ended += let_go(daemon);
}

void daemon_reconcile(struct daemon *daemon) {
	struct lease_figures figures;
	struct error err;
	size_t adopted = daemon_adopt_sockets(daemon);

	if (!leases_compare(daemon, &figures, &err)) {
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read the kernel's leases: %s", err.text);
		return;
	}
	figures.adopted += adopted;
	figures.ended = let_go(daemon);
	daemon->lease_watch.last = figures;
	daemon->lease_watch.next = clock_microseconds() + EVERY_US;
	if (daemon->loop)
		loop_follow_sockets(daemon->loop);
}

void daemon_report_unseen(struct daemon *daemon) {
	const struct lease_figures *figures = &daemon->lease_watch.last;

	daemon_reconcile(daemon);
	if (figures->adopted + figures->revoked + figures->ended > 0)
		log_write(&daemon->log, LOG_GUARD, NULL,
			  "connections opened unseen: %" PRIu64 " taken up, %" PRIu64
			  " not allowed; moved on unseen: %" PRIu64,
			  figures->adopted, figures->revoked, figures->ended);
}

/* One of them may have told of an end. */
static bool copies_were_lost(struct daemon *daemon) {
	uint64_t lost = copier_figures(daemon->copier).lost, before = daemon->lease_watch.lost;

	daemon->lease_watch.lost = lost;
	return lost != before;
}

static bool look(struct daemon *daemon, struct error *err) {
	struct lease_figures figures;
	bool again = daemon->lease_watch.took_up;

	daemon->lease_watch.took_up = false;
	if (copies_were_lost(daemon) || busy_watch_is_behind(daemon) || again) {
		daemon_reconcile(daemon);
		return true;
	}
	if (!leases_compare(daemon, &figures, err))
		return false;
	daemon->lease_watch.last = figures;
	return true;
}

void lease_watch_tick(struct daemon *daemon) {
	uint64_t start = clock_microseconds(), pause;
	bool behind = busy_watch_is_behind(daemon);
	struct lease_watch *watch = &daemon->lease_watch;
	struct error err;
	bool read;

	if (start < watch->next)
		return;
	read = look(daemon, &err);
	if (!read && !watch->unreadable)
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read the kernel's leases: %s", err.text);
	watch->unreadable = !read;
	pause = (clock_microseconds() - start) * (behind ? BUSY_READ_SHARE : READ_SHARE);
	if (behind && pause > BUSY_PAUSE_US)
		pause = BUSY_PAUSE_US;
	watch->next = clock_microseconds() + (pause > EVERY_US ? pause : EVERY_US);
}
