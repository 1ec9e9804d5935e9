/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request to the daemon, and its answer through a view, row by row.
 */
#ifndef SALLYPORT_CLI_ASK_H
#define SALLYPORT_CLI_ASK_H

#include "cli.h"

struct request {
	json_t *object; /* stolen */
	int timeout_ms; /* without a byte of answer; 0: SESSION_TIMEOUT_MS */
};

/* Returns the exit status; complaints have been made. */
int ask(struct cli *cli, struct request request, const struct view *view);

/* {"command": NAME} */
json_t *request_new(const char *command);
/* The words as an array of strings; NULL: one of them is not UTF-8. */
json_t *json_words(const struct arguments *args);

/* The same walk for an answer made here: rows, closing and done. */
int show(struct cli *cli, const json_t *rows, const json_t *closing, const struct view *view);

#endif
