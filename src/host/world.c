/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files, globs and service names of the running system.
 */
#include "sallyport/host/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sallyport/core/packet.h"

enum { FILE_MAX_BYTES = 128 * 1024 * 1024 };

static const char *kind_of_file(mode_t mode) {
	if (S_ISDIR(mode))
		return "is a directory";
	if (S_ISCHR(mode) || S_ISBLK(mode))
		return "is a device";
	return "is not a regular file";
}

/* Opens without waiting for the writer of a FIFO. *size: as the file says now. */
static int open_regular(const char *path, size_t *size, struct error *err) {
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		error_set(err, "%s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		error_set(err, "%s", kind_of_file(status.st_mode));
	else if (status.st_size > FILE_MAX_BYTES)
		error_set(err, "is larger than 128 MiB");
	else {
		*size = (size_t)status.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Fills up to `size` bytes; fewer where the file is shorter by now; -1: errno. */
static ssize_t read_all(int fd, char *bytes, size_t size) {
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(fd, bytes + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

static char *read_file(void *context, const char *path, size_t *length, struct error *err) {
	size_t size = 0;
	int fd = open_regular(path, &size, err);
	char *bytes = fd < 0 ? NULL : malloc(size + 1), *nul;
	ssize_t got;

	(void)context;
	if (fd < 0)
		return NULL;
	got = bytes ? read_all(fd, bytes, size) : -1;
	if (got < 0)
		error_set(err, "%s", strerror(errno));
	close(fd);
	nul = got > 0 ? memchr(bytes, '\0', (size_t)got) : NULL;
	if (nul)
		error_set(err, "is not a text file (a NUL byte at offset %zu)", (size_t)(nul - bytes));
	if (got < 0 || nul) {
		free(bytes);
		return NULL;
	}
	bytes[got] = '\0';
	*length = (size_t)got;
	return bytes;
}

static int compare_paths(const void *left, const void *right) {
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static void free_paths(char **paths, size_t count) {
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}

/* The order must not depend on the locale, so sorted here. */
static bool copy_paths(const glob_t *found, char ***paths, size_t *count, struct error *err) {
	char **copies = calloc(found->gl_pathc + 1, sizeof *copies);

	for (size_t i = 0; copies && i < found->gl_pathc; i++) {
		copies[i] = strdup(found->gl_pathv[i]);
		if (!copies[i]) {
			free_paths(copies, i);
			copies = NULL;
		}
	}
	if (!copies)
		return error_set(err, "out of memory");
	qsort(copies, found->gl_pathc, sizeof *copies, compare_paths);
	*paths = copies;
	*count = found->gl_pathc;
	return true;
}

static bool expand_glob(void *context, const char *pattern, char ***paths, size_t *count, struct error *err) {
	glob_t found = {0};
	int result = glob(pattern, GLOB_NOSORT, NULL, &found);
	bool ok;

	(void)context;
	if (result == 0) {
		ok = copy_paths(&found, paths, count, err);
	} else if (result == GLOB_NOMATCH) {
		*paths = NULL;
		*count = 0;
		ok = true;
	} else {
		ok = error_set(err, result == GLOB_NOSPACE ? "out of memory" : "a directory cannot be read");
	}
	globfree(&found);
	return ok;
}

static bool find_service(void *context, const char *name, uint8_t protocol, uint16_t *port) {
	struct servent entry, *found = NULL;
	char buffer[4096];

	(void)context;
	if (getservbyname_r(name, protocol == PROTOCOL_TCP ? "tcp" : "udp", &entry, buffer, sizeof buffer,
			    &found) != 0 ||
	    !found)
		return false;
	*port = ntohs((uint16_t)found->s_port);
	return true;
}

static void each_service(void *context, void (*see)(const char *name, void *argument), void *argument) {
	struct servent entry, *found = NULL;
	char buffer[4096];

	(void)context;
	setservent(1);
	while (getservent_r(&entry, buffer, sizeof buffer, &found) == 0 && found) {
		see(found->s_name, argument);
		for (char **alias = found->s_aliases; *alias; alias++)
			see(*alias, argument);
	}
	endservent();
}

const struct world host_world = {
    .read = read_file,
    .glob = expand_glob,
    .service = find_service,
    .each_service = each_service,
};
