/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines from a daemon that is slow, cut off, silent or insane.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/cli/reader.h"

struct pair {
	int ours;
	struct reader reader;
};

static void make_pair(struct pair *pair, int timeout_ms) {
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pair->ours = fds[0];
	reader_init(&pair->reader, fds[1], timeout_ms);
}

static void free_pair(struct pair *pair) {
	close(pair->ours);
	close(pair->reader.fd);
	reader_free(&pair->reader);
}

static void put(struct pair *pair, const char *text, size_t length) {
	assert_int_equal(write(pair->ours, text, length), length);
}

static void expect_line(struct pair *pair, const char *expected, size_t expected_length) {
	const char *line;
	size_t length;
	struct error err = {""};
	assert_int_equal(reader_line(&pair->reader, &line, &length, &err), READING_LINE);
	assert_int_equal(length, expected_length);
	assert_memory_equal(line, expected, length + 1);
}

static void expect_failure(struct pair *pair, const char *message) {
	const char *line;
	size_t length;
	struct error err = {""};
	assert_int_equal(reader_line(&pair->reader, &line, &length, &err), READING_FAILED);
	assert_non_null(strstr(err.text, message));
}

static void lines_come_one_by_one_however_the_bytes_arrive(void **state) {
	struct pair pair;
	const char *line;
	size_t length;
	struct error err;
	(void)state;
	make_pair(&pair, 1000);
	put(&pair, "one\ntwo\n\nfo", 11);
	expect_line(&pair, "one", 3);
	expect_line(&pair, "two", 3);
	expect_line(&pair, "", 0);
	put(&pair, "ur\n", 3);
	expect_line(&pair, "four", 4);
	shutdown(pair.ours, SHUT_WR);
	assert_int_equal(reader_line(&pair.reader, &line, &length, &err), READING_END);
	free_pair(&pair);
}

static void nul_bytes_do_not_end_a_line(void **state) {
	struct pair pair;
	(void)state;
	make_pair(&pair, 1000);
	put(&pair, "a\0b\n", 4);
	expect_line(&pair, "a\0b", 3);
	free_pair(&pair);
}

static void half_a_line_at_the_end_is_a_failure(void **state) {
	struct pair pair;
	(void)state;
	make_pair(&pair, 1000);
	put(&pair, "one\nhalf", 8);
	expect_line(&pair, "one", 3);
	shutdown(pair.ours, SHUT_WR);
	expect_failure(&pair, "in the middle of a line");
	free_pair(&pair);
}

static void silence_is_not_waited_for_forever(void **state) {
	struct pair pair;
	(void)state;
	make_pair(&pair, 50);
	put(&pair, "no newline", 10);
	expect_failure(&pair, "has not answered");
	free_pair(&pair);
}

struct flood {
	int fd;
	size_t length;
	bool newline;
};

static void *pour(void *argument) {
	const struct flood *flood = argument;
	char block[4096];
	memset(block, 'x', sizeof(block));
	for (size_t left = flood->length; left;) {
		size_t part = left < sizeof(block) ? left : sizeof(block);
		ssize_t sent = send(flood->fd, block, part, MSG_NOSIGNAL);
		if (sent <= 0)
			return NULL;
		left -= (size_t)sent;
	}
	if (flood->newline)
		(void)!send(flood->fd, "\n", 1, MSG_NOSIGNAL);
	return NULL;
}

static void a_line_of_the_greatest_length_is_read(void **state) {
	struct pair pair;
	pthread_t thread;
	const char *line;
	size_t length;
	struct error err;
	(void)state;
	make_pair(&pair, 5000);
	struct flood flood = {.fd = pair.ours, .length = READER_MAX_LINE, .newline = true};
	assert_int_equal(pthread_create(&thread, NULL, pour, &flood), 0);
	assert_int_equal(reader_line(&pair.reader, &line, &length, &err), READING_LINE);
	assert_int_equal(length, READER_MAX_LINE);
	pthread_join(thread, NULL);
	free_pair(&pair);
}

static void a_longer_line_is_refused_and_memory_stays_bounded(void **state) {
	struct pair pair;
	pthread_t thread;
	(void)state;
	make_pair(&pair, 5000);
	struct flood flood = {.fd = pair.ours, .length = 8 * READER_MAX_LINE};
	assert_int_equal(pthread_create(&thread, NULL, pour, &flood), 0);
	expect_failure(&pair, "more than 1048576 bytes");
	assert_true(pair.reader.size <= READER_MAX_LINE + 1);
	shutdown(pair.reader.fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	free_pair(&pair);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_come_one_by_one_however_the_bytes_arrive),
	    cmocka_unit_test(nul_bytes_do_not_end_a_line),
	    cmocka_unit_test(half_a_line_at_the_end_is_a_failure),
	    cmocka_unit_test(silence_is_not_waited_for_forever),
	    cmocka_unit_test(a_line_of_the_greatest_length_is_read),
	    cmocka_unit_test(a_longer_line_is_refused_and_memory_stays_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
