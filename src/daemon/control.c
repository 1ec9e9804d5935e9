/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The listening socket and who is connected to it.
 */
#include "sallyport/daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/loop.h"
#include "sallyport/host/world.h"

enum { BACKLOG = 64, SOCKET_MODE = 0660, DIRECTORY_MODE = 0755 };

struct control {
	struct daemon *daemon;
	const char *path;
	int fd;
	bool bound;
	gid_t readers; /* as at the start, when the socket got it: a look-up may take time, and descriptors */
	sd_event *event;
	sd_event_source *source;
	struct client *clients[MAX_CLIENTS];
	size_t count;
};

/* ---- the path ---- */

static bool address_of(const char *path, struct sockaddr_un *address, struct error *err) {
	size_t length = strlen(path);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (length >= sizeof(address->sun_path))
		return error_set(err, "--socket %s: longer than the %zu bytes that a socket's path may have",
				 path, sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, length + 1);
	return true;
}

/* 0: somebody answers; else errno. */
static int try_connect(const struct sockaddr_un *address) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code;

	if (fd < 0)
		return errno;
	code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	close(fd);
	return code;
}

bool control_is_free(const char *path, struct error *err) {
	struct sockaddr_un address;
	struct stat status;
	int code;

	if (!address_of(path, &address, err))
		return false;
	if (lstat(path, &status) < 0)
		return true;
	if (!S_ISSOCK(status.st_mode))
		return error_set(
		    err, "%s is in the way: it is no socket; remove it or give --socket another path", path);
	code = try_connect(&address);
	if (code == 0 || code == EAGAIN)
		return error_set(
		    err, "another sallyportd answers on %s; stop it or give --socket another path", path);
	if (code != ECONNREFUSED && code != ENOENT)
		return error_set(err, "cannot tell whether another sallyportd answers on %s: %s", path,
				 strerror(code));
	return true;
}

static void make_directory(const char *path) {
	char directory[] = DEFAULT_SOCKET;

	if (strcmp(path, DEFAULT_SOCKET) != 0)
		return;
	*strrchr(directory, '/') = '\0';
	mkdir(directory, DIRECTORY_MODE);
}

/* The group that reads is a convenience: without it root is still served. */
static bool give_to_group(const struct control *control, struct error *err) {
	gid_t gid = control->readers;

	if (gid != NO_GROUP && gid != getegid() && lchown(control->path, (uid_t)-1, gid) < 0)
		log_write(&control->daemon->log, LOG_PROBLEM, NULL,
			  "cannot give %s to the group " CONTROL_GROUP ": %s", control->path,
			  strerror(errno));
	if (chmod(control->path, SOCKET_MODE) < 0)
		return error_set(err, "cannot set the mode of %s: %s", control->path, strerror(errno));
	return true;
}

static bool bind_path(struct control *control, struct error *err) {
	struct sockaddr_un address;
	mode_t mask;

	if (!address_of(control->path, &address, err))
		return false;
	make_directory(control->path);
	/* A socket that nobody answers on: control_is_free has looked. */
	unlink(control->path);
	mask = umask(0777 & ~(S_IRUSR | S_IWUSR));
	control->bound = bind(control->fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	umask(mask);
	if (!control->bound)
		return error_set(err, "cannot make the control socket %s: %s", control->path,
				 strerror(errno));
	return give_to_group(control, err);
}

/* ---- clients ---- */

static void turn_away(int fd, const char *line) {
	/* A fresh socket has room for a line. */
	if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0;
	close(fd);
}

/* Those that have closed, before their turn of the loop comes. */
static void forget_gone(struct control *control) {
	for (size_t i = control->count; i-- > 0;) {
		if (client_is_gone(control->clients[i]))
			client_end(control->clients[i]);
	}
}

static void admit(struct control *control, int fd) {
	struct peer peer = peer_of(fd, control->readers);
	size_t places = peer.right == RIGHT_CHANGE ? MAX_CLIENTS : MAX_CLIENTS - RESERVED_CLIENTS;
	struct client *client;

	if (peer.right == RIGHT_NONE) {
		turn_away(
		    fd,
		    "{\"error\":\"not permitted: this takes root or membership of the group " CONTROL_GROUP
		    "\"}\n");
		return;
	}
	if (control->count >= places)
		forget_gone(control);
	if (control->count >= places) {
		turn_away(fd, "{\"error\":\"too many clients at once; try again\"}\n");
		return;
	}
	client = client_new(control->daemon, control->event, fd, &peer);
	if (client)
		control->clients[control->count++] = client;
}

static int welcome(sd_event_source *source, int fd, uint32_t events, void *context) {
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (client >= 0)
		admit(context, client);
	else if (errno == EMFILE || errno == ENFILE)
		sd_event_source_set_enabled(source, SD_EVENT_OFF); /* until the next second */
	return 0;
}

void control_forget(struct control *control, struct client *client) {
	for (size_t i = 0; i < control->count; i++) {
		if (control->clients[i] == client) {
			control->clients[i] = control->clients[--control->count];
			return;
		}
	}
}

void control_tick(struct control *control) {
	uint32_t now = clock_seconds();

	for (size_t i = control->count; i-- > 0;) {
		if (client_is_idle(control->clients[i], now))
			client_end(control->clients[i]);
	}
	sd_event_source_set_enabled(control->source, SD_EVENT_ON);
}

/* ---- open, close ---- */

static bool listen_there(struct control *control, struct error *err) {
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return error_set(err, "cannot make a socket: %s", strerror(errno));
	if (!bind_path(control, err))
		return false;
	if (listen(control->fd, BACKLOG) < 0)
		return error_set(err, "cannot listen on %s: %s", control->path, strerror(errno));
	/* As those who are in: in front of them, they would wait until nobody else knocks. */
	if (sd_event_add_io(control->event, &control->source, control->fd, EPOLLIN, welcome, control) < 0 ||
	    sd_event_source_set_priority(control->source, PRIORITY_CLIENT) < 0)
		return error_set(err, "cannot watch %s: out of memory", control->path);
	return true;
}

struct control *control_open(struct daemon *daemon, sd_event *event, struct error *err) {
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		error_set(err, "out of memory");
		return NULL;
	}
	*control = (struct control){
	    .daemon = daemon,
	    .path = daemon->options->socket_path,
	    .fd = -1,
	    .readers = control_group(),
	    .event = event,
	};
	if (!listen_there(control, err)) {
		control_close(control);
		return NULL;
	}
	return control;
}

void control_close(struct control *control) {
	if (!control)
		return;
	while (control->count > 0)
		client_end(control->clients[control->count - 1]);
	sd_event_source_disable_unref(control->source);
	if (control->bound)
		unlink(control->path);
	if (control->fd >= 0)
		close(control->fd);
	free(control);
}
