/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * argv -> options, the command and its words. Options may stand anywhere; `--` ends them.
 */
#ifndef SALLYPORT_CLI_ARGS_H
#define SALLYPORT_CLI_ARGS_H

#include <stddef.h>

#include "sallyport/core/error.h"

enum option {
	OPTION_SOCKET = 0x01,
	OPTION_JSON = 0x02,
	OPTION_HELP = 0x04,
	OPTION_VERSION = 0x08,
	OPTION_RULES = 0x10,
	OPTION_ALL = 0x20,
};

struct arguments {
	unsigned given;      /* enum option, or'ed */
	const char *socket;  /* DEFAULT_SOCKET where none was given */
	const char *rules;   /* NULL: no --rules */
	const char *command; /* NULL: none */
	const char **words;  /* behind the command; the array is owned, the words are argv's */
	size_t count;
};

/* Owner of *args: the caller, args_free. */
bool args_parse(int argc, const char *const *argv, struct arguments *args, struct error *err);
void args_free(struct arguments *args);

#endif
