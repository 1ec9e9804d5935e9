/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket with a table and rules behind it, but no kernel: answers, limits,
 * and clients that misbehave.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules_of.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/control.h"

enum { TURN_US = 50 * 1000, TURNS = 200000, ANSWER_ROOM = 4 << 20 };

struct stage {
	char directory[32], path[64];
	struct options options;
	struct daemon daemon;
	sd_event *event;
	char *answer; /* ANSWER_ROOM */
	size_t length;
};

static int stage_open(void **state) {
	static const struct hash_secret secret = {{1, 2}};
	struct stage *stage = calloc(1, sizeof(*stage));
	struct policy_version *version = version_of("allow in tcp 22\nallow in udp 1-65535\n"
						    "service game = tcp 22\n",
						    1);
	struct error err;

	assert_non_null(stage);
	strcpy(stage->directory, "/tmp/sallyport-test-XXXXXX");
	assert_non_null(mkdtemp(stage->directory));
	snprintf(stage->path, sizeof(stage->path), "%s/control", stage->directory);
	stage->options = (struct options){.rules_file = "test.rules", .socket_path = stage->path};
	stage->daemon.options = &stage->options;
	policy_slot_init(&stage->daemon.workplace.policy, version);
	stage->daemon.workplace.filter.table = table_new(100000, &secret);
	stage->daemon.services = services_load();
	stage->answer = malloc(ANSWER_ROOM);
	assert_int_equal(sd_event_new(&stage->event), 0);
	stage->daemon.control = control_open(&stage->daemon, stage->event, &err);
	assert_non_null(stage->daemon.control);
	*state = stage;
	return 0;
}

static int stage_close(void **state) {
	struct stage *stage = *state;

	control_close(stage->daemon.control);
	assert_int_equal(access(stage->path, F_OK), -1); /* the socket is gone */
	sd_event_unref(stage->event);
	services_free(stage->daemon.services);
	table_free(stage->daemon.workplace.filter.table);
	policy_slot_clear(&stage->daemon.workplace.policy);
	rmdir(stage->directory);
	free(stage->answer);
	free(stage);
	return 0;
}

static int connect_to(const struct stage *stage) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, stage->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* What is there to read now. False: the other side has closed. */
static bool read_some(struct stage *stage, int fd) {
	for (;;) {
		ssize_t length = recv(fd, stage->answer + stage->length, ANSWER_ROOM - 1 - stage->length, 0);

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (length <= 0)
			return false;
		stage->length += (size_t)length;
		stage->answer[stage->length] = '\0';
	}
}

static bool is_complete(const struct stage *stage) {
	const char *last = stage->answer;

	for (const char *line = stage->answer; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		last = line;
	return strncmp(last, "{\"done\"", 7) == 0 || strncmp(last, "{\"error\"", 8) == 0;
}

/* Runs the loop until the answer is complete or the connection is closed (false). */
static bool await_answer(struct stage *stage, int fd) {
	stage->length = 0;
	stage->answer[0] = '\0';
	for (unsigned turn = 0; turn < TURNS; turn++) {
		bool open = read_some(stage, fd);

		if (stage->length > 0 && stage->answer[stage->length - 1] == '\n' && is_complete(stage))
			return true;
		if (!open)
			return false;
		sd_event_run(stage->event, TURN_US);
	}
	fail_msg("no answer");
	return false;
}

static bool await_end(struct stage *stage, int fd) {
	for (unsigned turn = 0; turn < TURNS; turn++) {
		if (!read_some(stage, fd))
			return true;
		sd_event_run(stage->event, TURN_US);
	}
	return false;
}

static void ask(struct stage *stage, int fd, const char *line) {
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	assert_true(await_answer(stage, fd));
}

static void add_connections_at(struct stage *stage, unsigned count, uint32_t now) {
	struct table *table = stage->daemon.workplace.filter.table;

	for (unsigned i = 0; i < count; i++) {
		struct key key = {
		    .local_port = 53, .remote_port = (uint16_t)(1024 + i % 60000), .protocol = PROTOCOL_UDP};
		struct connection *connection;
		struct stripe *stripe;

		assert_true(addr_parse("192.0.2.1", &key.local));
		assert_true(addr_parse(i < 60000 ? "198.51.100.1" : "198.51.100.2", &key.remote));
		stripe = table_lock(table, &key);
		connection = connection_insert(stripe, &key, UDP_NEW, now);
		assert_non_null(connection);
		connection->rule = NO_RULE;
		connection->generation = 1;
		connection->direction = DIRECTION_IN;
		table_unlock(stripe);
	}
}

static void add_connections(struct stage *stage, unsigned count) {
	add_connections_at(stage, count, clock_seconds());
}

static unsigned lines_of(const struct stage *stage) {
	unsigned lines = 0;

	for (size_t i = 0; i < stage->length; i++)
		lines += stage->answer[i] == '\n';
	return lines;
}

static void test_list_row(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);

	add_connections(stage, 1);
	ask(stage, fd, "{\"command\":\"list\"}\n");
	assert_string_equal(
	    stage->answer,
	    "{\"proto\":\"udp\",\"local\":\"192.0.2.1\",\"local_port\":53,\"remote\":\"198.51.100.1\","
	    "\"remote_port\":1024,\"direction\":\"in\",\"state\":\"NEW\",\"age\":0,\"idle\":0,"
	    "\"rule\":null,\"generation\":1,\"service\":\"domain\"}\n{\"done\":true,\"count\":1}\n");
	close(fd);
}

