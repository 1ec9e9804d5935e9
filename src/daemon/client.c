/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One client. Life: accepted -> requests, one a turn of the loop -> ended by the peer, by
 * an error of its own making, by idleness, or with the daemon.
 */
#include "sallyport/daemon/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sallyport/daemon/answer.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/control.h"
#include "sallyport/daemon/loop.h"
#include "sallyport/daemon/request.h"

enum {
	OUTPUT_ROOM = 4096, /* to begin with */
	PIECES_A_TURN = 16, /* of a long answer, before others have their turn */
	DISCARDS = 16,
	JSON_STYLE = JSON_COMPACT,
};

struct client {
	struct daemon *daemon;
	sd_event_source *source;
	int fd;
	struct peer peer;
	uint32_t active;                /* when it last asked, or took some of an answer */
	bool hang_up;                   /* when the output has left */
	bool broken;                    /* now */
	bool ended;                     /* the peer will send no more */
	const struct piecemeal *answer; /* NULL: none under way */
	void *state;
	char *in; /* REQUEST_MAX */
	size_t in_length;
	char *out;
	size_t out_start, out_end, out_room; /* start..end is still to be sent */
};

/* ---- output ---- */

static size_t unsent(const struct client *client) {
	return client->out_end - client->out_start;
}

static bool make_room(struct client *client, size_t size) {
	size_t room = client->out_room;
	char *out;

	if (client->out_start > 0) {
		memmove(client->out, client->out + client->out_start, unsent(client));
		client->out_end -= client->out_start;
		client->out_start = 0;
	}
	while (room - client->out_end < size)
		room *= 2;
	if (room == client->out_room)
		return true;
	out = realloc(client->out, room);
	if (!out)
		return false;
	client->out = out;
	client->out_room = room;
	return true;
}

/* Appends the line, if there is one. */
static bool append(struct client *client, const json_t *object) {
	size_t free_room = client->out_room - client->out_end;
	size_t size = json_dumpb(object, client->out + client->out_end, free_room, JSON_STYLE);

	if (size == 0)
		return false;
	if (size + 1 > free_room) {
		if (!make_room(client, size + 1))
			return false;
		json_dumpb(object, client->out + client->out_end, size, JSON_STYLE);
	}
	client->out_end += size;
	client->out[client->out_end++] = '\n';
	return true;
}

void client_send(struct client *client, json_t *object) {
	if (!object || !append(client, object))
		client->broken = true;
	json_decref(object);
}

void client_done(struct client *client, json_t *more) {
	json_t *line = json_pack("{s:b}", "done", 1);

	if (line && more && json_object_update(line, more) < 0) {
		json_decref(line);
		line = NULL;
	}
	json_decref(more);
	client_send(client, line);
}

void client_error(struct client *client, const char *text) {
	client_send(client, json_pack("{s:o}", "error", answer_text(text)));
}

void client_hang_up(struct client *client) {
	client->hang_up = true;
}

static void end_answer(struct client *client) {
	if (client->answer)
		client->answer->end(client->state);
	client->answer = NULL;
	client->state = NULL;
}

void client_send_piecemeal(struct client *client, const struct piecemeal *answer, void *state) {
	client->answer = answer;
	client->state = state;
}

static void continue_answer(struct client *client) {
	for (unsigned i = 0; client->answer && i < PIECES_A_TURN && unsent(client) < OUTPUT_HIGH; i++) {
		if (client->broken || !client->answer->more(client, client->state))
			end_answer(client);
	}
}

static void flush(struct client *client) {
	while (unsent(client) > 0) {
		ssize_t sent =
		    send(client->fd, client->out + client->out_start, unsent(client), MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			client->broken = client->broken || errno != EAGAIN;
			return;
		}
		client->out_start += (size_t)sent;
		client->active = clock_seconds();
	}
	client->out_start = client->out_end = 0;
}

/* ---- input ---- */

static void receive(struct client *client) {
	size_t room = REQUEST_MAX - client->in_length;
	ssize_t length;

	if (room == 0)
		return;
	length = recv(client->fd, client->in + client->in_length, room, 0);
	if (length == 0)
		client->ended = true;
	else if (length > 0)
		client->in_length += (size_t)length;
	else
		client->broken = errno != EAGAIN && errno != EINTR;
}

