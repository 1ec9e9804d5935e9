/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The world of tests.
 */
#include "memory_world.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/core/packet.h"

static char *read_memory(void *context, const char *path, size_t *length, struct error *err) {
	for (const struct memory_file *file = context; file->path; file++)
		if (strcmp(file->path, path) == 0) {
			char *text = strdup(file->text);

			*length = strlen(file->text);
			if (!text)
				error_set(err, "out of memory");
			return text;
		}
	error_set(err, "No such file or directory");
	return NULL;
}

static int compare_paths(const void *left, const void *right) {
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool glob_memory(void *context, const char *pattern, char ***paths, size_t *count, struct error *err) {
	size_t files = 0, found = 0;

	for (const struct memory_file *file = context; file->path; file++)
		files++;
	*paths = calloc(files + 1, sizeof **paths);
	if (!*paths)
		return error_set(err, "out of memory");
	for (const struct memory_file *file = context; file->path; file++)
		if (fnmatch(pattern, file->path, FNM_PATHNAME) == 0)
			(*paths)[found++] = strdup(file->path);
	qsort(*paths, found, sizeof **paths, compare_paths);
	*count = found;
	return true;
}

static const struct {
	const char *name;
	uint16_t tcp, udp;
} services[] = {
    {"ssh", 22, 0},    {"http", 80, 0},     {"https", 443, 443}, {"domain", 53, 53},
    {"telnet", 23, 0}, {"syslog", 0, 514},  {"smtp", 25, 0},     {"split", 1000, 2000},
    {"ntp", 0, 123},   {"ftp-data", 20, 0}, {"vnc", 5999, 0},
};

static bool find_service(void *context, const char *name, uint8_t protocol, uint16_t *port) {
	(void)context;
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		uint16_t found = protocol == PROTOCOL_TCP ? services[i].tcp : services[i].udp;

		if (strcmp(services[i].name, name) != 0)
			continue;
		if (found)
			*port = found;
		return found != 0;
	}
	return false;
}

static void each_service(void *context, void (*see)(const char *name, void *argument), void *argument) {
	(void)context;
	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		see(services[i].name, argument);
}

struct world memory_world(const struct memory_file *files) {
	return (struct world){(void *)files, read_memory, glob_memory, find_service, each_service};
}

struct ruleset *load_rules(const char *text, struct diagnostics *diagnostics) {
	const struct memory_file files[] = {{"test.rules", text}, {NULL, NULL}};
	struct world world = memory_world(files);

	return ruleset_load("test.rules", &world, diagnostics);
}
