/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Journal or stderr.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "sallyport/daemon/log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static const struct {
	int priority;
	const char *message_id;
} kinds[LOG_KINDS] = {
    [LOG_STARTING] = {LOG_INFO, "MESSAGE_ID=3badea897cebe9449200b85425db31b9"},
    [LOG_READY] = {LOG_INFO, "MESSAGE_ID=597211667821430679782f041a3d4a9e"},
    [LOG_RELOADED] = {LOG_NOTICE, "MESSAGE_ID=5cf9fd1426008504f576596f607a4c15"},
    [LOG_RELOAD_REFUSED] = {LOG_ERR, "MESSAGE_ID=234cd61a23c6171473300259f746346c"},
    [LOG_STOPPED] = {LOG_INFO, "MESSAGE_ID=11f55d2043cff4cbb5e3509332dfc470"},
    [LOG_PACKET] = {LOG_INFO, "MESSAGE_ID=e1e36cb2e0c444ca99c182e62b2defe0"},
    [LOG_SUPPRESSED] = {LOG_NOTICE, "MESSAGE_ID=f251b95e54d1590e5590e3cb37ebda1e"},
    [LOG_GUARD] = {LOG_WARNING, "MESSAGE_ID=37ec8d1191eaccef76444aee3fb46c50"},
    [LOG_REINSTALLED] = {LOG_WARNING, "MESSAGE_ID=3f5c54dbab913588d8819a3fa8d938ae"},
    [LOG_KILLED] = {LOG_NOTICE, "MESSAGE_ID=3acebed68fb6df7addc1c69ce63a564a"},
    [LOG_PROBLEM] = {LOG_WARNING, "MESSAGE_ID=3eb0fb491d232071ee32d1e9086ca39e"},
    [LOG_FAILED] = {LOG_ERR, "MESSAGE_ID=ed2675c9406ba6b12b62273d9135b4a6"},
};

enum { MAX_FIELDS = 16, OWN_FIELDS = 3 };

static bool stderr_is_journal(void) {
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	if (!stream || sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

struct log log_open(bool force_stderr) {
	return (struct log){.journal = !force_stderr && stderr_is_journal()};
}

static struct iovec field_vector(const char *field) {
	return (struct iovec){.iov_base = (char *)field, .iov_len = strlen(field)};
}

static bool write_journal(enum log_kind kind, const char *const *fields, const char *message) {
	struct iovec vectors[MAX_FIELDS + OWN_FIELDS];
	char priority[sizeof("PRIORITY=0")];
	int count = OWN_FIELDS;

	snprintf(priority, sizeof(priority), "PRIORITY=%u", (unsigned)kinds[kind].priority & LOG_PRIMASK);
	vectors[0] = field_vector(message);
	vectors[1] = field_vector(priority);
	vectors[2] = field_vector(kinds[kind].message_id);
	for (; fields && *fields && count < MAX_FIELDS + OWN_FIELDS; fields++)
		vectors[count++] = field_vector(*fields);
	return sd_journal_sendv(vectors, count) == 0;
}

/* Nobody may be reading: what finds no room is lost, and we go on. A piece of a pipe's atomic size finds
 * room whenever there is any. */
static void write_piecewise(const char *text, size_t length) {
	while (length > 0) {
		struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
		size_t piece = length < PIPE_BUF ? length : PIPE_BUF;
		ssize_t written;

		if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT))
			return;
		written = write(STDERR_FILENO, text, piece);
		if (written <= 0)
			return;
		text += written;
		length -= (size_t)written;
	}
}

static void write_stderr(const char *text) {
	char *line;
	int length = asprintf(&line, "sallyportd: %s\n", text);

	if (length < 0)
		return;
	write_piecewise(line, (size_t)length);
	free(line);
}

void log_write(const struct log *log, enum log_kind kind, const char *const *fields, const char *format,
	       ...) {
	static const char prefix[] = "MESSAGE=";
	char *text, *message;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if (asprintf(&message, "%s%s", prefix, text) >= 0) {
		if (!log->journal || !write_journal(kind, fields, message))
			write_stderr(text);
		free(message);
	}
	free(text);
}
