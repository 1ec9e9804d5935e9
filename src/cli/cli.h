/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One run of the command line: words in, an exit status out.
 */
#ifndef SALLYPORT_CLI_CLI_H
#define SALLYPORT_CLI_CLI_H

#include "args.h"
#include "output.h"

enum status {
	STATUS_DONE = 0,
	STATUS_NO = 1,   /* the answer is no: a bad file, no daemon, nothing matched */
	STATUS_USAGE = 2 /* asked in the wrong way */
};

struct cli {
	struct arguments args;
	struct output out;
};

struct command {
	const char *name;
	const char *synopsis; /* what stands behind the name */
	const char *help;     /* one line */
	unsigned options;     /* enum option that only some commands take */
	size_t min, max;      /* words behind the name */
	int (*run)(struct cli *cli);
};

/* `argv` as main gets it. Results go to `out`, complaints to `err`. */
int cli_main(int argc, const char *const *argv, FILE *out, FILE *err);

/* "sallyport: TEXT" on the error stream; returns `status`. */
int complain(const struct cli *cli, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The handlers, cmd_*.c. */
int cmd_status(struct cli *cli);
int cmd_list(struct cli *cli);
int cmd_kill(struct cli *cli);
int cmd_rules(struct cli *cli);
int cmd_stats(struct cli *cli);
int cmd_reload(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_explain(struct cli *cli);

#endif