static void refuse(struct client *client, const char *text) {
	client_error(client, text);
	client_hang_up(client);
}

static void run_line(struct client *client, const char *line, size_t length) {
	const struct command *command;
	struct error err;
	json_t *request;

	command = request_parse(line, length, &request, &err);
	if (!command) {
		refuse(client, err.text);
		return;
	}
	if (client->peer.right >= command->right)
		command->run(client, request);
	else if (command->right == RIGHT_CHANGE)
		client_error(client, "not permitted: this takes root");
	else
		client_error(client,
			     "not permitted: this takes root or membership of the group " CONTROL_GROUP);
	json_decref(request);
}

static bool is_busy(const struct client *client) {
	return client->answer || unsent(client) > 0 || client->hang_up;
}

static char *first_newline(const struct client *client) {
	return memchr(client->in, '\n', client->in_length);
}

/* At most one request. */
static void run_request(struct client *client) {
	const char *newline = first_newline(client);
	size_t length;

	if (!newline) {
		if (client->in_length == REQUEST_MAX)
			refuse(client, "the request is longer than 64 KiB");
		else if (client->ended && client->in_length > 0)
			refuse(client, "the request does not end with a newline");
		return;
	}
	length = (size_t)(newline - client->in);
	client->active = clock_seconds();
	run_line(client, client->in, length);
	client->in_length -= length + 1;
	memmove(client->in, newline + 1, client->in_length);
}

/* ---- the turn of a client ---- */

static uint32_t wanted_events(const struct client *client) {
	if (is_busy(client) || first_newline(client))
		return EPOLLOUT;
	return EPOLLIN;
}

static bool is_over(const struct client *client) {
	if (client->broken)
		return true;
	if (client->answer || unsent(client) > 0)
		return false;
	return client->hang_up || (client->ended && !first_newline(client));
}

static int serve(sd_event_source *source, int fd, uint32_t events, void *context) {
	struct client *client = context;

	(void)fd;
	if (events & EPOLLIN)
		receive(client);
	else if (events & (EPOLLHUP | EPOLLERR))
		client->broken = true;
	if (!client->broken && !is_busy(client))
		run_request(client);
	if (!client->broken)
		continue_answer(client);
	if (!client->broken)
		flush(client);
	if (is_over(client)) {
		client_end(client);
		return 0;
	}
	return sd_event_source_set_io_events(source, wanted_events(client));
}

struct client *client_new(struct daemon *daemon, sd_event *event, int fd, const struct peer *peer) {
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return NULL;
	}
	*client = (struct client){
	    .daemon = daemon,
	    .fd = fd,
	    .peer = *peer,
	    .active = clock_seconds(),
	    .in = malloc(REQUEST_MAX),
	    .out = malloc(OUTPUT_ROOM),
	    .out_room = OUTPUT_ROOM,
	};
	if (!client->in || !client->out ||
	    sd_event_add_io(event, &client->source, fd, EPOLLIN, serve, client) < 0 ||
	    sd_event_source_set_priority(client->source, PRIORITY_CLIENT) < 0) {
		client_end(client);
		return NULL;
	}
	return client;
}

/* Closing with unread bytes would make the peer lose the answer it has not read yet. */
static void discard_input(struct client *client) {
	for (unsigned i = 0; client->in && i < DISCARDS; i++) {
		if (recv(client->fd, client->in, REQUEST_MAX, MSG_DONTWAIT) <= 0)
			return;
	}
}

void client_end(struct client *client) {
	discard_input(client);
	control_forget(client->daemon->control, client);
	end_answer(client);
	sd_event_source_disable_unref(client->source);
	close(client->fd);
	free(client->in);
	free(client->out);
	free(client);
}

bool client_is_idle(const struct client *client, uint32_t now) {
	uint32_t allowed = is_busy(client) ? CLIENT_STALLED_SECONDS : CLIENT_IDLE_SECONDS;

	return now - client->active >= allowed;
}

bool client_is_gone(const struct client *client) {
	struct pollfd state = {.fd = client->fd};

	return poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR));
}

struct daemon *client_daemon(const struct client *client) {
	return client->daemon;
}

const struct peer *client_peer(const struct client *client) {
	return &client->peer;
}
