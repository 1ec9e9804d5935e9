/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules file, loaded for a daemon that starts or already runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/daemon/reload.h"
#include "sallyport/host/world.h"

size_t ruleset_written_rules(const struct ruleset *ruleset) {
	size_t count = 0;

	for (size_t i = 0; i < ruleset->count; i++)
		count += !ruleset->rules[i].essential;
	return count;
}

static void warn(struct diagnostics *diagnostics, const char *path, const char *message) {
	struct place place = {.file = path, .line = 0};

	diagnostics_add(diagnostics, SEVERITY_WARNING, &place, 1, 1, NULL, message);
}

/* The table is as large as it is, and packets under way carry the old mark. */
static void keep_settings(struct ruleset *ruleset, const struct settings *running, const char *path,
			  struct diagnostics *diagnostics) {
	struct settings *wanted = &ruleset->settings;
	char message[160];

	if (wanted->connections != running->connections) {
		snprintf(message, sizeof(message),
			 "`connections %" PRIu32 "` takes a restart; it stays at %" PRIu32,
			 wanted->connections, running->connections);
		warn(diagnostics, path, message);
	}
	if (wanted->mark_mask != running->mark_mask) {
		snprintf(message, sizeof(message),
			 "`mark 0x%" PRIx32 "` takes a restart; it stays at 0x%" PRIx32, wanted->mark_mask,
			 running->mark_mask);
		warn(diagnostics, path, message);
	}
	wanted->connections = running->connections;
	wanted->mark_mask = running->mark_mask;
}

static char *text_of(const struct diagnostics *diagnostics) {
	char *text = diagnostics_text(diagnostics);
	size_t length = text ? strlen(text) : 0;

	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	if (!text)
		text = strdup("");
	if (!text)
		abort(); /* not a byte is left: systemd starts us again */
	return text;
}

struct ruleset *rules_load(const char *path, const struct settings *running, char **text, struct error *err) {
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = ruleset_load(path, &host_world, &diagnostics);

	if (ruleset && running)
		keep_settings(ruleset, running, path, &diagnostics);
	*text = text_of(&diagnostics);
	if (!ruleset && diagnostics.lost)
		error_set(err, "out of memory for the rules in %s", path);
	else if (!ruleset)
		error_set(err, "%zu%s error%s in %s", diagnostics.errors, diagnostics.more ? " or more" : "",
			  diagnostics.errors == 1 ? "" : "s", path);
	diagnostics_free(&diagnostics);
	return ruleset;
}
