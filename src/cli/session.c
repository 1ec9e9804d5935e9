/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connect, ask, read. The daemon is not trusted to be well: it may be stopped, slow,
 * of another version, or not a sallyportd at all.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024 };

static bool connect_failed(const char *path, int why, struct error *err) {
	if (why == EACCES || why == EPERM)
		return error_set(
		    err, "%s: permission denied; ask as root or as a member of the group sallyport", path);
	if (why == EAGAIN)
		return error_set(err,
				 "the daemon on %s does not take connections; "
				 "systemctl status sallyport says how it is",
				 path);
	return error_set(err,
			 "no daemon answers on %s: %s; is the service running? systemctl status sallyport",
			 path, strerror(why));
}

/* SO_SNDTIMEO bounds connect() too: a stopped daemon with a full backlog blocks there. */
static bool set_timeout(int fd, int timeout_ms) {
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
	return !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool session_open(struct session *session, const char *path, int timeout_ms, struct error *err) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (length >= sizeof(address.sun_path))
		return error_set(err, "--socket %.40s...: a socket's path has at most %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, length + 1);

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, "cannot make a socket: %s", strerror(errno));
	if (!set_timeout(fd, timeout_ms) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		connect_failed(path, errno, err);
		close(fd);
		return false;
	}
	session->fd = fd;
	reader_init(&session->reader, fd, timeout_ms);
	return true;
}

void session_close(struct session *session) {
	reader_free(&session->reader);
	close(session->fd);
}

static bool send_all(int fd, const char *bytes, size_t length, struct error *err) {
	while (length) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EPIPE)
			return true; /* it has closed: what it said before is worth reading */
		if (sent < 0)
			return error_set(err, "cannot ask the daemon: %s", strerror(errno));
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

bool session_send(struct session *session, const json_t *request, struct error *err) {
	char *text = json_dumps(request, JSON_COMPACT);
	if (!text)
		return error_set(err, "the request is not valid UTF-8");
	size_t length = strlen(text);
	bool sent = length < REQUEST_MAX ? true : error_set(err, "the request is longer than 64 KiB");
	if (sent) {
		text[length] = '\n'; /* over the NUL: the length goes along */
		sent = send_all(session->fd, text, length + 1, err);
	}
	free(text);
	return sent;
}

bool record_parse(struct record *record, struct error *err) {
	json_t *object = json_loadb(record->line, record->length, 0, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return error_set(err, "what answers is not a sallyport daemon: its line is no JSON object");
	}
	record->object = object;
	return true;
}

void record_free(struct record *record) {
	json_decref(record->object);
	record->object = NULL;
}

/* By the first member, which the protocol fixes for closing lines. */
static bool may_close(const struct record *record) {
	static const char done[] = "{\"done\"", error[] = "{\"error\"";
	return !strncmp(record->line, done, sizeof(done) - 1) ||
	       !strncmp(record->line, error, sizeof(error) - 1);
}

static enum line_kind kind_of_closing(struct record *record, struct error *err) {
	if (!record_parse(record, err))
		return LINE_FAILED;
	if (json_is_string(json_object_get(record->object, "error")))
		return LINE_REFUSED;
	if (json_is_true(json_object_get(record->object, "done")))
		return LINE_DONE;
	record_free(record);
	error_set(err, "what answers is not a sallyport daemon: its closing line makes no sense");
	return LINE_FAILED;
}

enum line_kind session_receive(struct session *session, struct record *record, struct error *err) {
	*record = (struct record){0};
	enum reading reading = reader_line(&session->reader, &record->line, &record->length, err);
	if (reading == READING_END)
		error_set(err, "the daemon closed the connection before the end of its answer");
	if (reading != READING_LINE)
		return LINE_FAILED;
	if (may_close(record))
		return kind_of_closing(record, err);
	if (record->length >= 2 && record->line[0] == '{' && record->line[record->length - 1] == '}')
		return LINE_DATA;
	error_set(err, "what answers is not a sallyport daemon: its line is no JSON object");
	return LINE_FAILED;
}
