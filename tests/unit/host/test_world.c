/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The real world: what is read and what is refused, globs, the service database.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sallyport/core/packet.h"
#include "sallyport/host/world.h"

/* A scratch directory, and the current one during a test. */
struct scratch {
	char path[64], before[4096];
};

static int enter_scratch(void **state) {
	struct scratch *scratch = calloc(1, sizeof *scratch);

	assert_non_null(scratch);
	strcpy(scratch->path, "/tmp/sallyport-test-XXXXXX");
	assert_non_null(mkdtemp(scratch->path));
	assert_non_null(getcwd(scratch->before, sizeof scratch->before));
	assert_int_equal(chdir(scratch->path), 0);
	*state = scratch;
	return 0;
}

static int leave_scratch(void **state) {
	struct scratch *scratch = *state;
	static const char *const names[] = {"a.rules", "b.rules", "B.rules", "x", "fifo"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(names[i]);
	assert_int_equal(chdir(scratch->before), 0);
	assert_int_equal(rmdir(scratch->path), 0);
	free(scratch);
	return 0;
}

static void write_file(const char *path, const char *bytes, size_t length) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static void assert_refused(const char *path, const char *why) {
	size_t length = 77;
	struct error err = {""};

	assert_null(host_world.read(NULL, path, &length, &err));
	assert_string_equal(err.text, why);
	assert_int_equal(length, 77);
}

static void files_are_read_whole(void **state) {
	struct error err;
	size_t length;
	char *text;

	(void)state;
	write_file("x", "a\nb", 3);
	text = host_world.read(NULL, "x", &length, &err);
	assert_string_equal(text, "a\nb");
	assert_int_equal(length, 3);
	free(text);
	write_file("x", "", 0);
	text = host_world.read(NULL, "x", &length, &err);
	assert_string_equal(text, "");
	assert_int_equal(length, 0);
	free(text);
}

static void what_is_no_plain_text_file_is_refused(void **state) {
	(void)state;
	assert_refused("missing", "No such file or directory");
	assert_refused(".", "is a directory");
	assert_refused("/dev/zero", "is a device");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused("fifo", "is not a regular file"); /* and nobody waits for a writer */
	write_file("x", "ab\0c", 4);
	assert_refused("x", "is not a text file (a NUL byte at offset 2)");
}

/* Refused by its size: a sparse gigabyte is not read. */
static void large_files_are_refused_unread(void **state) {
	(void)state;
	write_file("x", "", 0);
	assert_int_equal(truncate("x", 1 << 30), 0);
	assert_refused("x", "is larger than 128 MiB");
}

static void globs_are_sorted_by_bytes(void **state) {
	static const char *const expected[] = {"B.rules", "a.rules", "b.rules"};
	struct error err;
	size_t count = 0;
	char **paths;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		write_file(expected[2 - i], "", 0);
	write_file("x", "", 0);
	assert_true(host_world.glob(NULL, "*.rules", &paths, &count, &err));
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(paths[i], expected[i]);
		free(paths[i]);
	}
	free(paths);
	assert_true(host_world.glob(NULL, "*.none", &paths, &count, &err));
	assert_int_equal(count, 0);
	free(paths);
}

struct search {
	const char *name;
	bool found;
};

static void see(const char *name, void *argument) {
	struct search *search = argument;

	search->found |= strcmp(name, search->name) == 0;
}

static void services_come_from_the_database(void **state) {
	struct search search = {"ssh", false};
	uint16_t port = 0;

	(void)state;
	assert_true(host_world.service(NULL, "ssh", PROTOCOL_TCP, &port));
	assert_int_equal(port, 22);
	assert_true(host_world.service(NULL, "domain", PROTOCOL_UDP, &port));
	assert_int_equal(port, 53);
	assert_false(host_world.service(NULL, "no-such-service", PROTOCOL_TCP, &port));
	assert_int_equal(port, 53);
	host_world.each_service(NULL, see, &search);
	assert_true(search.found);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(files_are_read_whole, enter_scratch, leave_scratch),
	    cmocka_unit_test_setup_teardown(what_is_no_plain_text_file_is_refused, enter_scratch,
					    leave_scratch),
	    cmocka_unit_test_setup_teardown(large_files_are_refused_unread, enter_scratch, leave_scratch),
	    cmocka_unit_test_setup_teardown(globs_are_sorted_by_bytes, enter_scratch, leave_scratch),
	    cmocka_unit_test(services_come_from_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
