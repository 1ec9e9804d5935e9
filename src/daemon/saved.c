/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection table in a file. Both ways through one buffer, so that a million
 * connections take no more memory than ten.
 */
#include "sallyport/daemon/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define FILE_NAME "connections"
#define NEW_NAME  FILE_NAME ".new"

enum { BUFFER = 64 * 1024, CHUNK = 256 };

/* Tells network namespaces apart as long as the machine is up. 0: an old kernel, or no socket. */
static uint64_t network_cookie(void) {
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
		cookie = 0;
	close(fd);
	return cookie;
}

static bool find_origin(struct snapshot_origin *origin, uint32_t now, struct error *err) {
	sd_id128_t boot;
	int code = sd_id128_get_boot(&boot);

	*origin = (struct snapshot_origin){.network = network_cookie(), .saved = now};
	if (code < 0)
		return error_set(err, "the kernel does not tell its boot id: %s", strerror(-code));
	memcpy(origin->boot_id, boot.bytes, sizeof(origin->boot_id));
	return true;
}

static int open_directory(const char *directory) {
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- writing ---- */

struct output {
	int fd;
	struct snapshot_writer writer;
	size_t size; /* of what is in the buffer */
	uint8_t buffer[BUFFER];
};

/* False: errno. */
static bool flush(struct output *output) {
	for (size_t done = 0; done < output->size;) {
		ssize_t count = write(output->fd, output->buffer + done, output->size - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return false;
		done += (size_t)count;
	}
	output->size = 0;
	return true;
}

/* Where the next piece goes; NULL: errno. */
static uint8_t *room(struct output *output) {
	if (sizeof(output->buffer) - output->size < SNAPSHOT_PIECE && !flush(output))
		return NULL;
	return output->buffer + output->size;
}

static struct saved_connection saved_of(const struct keyed_connection *keyed, uint32_t now) {
	const struct connection *connection = &keyed->connection;
	uint32_t age = now - connection->opened;
	uint32_t idle = now - connection->renewed;

	return (struct saved_connection){
	    .key = keyed->key,
	    .age = age,
	    .idle = idle < age ? idle : age,
	    .interface = connection->interface,
	    .state = connection->state,
	    .direction = connection->direction,
	    .flags = connection->flags,
	};
}

/* Of a SYN nothing is saved that its answer could be measured by; repeated, it opens anew. */
static bool is_worth_saving(const struct connection *connection) {
	return connection->state != TCP_SYN_SENT;
}

static bool write_connection(struct output *output, const struct keyed_connection *keyed, uint32_t now) {
	struct saved_connection saved = saved_of(keyed, now);
	uint8_t *at;

	if (!is_worth_saving(&keyed->connection))
		return true;
	at = room(output);
	if (at)
		output->size += snapshot_add(&output->writer, &saved, at);
	return at != NULL;
}

static bool write_connections(struct output *output, struct table *table, uint32_t now) {
	struct keyed_connection chunk[CHUNK];
	uint64_t cursor = 0;
	size_t count;

	while ((count = table_copy(table, &cursor, chunk, CHUNK)) > 0) {
		for (size_t i = 0; i < count; i++) {
			if (!write_connection(output, &chunk[i], now))
				return false;
		}
	}
	return true;
}

static bool write_table(struct output *output, struct table *table, const struct snapshot_origin *origin) {
	uint8_t *at;

	output->size = snapshot_begin(&output->writer, origin, output->buffer);
	if (!write_connections(output, table, origin->saved))
		return false;
	at = room(output);
	if (!at)
		return false;
	output->size += snapshot_end(&output->writer, at);
	return flush(output);
}

/* The data is on the disk before the name is: a full disk may show itself no earlier. */
static bool write_file(int directory, struct table *table, const struct snapshot_origin *origin) {
	struct output output = {
	    .fd = openat(directory, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)};
	bool written;

	if (output.fd < 0)
		return false;
	written =
	    fchmod(output.fd, 0600) == 0 && write_table(&output, table, origin) && fsync(output.fd) == 0;
	written = close(output.fd) == 0 && written;
	return written && renameat(directory, NEW_NAME, directory, FILE_NAME) == 0;
}

bool saved_write(struct table *table, const char *path, uint32_t now, struct error *err) {
	struct snapshot_origin origin;
	int directory;
	bool written;

	if (!find_origin(&origin, now, err))
		return false;
	directory = open_directory(path);
	if (directory < 0)
		return error_set(err, "%s: %s", path, strerror(errno));
	written = write_file(directory, table, &origin);
	if (!written) {
		error_set(err, "%s/" NEW_NAME ": %s", path, strerror(errno));
		unlinkat(directory, NEW_NAME, 0);
	}
	close(directory);
	return written;
}

/* ---- reading ---- */

struct reading {
	const char *path; /* of the directory */
	struct snapshot_origin here;
	void (*see)(const struct saved_connection *, void *);
	void *context;
	uint32_t passed; /* seconds since it was saved */
	struct error *err;
};

static void see_aged(const struct saved_connection *connection, void *context) {
	const struct reading *reading = context;
	struct saved_connection aged = *connection;

	aged.age += reading->passed;
	aged.idle += reading->passed;
	reading->see(&aged, reading->context);
}

static bool say(const struct reading *reading, const char *what) {
	return error_set(reading->err, "%s/" FILE_NAME " %s", reading->path, what);
}

static bool say_errno(const struct reading *reading, const char *what) {
	return error_set(reading->err, "%s/" FILE_NAME " %s: %s", reading->path, what, strerror(errno));
}

/* The whole file once. */
static bool read_through(const struct reading *reading, int fd, struct snapshot_reader *reader) {
	const char *fault = NULL;
	uint8_t buffer[BUFFER];
	ssize_t count;

	if (lseek(fd, 0, SEEK_SET) != 0)
		return say_errno(reading, "cannot be read");
	do {
		count = read(fd, buffer, sizeof(buffer));
		if (count < 0)
			return say_errno(reading, "cannot be read");
		fault = snapshot_read(reader, buffer, (size_t)count);
	} while (count > 0 && !fault);
	fault = snapshot_finish(reader);
	return fault ? say(reading, fault) : true;
}

/* Interfaces and times in it are ours. */
static bool is_from_here(const struct reading *reading, const struct snapshot_origin *origin) {
	if (memcmp(origin->boot_id, reading->here.boot_id, sizeof(origin->boot_id)) != 0)
		return say(reading, "was saved before the last boot");
	if (origin->network != reading->here.network)
		return say(reading, "was saved in another network namespace");
	return true;
}

/* Undamaged: may it be used? */
static enum saved_outcome use(struct reading *reading, int directory, int fd,
			      const struct snapshot_origin *origin) {
	struct snapshot_reader reader;

	if (!is_from_here(reading, origin))
		return SAVED_STALE;
	if (origin->saved > reading->here.saved) {
		say(reading, "is damaged: it was saved later than now");
		return SAVED_BAD;
	}
	/* Before it is used: whatever happens then, it does not happen at the next start again. */
	if (unlinkat(directory, FILE_NAME, 0) != 0) {
		say_errno(reading, "cannot be removed");
		return SAVED_BAD;
	}
	reading->passed = reading->here.saved - origin->saved;
	snapshot_reader_init(&reader, see_aged, reading);
	return read_through(reading, fd, &reader) ? SAVED_READ : SAVED_BAD;
}

static enum saved_outcome check_and_use(struct reading *reading, int directory) {
	int fd = openat(directory, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum saved_outcome outcome = SAVED_BAD;
	struct snapshot_reader reader;

	if (fd < 0 && errno == ENOENT)
		return SAVED_MISSING;
	if (fd < 0) {
		say_errno(reading, "cannot be opened");
		return SAVED_BAD;
	}
	snapshot_reader_init(&reader, NULL, NULL);
	if (read_through(reading, fd, &reader))
		outcome = use(reading, directory, fd, snapshot_origin(&reader));
	close(fd);
	return outcome;
}

enum saved_outcome saved_read(const char *path, uint32_t now,
			      void (*see)(const struct saved_connection *, void *), void *context,
			      struct error *err) {
	struct reading reading = {.path = path, .see = see, .context = context, .err = err};
	enum saved_outcome outcome = SAVED_BAD;
	int directory = open_directory(path);

	if (directory < 0 && errno == ENOENT)
		return SAVED_MISSING;
	if (directory < 0) {
		error_set(err, "%s: %s", path, strerror(errno));
		return SAVED_BAD;
	}
	if (find_origin(&reading.here, now, err))
		outcome = check_and_use(&reading, directory);
	close(directory);
	return outcome;
}