static void test_no_age_is_less_than_nothing(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);

	add_connections_at(stage, 1, clock_seconds() + 2);
	ask(stage, fd, "{\"command\":\"list\"}\n");
	assert_non_null(strstr(stage->answer, "\"age\":0,\"idle\":0,"));
	close(fd);
}

static void test_several_requests_on_one_connection(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);

	add_connections(stage, 5);
	ask(stage, fd, "{\"command\":\"list\",\"select\":[\"remote-port\",\"1026\"]}\n");
	assert_int_equal(lines_of(stage), 2);
	ask(stage, fd, "{\"command\":\"kill\",\"select\":[\"remote-port\",\"1026\"]}\n");
	assert_string_equal(stage->answer, "{\"done\":true,\"count\":1}\n");
	ask(stage, fd, "{\"command\":\"list\"}\n");
	assert_int_equal(lines_of(stage), 5);
	ask(stage, fd, "{\"command\":\"kill\",\"select\":[]}\n");
	assert_non_null(strstr(stage->answer, "\"error\""));
	ask(stage, fd, "{\"command\":\"kill\",\"select\":[\"all\"]}\n");
	assert_string_equal(stage->answer, "{\"done\":true,\"count\":4}\n");
	close(fd);
}

static void test_explain(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);

	ask(stage, fd, "{\"command\":\"explain\",\"probe\":\"in tcp from 192.0.2.7 to 22\"}\n");
	assert_non_null(strstr(stage->answer,
			       "{\"probe\":\"in tcp from 192.0.2.7 to 22\",\"verdict\":\"allow\","
			       "\"rule\":{\"file\":\"test.rules\",\"line\":1},\"text\":\"allow in tcp 22\","
			       "\"near\":["));
	ask(stage, fd, "{\"command\":\"explain\",\"probe\":\"in tcp to 23\"}\n");
	assert_non_null(
	    strstr(stage->answer, "\"verdict\":\"drop\",\"rule\":null,\"text\":\"default in drop\""));
	ask(stage, fd, "{\"command\":\"explain\",\"probe\":\"in tcp to game\"}\n");
	assert_non_null(
	    strstr(stage->answer, "\"verdict\":\"allow\",\"rule\":{\"file\":\"test.rules\",\"line\":1}"));
	ask(stage, fd, "{\"command\":\"explain\",\"probe\":\"in tcp to to\"}\n");
	assert_non_null(strstr(stage->answer, "{\"error\":"));
	close(fd);
}

static void start_slow_list(struct stage *stage, int fd) {
	add_connections(stage, 30000);
	assert_true(send(fd, "{\"command\":\"list\"}\n", 19, MSG_NOSIGNAL) == 19);
	for (unsigned turn = 0; turn < 200; turn++)
		sd_event_run(stage->event, 0);
}

/* Reads the answer to the end; returns the rows. */
static unsigned finish_slow_list(struct stage *stage, int fd) {
	char closing[64];
	unsigned lines = 0;

	for (bool done = false; !done;) {
		stage->length = 0;
		stage->answer[0] = '\0';
		assert_true(read_some(stage, fd));
		lines += lines_of(stage);
		snprintf(closing, sizeof(closing), "{\"done\":true,\"count\":%u}\n", lines - 1);
		done = lines > 0 && strstr(stage->answer, closing);
		sd_event_run(stage->event, done ? 0 : TURN_US);
	}
	return lines - 1;
}

static void test_slow_reader_gets_every_row(void **state) {
	struct stage *stage = *state;
	int slow = connect_to(stage), other = connect_to(stage);

	start_slow_list(stage, slow);
	/* Another client is served while this one has its answer waiting. */
	ask(stage, other, "{\"command\":\"explain\",\"probe\":\"in tcp to 22\"}\n");
	assert_int_equal(finish_slow_list(stage, slow), 30000);
	close(slow);
	close(other);
}

/* The daemon must not hoard what a slow reader has not taken: what is gone before it was
 * read to there is not in the answer. */
static void test_answer_is_made_as_it_is_read(void **state) {
	struct stage *stage = *state;
	int slow = connect_to(stage), other = connect_to(stage);

	start_slow_list(stage, slow);
	ask(stage, other, "{\"command\":\"kill\",\"select\":[\"all\"]}\n");
	assert_string_equal(stage->answer, "{\"done\":true,\"count\":30000}\n");
	assert_in_range(finish_slow_list(stage, slow), 1, 15000);
	close(slow);
	close(other);
}

static void test_garbage_is_cut_off(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);

	ask(stage, fd, "garbage\n{\"command\":\"list\"}\n");
	assert_int_equal(lines_of(stage), 1);
	assert_non_null(strstr(stage->answer, "{\"error\":"));
	assert_true(await_end(stage, fd));
	close(fd);
}

