/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `list` and `kill`: which connections there are, and fewer of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/daemon/answer.h"
#include "sallyport/daemon/busy_watch.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/cut.h"
#include "sallyport/daemon/request.h"

enum { CHUNK = 256 };

struct listing {
	struct selection selection;
	uint64_t cursor;
	uint64_t count;
	struct keyed_connection chunk[CHUNK];
};

static json_t *protocol_answer(uint8_t protocol) {
	const char *name = protocol_name(protocol);

	return name ? json_string(name) : json_integer(protocol);
}

static const char *service_of(const struct daemon *daemon, const struct keyed_connection *listed) {
	const struct key *key = &listed->key;
	uint16_t port = listed->connection.direction == DIRECTION_IN ? key->local_port : key->remote_port;

	return services_name(daemon->services, daemon_policy(daemon)->ruleset, key->protocol, port);
}

/* The connection keeps its low byte alone, and is never newer than the rules. */
static uint32_t generation_of(const struct daemon *daemon, const struct connection *connection) {
	uint32_t running = daemon_policy(daemon)->ruleset->generation;

	return running - (uint8_t)(running - connection->generation);
}

static json_t *connection_answer(const struct daemon *daemon, const struct keyed_connection *listed,
				 uint32_t now) {
	const struct key *key = &listed->key;
	const struct connection *connection = &listed->connection;
	const char *service = service_of(daemon, listed);
	char local[ADDR_TEXT], remote[ADDR_TEXT];
	json_t *row;

	row = json_pack("{s:o, s:s, s:i, s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:I}", "proto",
			protocol_answer(key->protocol), "local", addr_print(&key->local, local), "local_port",
			key->local_port, "remote", addr_print(&key->remote, remote), "remote_port",
			key->remote_port, "direction", direction_name((enum direction)connection->direction),
			"state", state_name(connection->state), "age",
			answer_seconds_since(connection->opened, now), "idle",
			answer_seconds_since(connection->renewed, now), "rule",
			answer_place(policy_place(daemon_policy(daemon), connection)), "generation",
			(json_int_t)generation_of(daemon, connection));
	if (service)
		json_object_set_new(row, "service", answer_text(service));
	if (connection->flags & CONNECTION_LEARNED)
		json_object_set_new(row, "learned", json_true());
	return row;
}

static void send_listing_done(struct client *client, const struct listing *listing) {
	client_done(client, json_pack("{s:o}", "count", answer_count(listing->count)));
}

static bool list_more(struct client *client, void *state) {
	struct listing *listing = state;
	struct daemon *daemon = client_daemon(client);
	const struct policy_version *version = daemon_policy(daemon);
	uint32_t now = clock_seconds();
	size_t count = table_copy(daemon->workplace.filter.table, &listing->cursor, listing->chunk, CHUNK);

	for (size_t i = 0; i < count; i++) {
		const struct keyed_connection *listed = &listing->chunk[i];

		if (!selection_matches(&listing->selection, &listed->key, &listed->connection,
				       policy_place(version, &listed->connection)))
			continue;
		client_send(client, connection_answer(daemon, listed, now));
		listing->count++;
	}
	if (count == 0)
		send_listing_done(client, listing);
	return count > 0;
}

void command_list(struct client *client, const json_t *request) {
	static const struct piecemeal answer = {.more = list_more, .end = free};
	struct listing *listing = calloc(1, sizeof(*listing));
	struct error err;
	size_t words;

	if (!listing) {
		client_error(client, "out of memory");
		return;
	}
	if (!request_selection(request, &listing->selection, &words, &err)) {
		free(listing);
		client_error(client, err.text);
		return;
	}
	busy_watch_catch_up(client_daemon(client));
	copier_catch_up(client_daemon(client)->copier);
	client_send_piecemeal(client, &answer, listing);
}

/* ---- kill ---- */

struct killing {
	const struct selection *selection;
	const struct policy_version *version;
};

static bool survives(const struct key *key, const struct connection *connection, void *context) {
	const struct killing *killing = context;

	return !selection_matches(killing->selection, key, connection,
				  policy_place(killing->version, connection));
}

void command_kill(struct client *client, const json_t *request) {
	struct daemon *daemon = client_daemon(client);
	struct selection selection;
	struct killing killing = {.selection = &selection, .version = daemon_policy(daemon)};
	struct error err;
	size_t words, count;

	if (!request_selection(request, &selection, &words, &err)) {
		client_error(client, err.text);
		return;
	}
	if (words == 0) {
		client_error(client, "kill which connections? Name a protocol, address, port, ..., or `all`");
		return;
	}
	busy_watch_catch_up_now(daemon);
	count = daemon_cut(daemon, survives, &killing);
	log_write(&daemon->log, LOG_KILLED, NULL, "%zu connections killed, as user %u asked", count,
		  (unsigned)client_peer(client)->uid);
	client_done(client, json_pack("{s:o}", "count", answer_count(count)));
}
