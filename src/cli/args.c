/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Options and words. getopt_long is not used: it keeps its place in globals and
 * prints its own messages.
 */
#include "args.h"

#include <stdlib.h>
#include <string.h>

#include "sallyport/host/world.h"
#include "suggest.h"

struct option_spec {
	const char *name;
	const char *brief;
	enum option option;
	bool takes_value;
};

static const struct option_spec options[] = {
    {"--socket", NULL, OPTION_SOCKET, true}, {"--json", NULL, OPTION_JSON, false},
    {"--help", "-h", OPTION_HELP, false},    {"--version", "-V", OPTION_VERSION, false},
    {"--rules", NULL, OPTION_RULES, true},   {"--all", NULL, OPTION_ALL, false},
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

static const struct option_spec *find_option(const char *word, size_t length) {
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option_spec *spec = &options[i];
		if (strlen(spec->name) == length && !memcmp(spec->name, word, length))
			return spec;
		if (spec->brief && !strcmp(spec->brief, word))
			return spec;
	}
	return NULL;
}

static bool unknown_option(const char *word, struct error *err) {
	const char *names[OPTIONS];
	for (size_t i = 0; i < OPTIONS; i++)
		names[i] = options[i].name;
	const char *near = suggest(word, names, OPTIONS);
	if (near)
		return error_set(err, "unknown option %s: did you mean %s?", word, near);
	return error_set(err, "unknown option %s; sallyport --help lists the options", word);
}

/* Takes argv[*at] and, where the option has a value behind a space, the word after it. */
static bool take_option(int argc, const char *const *argv, int *at, struct arguments *args,
			struct error *err) {
	const char *word = argv[*at];
	size_t length = strcspn(word, "=");
	const char *value = word[length] ? word + length + 1 : NULL;
	const struct option_spec *spec = find_option(word, length);
	if (!spec)
		return unknown_option(word, err);
	if (value && !spec->takes_value)
		return error_set(err, "option %s takes no value", spec->name);
	if (spec->takes_value && !value && *at + 1 < argc)
		value = argv[++*at];
	if (spec->takes_value && (!value || !*value))
		return error_set(err, "option %s needs a value", spec->name);

	args->given |= spec->option;
	if (spec->option == OPTION_SOCKET)
		args->socket = value;
	if (spec->option == OPTION_RULES)
		args->rules = value;
	return true;
}

static void take_word(struct arguments *args, const char *word) {
	if (!args->command)
		args->command = word;
	else
		args->words[args->count++] = word;
}

bool args_parse(int argc, const char *const *argv, struct arguments *args, struct error *err) {
	struct arguments parsed = {.socket = DEFAULT_SOCKET};
	parsed.words = calloc(argc > 0 ? (size_t)argc : 1, sizeof(*parsed.words));
	if (!parsed.words)
		return error_set(err, "out of memory");

	bool options_end = false;
	for (int i = 1; i < argc; i++) {
		if (options_end || argv[i][0] != '-' || !argv[i][1]) {
			take_word(&parsed, argv[i]);
		} else if (!strcmp(argv[i], "--")) {
			options_end = true;
		} else if (!take_option(argc, argv, &i, &parsed, err)) {
			args_free(&parsed);
			return false;
		}
	}
	*args = parsed;
	return true;
}

void args_free(struct arguments *args) {
	free(args->words);
	args->words = NULL;
	args->count = 0;
}