static void test_endless_line_is_cut_off(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);
	char part[4096];
	size_t sent = 0;

	memset(part, 'a', sizeof(part));
	while (sent < REQUEST_MAX) {
		ssize_t length = send(fd, part, sizeof(part), MSG_NOSIGNAL);

		sent += length > 0 ? (size_t)length : 0;
		sd_event_run(stage->event, 0);
	}
	assert_true(await_answer(stage, fd));
	assert_string_equal(stage->answer, "{\"error\":\"the request is longer than 64 KiB\"}\n");
	assert_true(await_end(stage, fd));
	close(fd);
}

static void test_no_more_than_64_clients(void **state) {
	struct stage *stage = *state;
	int fds[MAX_CLIENTS], more;

	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		fds[i] = connect_to(stage);
		sd_event_run(stage->event, TURN_US);
	}
	more = connect_to(stage);
	assert_true(await_answer(stage, more));
	assert_non_null(strstr(stage->answer, "too many clients"));
	close(more);
	/* One that has left makes room at once. */
	close(fds[10]);
	fds[10] = connect_to(stage);
	ask(stage, fds[10], "{\"command\":\"list\"}\n");
	assert_string_equal(stage->answer, "{\"done\":true,\"count\":0}\n");
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		close(fds[i]);
}

/* Who is in must not wait until nobody else knocks. */
static void test_those_who_knock_do_not_starve_those_inside(void **state) {
	enum { KNOCKS = 40, A_FEW_TURNS = 6 };
	struct stage *stage = *state;
	int inside = connect_to(stage), fds[KNOCKS];

	ask(stage, inside, "{\"command\":\"list\"}\n");
	for (size_t i = 0; i < KNOCKS; i++)
		fds[i] = connect_to(stage);
	stage->length = 0;
	assert_true(send(inside, "{\"command\":\"list\"}\n", 19, MSG_NOSIGNAL) == 19);
	for (unsigned turn = 0; turn < A_FEW_TURNS; turn++)
		sd_event_run(stage->event, 0);
	assert_true(read_some(stage, inside));
	assert_int_equal(lines_of(stage), 1);
	for (size_t i = 0; i < KNOCKS; i++)
		close(fds[i]);
	close(inside);
}

/* Half a line, and then byte after byte: none of it is a sign of life. */
static void test_half_a_line_does_not_keep_a_place(void **state) {
	struct stage *stage = *state;
	struct peer peer = {.right = RIGHT_READ};
	uint32_t begin = clock_seconds();
	struct client *client;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	client = client_new(&stage->daemon, stage->event, fds[0], &peer);
	assert_non_null(client);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(send(fds[1], "{", 1, MSG_NOSIGNAL) == 1);
		sd_event_run(stage->event, TURN_US);
	}
	assert_false(client_is_idle(client, begin + CLIENT_IDLE_SECONDS - 1));
	assert_true(client_is_idle(client, begin + CLIENT_IDLE_SECONDS + 1));
	client_end(client);
	close(fds[1]);
}

static void test_requests_before_a_half_close_are_answered(void **state) {
	struct stage *stage = *state;
	int fd = connect_to(stage);
	unsigned asked = 20;

	for (unsigned i = 0; i < asked; i++)
		assert_true(send(fd, "{\"command\":\"list\"}\n", 19, MSG_NOSIGNAL) == 19);
	shutdown(fd, SHUT_WR);
	stage->length = 0;
	assert_true(await_end(stage, fd));
	assert_int_equal(lines_of(stage), asked);
	close(fd);
}

static void test_mode_of_the_socket(void **state) {
	struct stage *stage = *state;
	struct stat status;

	assert_int_equal(stat(stage->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
}

static void test_path_in_use(void **state) {
	struct stage *stage = *state;
	struct error err;
	char path[sizeof(stage->path) + 8];
	FILE *file;

	assert_false(control_is_free(stage->path, &err));
	assert_non_null(strstr(err.text, "another sallyportd answers"));
	snprintf(path, sizeof(path), "%s/file", stage->directory);
	assert_true(control_is_free(path, &err));
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_false(control_is_free(path, &err));
	assert_non_null(strstr(err.text, "no socket"));
	unlink(path);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_list_row, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_no_age_is_less_than_nothing, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_several_requests_on_one_connection, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_explain, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_slow_reader_gets_every_row, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_answer_is_made_as_it_is_read, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_garbage_is_cut_off, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_endless_line_is_cut_off, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_no_more_than_64_clients, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_those_who_knock_do_not_starve_those_inside, stage_open,
					    stage_close),
	    cmocka_unit_test_setup_teardown(test_half_a_line_does_not_keep_a_place, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_requests_before_a_half_close_are_answered, stage_open,
					    stage_close),
	    cmocka_unit_test_setup_teardown(test_mode_of_the_socket, stage_open, stage_close),
	    cmocka_unit_test_setup_teardown(test_path_in_use, stage_open, stage_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
