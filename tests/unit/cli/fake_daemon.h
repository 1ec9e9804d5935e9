/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A thread on a control socket that gives one client one fixed answer, and a run of the
 * command line against it.
 */
#ifndef TESTS_UNIT_CLI_FAKE_DAEMON_H
#define TESTS_UNIT_CLI_FAKE_DAEMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../../src/cli/cli.h"

struct fake_daemon {
	char folder[32], path[64];
	int listener, wake[2]; /* closing wake[1] ends the thread */
	pthread_t thread;
	const char *answer; /* sent after one request line; NULL: the client is cut off at once */
	size_t length;
	char request[4096]; /* the line that came, without its newline */
};

static inline bool fake_wait(const struct fake_daemon *fake, int fd) {
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = fake->wake[0], .events = POLLIN}};
	return poll(fds, 2, 10 * 1000) > 0 && !fds[1].revents;
}

static inline void fake_read_request(struct fake_daemon *fake, int client) {
	size_t length = 0;
	while (length < sizeof(fake->request) - 1 && fake_wait(fake, client)) {
		ssize_t got = read(client, fake->request + length, 1);
		if (got <= 0 || fake->request[length] == '\n')
			break;
		length++;
	}
	fake->request[length] = '\0';
}

static inline void *fake_serve(void *argument) {
	struct fake_daemon *fake = argument;
	if (!fake_wait(fake, fake->listener))
		return NULL;
	int client = accept(fake->listener, NULL, NULL);
	if (client < 0)
		return NULL;
	if (fake->answer) {
		fake_read_request(fake, client);
		(void)!send(client, fake->answer, fake->length, MSG_NOSIGNAL);
	}
	close(client);
	return NULL;
}

static inline void fake_start(struct fake_daemon *fake, const char *answer) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*fake = (struct fake_daemon){.answer = answer, .length = answer ? strlen(answer) : 0};
	strcpy(fake->folder, "/tmp/sallyport-cli-XXXXXX");
	assert_non_null(mkdtemp(fake->folder));
	snprintf(fake->path, sizeof(fake->path), "%s/control", fake->folder);
	strcpy(address.sun_path, fake->path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->listener, 4), 0);
	assert_int_equal(pipe(fake->wake), 0);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_serve, fake), 0);
}

static inline void fake_stop(struct fake_daemon *fake) {
	close(fake->wake[1]);
	pthread_join(fake->thread, NULL);
	close(fake->wake[0]);
	close(fake->listener);
	unlink(fake->path);
	rmdir(fake->folder);
}

struct outcome {
	int status;
	char *out, *err; /* owned: outcome_free */
};

static inline struct outcome run_words(const char *const *words, int count) {
	struct outcome outcome = {0};
	size_t out_size, err_size;
	FILE *out = open_memstream(&outcome.out, &out_size), *err = open_memstream(&outcome.err, &err_size);
	assert_true(out && err);
	outcome.status = cli_main(count, words, out, err);
	fclose(out);
	fclose(err);
	return outcome;
}

static inline void outcome_free(struct outcome *outcome) {
	free(outcome->out);
	free(outcome->err);
}

#define RUN(...)                                                                                             \
	run_words((const char *[]){"sallyport", __VA_ARGS__},                                                \
		  (int)(sizeof((const char *[]){"sallyport", __VA_ARGS__}) / sizeof(char *)))

#endif
