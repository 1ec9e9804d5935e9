/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as the daemon's answer to the command line. The first byte says what was asked.
 * The command ends with a status that the manual knows, and explains itself where it fails.
 *
 * session_open is behind --wrap in fuzz.mk: what answers is a socket pair.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/cli/cli.h"
#include "../../src/cli/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 5, TIMEOUT_MS = 2000 };

/* The other end of what the command line asks, with the answer written already. */
static int *answering_end(void) {
	static int fd = -1;
	return &fd;
}

bool __wrap_session_open(struct session *session, const char *path, int timeout_ms, struct error *err);
bool __wrap_session_open(struct session *session, const char *path, int timeout_ms, struct error *err) {
	(void)path;
	(void)timeout_ms;
	(void)err;
	session->fd = *answering_end();
	reader_init(&session->reader, session->fd, TIMEOUT_MS);
	return true;
}

static int open_with(const uint8_t *answer, size_t size, int *ours) {
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	while (size > 0) {
		ssize_t sent = send(fds[1], answer, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent <= 0)
			break; /* as long as a socket takes */
		answer += sent;
		size -= (size_t)sent;
	}
	shutdown(fds[1], SHUT_WR);
	*ours = fds[1];
	return fds[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const char *const asked[][WORDS] = {
	    {"sallyport", "status"},
	    {"sallyport", "--json", "status"},
	    {"sallyport", "list"},
	    {"sallyport", "--json", "list"},
	    {"sallyport", "rules"},
	    {"sallyport", "--json", "rules"},
	    {"sallyport", "stats"},
	    {"sallyport", "--json", "stats"},
	    {"sallyport", "kill", "all"},
	    {"sallyport", "reload"},
	    {"sallyport", "--json", "reload"},
	    {"sallyport", "explain", "in tcp to 22"},
	    {"sallyport", "--json", "explain", "in tcp to 22"},
	};
	const char *const *words;
	char *out_text = NULL, *err_text = NULL;
	size_t out_size = 0, err_size = 0;
	FILE *out = open_memstream(&out_text, &out_size), *err = open_memstream(&err_text, &err_size);
	int count = 0, status, ours;

	if (!out || !err)
		abort();
	if (size > 0) {
		words = asked[data[0] % (sizeof(asked) / sizeof(asked[0]))];
		while (count < WORDS && words[count])
			count++;
		*answering_end() = open_with(data + 1, size - 1, &ours);
		status = cli_main(count, words, out, err);
		fflush(err);
		assert(status == STATUS_DONE || status == STATUS_NO);
		close(ours);
	}
	fclose(out);
	fclose(err);
	free(out_text);
	free(err_text);
	return 0;
}
