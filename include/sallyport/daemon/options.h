/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line of sallyportd.
 */
#ifndef SALLYPORT_DAEMON_OPTIONS_H
#define SALLYPORT_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_QUEUES = 64 };

struct options {
	const char *rules_file;
	const char *socket_path;
	const char *state_directory; /* NULL: connections are not saved over a restart */
	uint16_t queue_first, queue_last;
	bool foreground; /* log to stderr whatever it is */
	bool check;      /* load the rules, say what is wrong with them, and leave */
	bool remove;     /* take out of the kernel what an earlier daemon has left there, and leave */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* --help, --version: answered */
	OPTIONS_WRONG, /* said on stderr, in one line */
};

enum options_result options_parse(int argc, char **argv, struct options *options);
/* "3" or "0-3". False: *first and *last untouched. */
bool queue_range_parse(const char *text, uint16_t *first, uint16_t *last);

#endif
