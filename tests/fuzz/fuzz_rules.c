/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as a rules file: no crash, and what loads prints as a file that loads to an equal
 * ruleset. Bytes behind a line `--` are the file of a set and of an include.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_world.h"
#include "sallyport/core/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *rules, *other;
	size_t rules_length, other_length;
	const char *printed;
};

static char *read_input(void *context, const char *path, size_t *length, struct error *err) {
	const struct input *input = context;
	const char *bytes = NULL;
	char *copy;

	if (strcmp(path, "main.rules") == 0) {
		bytes = input->rules;
		*length = input->rules_length;
	} else if (strcmp(path, "printed.rules") == 0) {
		bytes = input->printed;
		*length = strlen(input->printed);
	} else if (input->other) {
		bytes = input->other;
		*length = input->other_length;
	}
	if (!bytes) {
		error_set(err, "No such file or directory");
		return NULL;
	}
	copy = malloc(*length + 1);
	if (!copy)
		abort();
	memcpy(copy, bytes, *length);
	copy[*length] = '\0';
	return copy;
}

static bool no_glob(void *context, const char *pattern, char ***paths, size_t *count, struct error *err) {
	(void)context;
	(void)pattern;
	(void)err;
	*paths = NULL;
	*count = 0;
	return true;
}

static struct input split(const char *data, size_t size) {
	const char *mark = memmem(data, size, "\n--\n", 4);

	if (!mark)
		return (struct input){.rules = data, .rules_length = size};
	return (struct input){.rules = data,
			      .rules_length = (size_t)(mark + 1 - data),
			      .other = mark + 4,
			      .other_length = (size_t)(data + size - mark - 4)};
}

static void check_round_trip(const struct ruleset *ruleset, struct input *input, const struct world *world) {
	struct diagnostics diagnostics;
	char *printed = ruleset_print(ruleset);
	struct ruleset *again;

	input->printed = printed;
	again = ruleset_load("printed.rules", world, &diagnostics);
	if (!again || !ruleset_equal(ruleset, again)) {
		fprintf(stderr, "%s\n%s\n", printed, diagnostics_text(&diagnostics));
		abort();
	}
	free(printed);
	ruleset_free(again);
	diagnostics_free(&diagnostics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct input input = split((const char *)data, size);
	struct world world = memory_world(NULL);
	struct diagnostics diagnostics;
	struct ruleset *ruleset;

	world.context = &input;
	world.read = read_input;
	world.glob = no_glob;
	ruleset = ruleset_load("main.rules", &world, &diagnostics);
	if (!ruleset != (diagnostics.errors > 0))
		abort();
	free(diagnostics_text(&diagnostics));
	diagnostics_free(&diagnostics);
	if (ruleset)
		check_round_trip(ruleset, &input, &world);
	ruleset_free(ruleset);
	return 0;
}
