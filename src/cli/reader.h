/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines from a socket: bounded in length, never waiting forever.
 */
#ifndef SALLYPORT_CLI_READER_H
#define SALLYPORT_CLI_READER_H

#include <stddef.h>

#include "sallyport/core/error.h"

enum { READER_MAX_LINE = 1024 * 1024 };

enum reading { READING_LINE, READING_END, READING_FAILED };

struct reader {
	int fd;
	int timeout_ms; /* without a single byte */
	char *buffer;
	size_t size;
	size_t start, scanned, end; /* start <= scanned <= end; no newline before scanned */
};

void reader_init(struct reader *reader, int fd, int timeout_ms);
void reader_free(struct reader *reader); /* the fd stays open */

/* READING_LINE: *line without its newline, NUL-terminated (it may hold NULs of its own),
 * valid until the next call. READING_END: the other side closed after a whole line. */
enum reading reader_line(struct reader *reader, const char **line, size_t *length, struct error *err);

#endif
