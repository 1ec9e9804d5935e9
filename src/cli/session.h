/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control protocol, seen from the side that asks (doc/control-protocol.md).
 */
#ifndef SALLYPORT_CLI_SESSION_H
#define SALLYPORT_CLI_SESSION_H

#include <jansson.h>

#include "reader.h"

enum { SESSION_TIMEOUT_MS = 10 * 1000 };

/* One line of an answer. */
struct record {
	const char *line; /* as the daemon sent it, without the newline */
	size_t length;
	json_t *object; /* what it says, once parsed */
};

enum line_kind {
	LINE_DATA,
	LINE_DONE,    /* closing line: {"done": true, ...}, parsed */
	LINE_REFUSED, /* closing line: {"error": "...", ...}, parsed */
	LINE_FAILED   /* no closing line came: *err says why */
};

struct session {
	int fd;
	struct reader reader;
};

bool session_open(struct session *session, const char *path, int timeout_ms, struct error *err);
void session_close(struct session *session);
bool session_send(struct session *session, const json_t *request, struct error *err);
/* The next line. A data line is parsed on request only: JSON goes out as it came, and parsing
 * costs ten times the rest. record->line lives until the next call; the caller calls
 * record_free after every line but LINE_FAILED. */
enum line_kind session_receive(struct session *session, struct record *record, struct error *err);
bool record_parse(struct record *record, struct error *err);
void record_free(struct record *record);

#endif
