/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One buffer that starts small and grows up to the longest line allowed.
 */
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_SIZE = 64 * 1024, BUFFER_MAX = READER_MAX_LINE + 1 };

void reader_init(struct reader *reader, int fd, int timeout_ms) {
	*reader = (struct reader){.fd = fd, .timeout_ms = timeout_ms};
}

void reader_free(struct reader *reader) {
	free(reader->buffer);
	reader->buffer = NULL;
}

static bool make_room(struct reader *reader, struct error *err) {
	if (reader->start) {
		memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
		reader->scanned -= reader->start;
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->end < reader->size)
		return true;
	if (reader->size >= BUFFER_MAX)
		return error_set(err, "the daemon sent a line of more than %d bytes", READER_MAX_LINE);
	size_t size = reader->size ? reader->size * 2 : FIRST_SIZE;
	if (size > BUFFER_MAX)
		size = BUFFER_MAX;
	char *buffer = realloc(reader->buffer, size);
	if (!buffer)
		return error_set(err, "out of memory");
	reader->buffer = buffer;
	reader->size = size;
	return true;
}

static bool wait_for_bytes(const struct reader *reader, struct error *err) {
	struct pollfd poller = {.fd = reader->fd, .events = POLLIN};
	for (;;) {
		int ready = poll(&poller, 1, reader->timeout_ms);
		if (ready > 0)
			return true;
		if (!ready)
			return error_set(err,
					 "the daemon has not answered for %d s; "
					 "systemctl status sallyport says how it is",
					 reader->timeout_ms / 1000);
		if (errno != EINTR)
			return error_set(err, "waiting for the daemon: %s", strerror(errno));
	}
}

/* READING_LINE stands for: there are more bytes now. */
static enum reading fill(struct reader *reader, struct error *err) {
	if (!make_room(reader, err) || !wait_for_bytes(reader, err))
		return READING_FAILED;
	ssize_t got = read(reader->fd, reader->buffer + reader->end, reader->size - reader->end);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return READING_LINE;
	if (got < 0 && errno == ECONNRESET)
		got = 0; /* closed without reading what was asked */
	if (got < 0) {
		error_set(err, "reading from the daemon: %s", strerror(errno));
		return READING_FAILED;
	}
	if (!got && reader->end > reader->start) {
		error_set(err, "the daemon closed the connection in the middle of a line");
		return READING_FAILED;
	}
	reader->end += (size_t)got;
	return got ? READING_LINE : READING_END;
}

enum reading reader_line(struct reader *reader, const char **line, size_t *length, struct error *err) {
	for (;;) {
		size_t unseen = reader->end - reader->scanned;
		char *newline = unseen ? memchr(reader->buffer + reader->scanned, '\n', unseen) : NULL;
		if (newline) {
			*newline = '\0';
			*line = reader->buffer + reader->start;
			*length = (size_t)(newline - *line);
			reader->start = reader->scanned = (size_t)(newline - reader->buffer) + 1;
			return READING_LINE;
		}
		reader->scanned = reader->end;
		enum reading reading = fill(reader, err);
		if (reading != READING_LINE)
			return reading;
	}
}
