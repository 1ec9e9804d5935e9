/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules file anew. Nothing changes unless all of it is good and in the kernel.
 */
#ifndef SALLYPORT_DAEMON_RELOAD_H
#define SALLYPORT_DAEMON_RELOAD_H

#include "sallyport/daemon/daemon.h"

struct reload_report {
	bool ok;
	size_t rules;        /* in the file, essentials not counted */
	size_t cut;          /* connections that are no longer allowed */
	uint32_t generation; /* in force now, whether new or not */
	struct error error;  /* where not ok */
	char *diagnostics;   /* diagnostics_text, "" where there is nothing to say; malloc'ed */
};

/* Logs what happened. When it returns, no packet is judged by the old rules any more
 * (or the old rules stand as if nothing had been asked). */
void daemon_reload(struct daemon *daemon, struct reload_report *report);
void reload_report_free(struct reload_report *report);

/* The rules of the file, essentials not counted. */
size_t ruleset_written_rules(const struct ruleset *ruleset);
/* Loads the rules file. NULL: *err says so in one line. *text (malloc'ed, never NULL) has
 * the diagnostics either way, without the last newline. `running`: the settings that
 * cannot change are taken from it, with a warning; NULL at start. */
struct ruleset *rules_load(const char *path, const struct settings *running, char **text, struct error *err);

#endif
