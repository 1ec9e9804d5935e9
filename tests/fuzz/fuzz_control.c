/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes from a client of the control socket. The first byte says who it is, the second in
 * what portions it writes. However that is: every line of the answer is a JSON object, a
 * request has one closing line at most, the client is gone in the end, and who may not change
 * anything has changed nothing.
 *
 * The kernel is left out: the functions behind --wrap in fuzz.mk are those at the bottom.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory_world.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/control.h"
#include "sallyport/daemon/copier.h"
#include "sallyport/daemon/loop.h"

enum { TURNS = 100000, ANSWER_ROOM = 1 << 20, CONNECTIONS = 3 };

struct stage {
	char directory[32], path[64], rules[64];
	struct options options;
	struct daemon daemon;
	sd_event *event;
	char *answer; /* ANSWER_ROOM */
	unsigned changes;
};

static const char rules[] = "allow in tcp 22\n"
			    "allow in log udp 1-65535\n"
			    "service game = tcp 7000\n"
			    "reject out tcp 25\n";

static void *must(void *pointer) {
	if (!pointer)
		abort();
	return pointer;
}

static void write_rules(struct stage *stage) {
	FILE *file;

	snprintf(stage->rules, sizeof(stage->rules), "%s/test.rules", stage->directory);
	file = must(fopen(stage->rules, "w"));
	fputs(rules, file);
	fclose(file);
}

static struct stage *current;

static void leave(void) {
	control_close(current->daemon.control);
	unlink(current->rules);
	rmdir(current->directory);
}

static struct stage *stage(void) {
	static struct stage stage;
	struct diagnostics diagnostics = {0};
	struct error err;

	if (current)
		return current;
	current = &stage;
	strcpy(stage.directory, "/tmp/sallyport-fuzz-XXXXXX");
	must(mkdtemp(stage.directory));
	snprintf(stage.path, sizeof(stage.path), "%s/control", stage.directory);
	write_rules(&stage);
	stage.options = (struct options){.rules_file = stage.rules, .socket_path = stage.path};
	stage.daemon.options = &stage.options;
	stage.daemon.installed = true;
	policy_slot_init(&stage.daemon.workplace.policy,
			 must(policy_new(must(load_rules(rules, &diagnostics)), 1)));
	diagnostics_free(&diagnostics);
	stage.daemon.services = must(services_load());
	stage.answer = must(malloc(ANSWER_ROOM));
	if (sd_event_new(&stage.event) < 0)
		abort();
	stage.daemon.control = must(control_open(&stage.daemon, stage.event, &err));
	atexit(leave);
	return &stage;
}

static void fill_table(struct stage *stage) {
	static const struct hash_secret secret = {{1, 2}};
	struct table *table = must(table_new(64, &secret));

	for (uint16_t i = 0; i < CONNECTIONS; i++) {
		struct key key = {
		    .local_port = 53, .remote_port = (uint16_t)(1024 + i), .protocol = PROTOCOL_UDP};
		struct stripe *stripe;
		struct connection *connection;

		addr_parse(i ? "192.0.2.1" : "2001:db8::1", &key.local);
		addr_parse(i ? "198.51.100.1" : "2001:db8::2", &key.remote);
		stripe = table_lock(table, &key);
		connection = must(connection_insert(stripe, &key, UDP_NEW, clock_seconds()));
		connection->rule = NO_RULE;
		connection->direction = DIRECTION_IN;
		table_unlock(stripe);
	}
	stage->daemon.workplace.filter.table = table;
}

/* ---- the client's side ---- */

struct conversation {
	int fd;
	size_t length; /* of the answer */
	bool ended;
};

static void read_answer(struct stage *stage, struct conversation *conversation) {
	while (!conversation->ended) {
		ssize_t got = recv(conversation->fd, stage->answer + conversation->length,
				   ANSWER_ROOM - conversation->length, MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN)
			return;
		conversation->ended = got <= 0;
		conversation->length += got > 0 ? (size_t)got : 0;
		assert(conversation->length < ANSWER_ROOM);
	}
}

static void run_turn(struct stage *stage, struct conversation *conversation) {
	if (sd_event_run(stage->event, 0) < 0)
		abort();
	read_answer(stage, conversation);
}

/* False: it was cut off. */
static bool write_portion(struct stage *stage, struct conversation *conversation, const uint8_t *bytes,
			  size_t length) {
	while (length > 0 && !conversation->ended) {
		ssize_t sent = send(conversation->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			return false;
		bytes += sent > 0 ? sent : 0;
		length -= sent > 0 ? (size_t)sent : 0;
		run_turn(stage, conversation);
	}
	return !conversation->ended;
}

static void converse(struct stage *stage, const struct peer *peer, const uint8_t *data, size_t size,
		     size_t portion, struct conversation *conversation) {
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	*conversation = (struct conversation){.fd = fds[0]};
	must(client_new(&stage->daemon, stage->event, fds[1], peer));
	for (size_t at = 0; at < size; at += portion) {
		size_t length = portion < size - at ? portion : size - at;

		if (!write_portion(stage, conversation, data + at, length))
			break;
	}
	shutdown(conversation->fd, SHUT_WR);
	for (unsigned turn = 0; turn < TURNS && !conversation->ended; turn++)
		run_turn(stage, conversation);
	assert(conversation->ended);
	close(conversation->fd);
}

/* ---- what must hold ---- */

static bool closes(const char *line) {
	return strncmp(line, "{\"done\"", 7) == 0 || strncmp(line, "{\"error\"", 8) == 0;
}

/* Returns how many answers came to their end. */
static size_t check_answer(const char *answer, size_t length) {
	size_t closings = 0;

	for (const char *line = answer, *end; line < answer + length; line = end + 1) {
		json_t *object;

		end = must(memchr(line, '\n', (size_t)(answer + length - line)));
		object = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
		assert(json_is_object(object));
		json_decref(object);
		closings += closes(line);
	}
	return closings;
}

static size_t count_newlines(const uint8_t *data, size_t size) {
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] == '\n';
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct stage *here = stage();
	struct conversation conversation;
	struct peer peer = {.uid = 1000};
	size_t portion, closings;

	if (size < 2)
		return 0;
	peer.right = (enum right)(data[0] % (RIGHT_CHANGE + 1));
	portion = data[1] ? data[1] : size;
	data += 2;
	size -= 2;
	fill_table(here);
	here->changes = 0;
	converse(here, &peer, data, size, portion, &conversation);
	closings = check_answer(here->answer, conversation.length);
	assert(closings <= count_newlines(data, size) + 1);
	if (peer.right < RIGHT_CHANGE)
		assert(here->changes == 0 &&
		       table_usage(here->daemon.workplace.filter.table).count == CONNECTIONS);
	if (peer.right < RIGHT_READ)
		assert(conversation.length == 0 || closes(here->answer));
	table_free(here->daemon.workplace.filter.table);
	return 0;
}

/* ---- in place of the kernel, of other threads and of the log ---- */

int __wrap_install_counters(struct install *install, struct kernel_counter *counters, size_t max,
			    struct error *err);
int __wrap_install_counters(struct install *install, struct kernel_counter *counters, size_t max,
			    struct error *err) {
	(void)install;
	(void)err;
	assert(max >= 2);
	counters[0] = (struct kernel_counter){.name = "rule_0", .packets = 7, .bytes = 700};
	counters[1] = (struct kernel_counter){.name = "default_in", .packets = UINT64_MAX};
	return 2;
}

bool __wrap_install_ruleset(struct install *install, const struct ruleset *ruleset,
			    const struct revocation *revoked, struct error *err);
bool __wrap_install_ruleset(struct install *install, const struct ruleset *ruleset,
			    const struct revocation *revoked, struct error *err) {
	(void)install;
	(void)revoked;
	(void)err;
	assert(ruleset->count > 0);
	current->changes++;
	return true;
}

bool __wrap_install_revoke(struct install *install, const struct revocation *revoked, struct error *err);
bool __wrap_install_revoke(struct install *install, const struct revocation *revoked, struct error *err) {
	(void)install;
	(void)err;
	assert(revoked->count <= CONNECTIONS);
	current->changes++;
	return true;
}

bool __wrap_install_closes(const struct install *install);
bool __wrap_install_closes(const struct install *install) {
	(void)install;
	return true;
}

bool __wrap_install_forget_closed(struct install *install, struct error *err);
bool __wrap_install_forget_closed(struct install *install, struct error *err) {
	(void)install;
	error_set(err, "it cannot");
	current->changes++;
	return false;
}

bool __wrap_install_look_unseen_first(struct install *install, bool first, struct error *err);
bool __wrap_install_look_unseen_first(struct install *install, bool first, struct error *err) {
	(void)install;
	(void)first;
	error_set(err, "it cannot");
	return false;
}

enum dispatch __wrap_install_dispatch(const struct install *install);
enum dispatch __wrap_install_dispatch(const struct install *install) {
	(void)install;
	return DISPATCH_NATIVE;
}

bool __wrap_install_forwards(const struct install *install);
bool __wrap_install_forwards(const struct install *install) {
	(void)install;
	return true;
}

uint64_t __wrap_loop_guard_packets(const struct loop *loop);
uint64_t __wrap_loop_guard_packets(const struct loop *loop) {
	(void)loop;
	return 1;
}

struct copier_figures __wrap_copier_figures(const struct copier *copier);
struct copier_figures __wrap_copier_figures(const struct copier *copier) {
	(void)copier;
	return (struct copier_figures){.copies = 3};
}

uint64_t __wrap_packet_log_suppressed(const struct packet_log *log);
uint64_t __wrap_packet_log_suppressed(const struct packet_log *log) {
	(void)log;
	return 0;
}

void __wrap_log_write(const struct log *log, enum log_kind kind, const char *const *fields,
		      const char *format, ...);
void __wrap_log_write(const struct log *log, enum log_kind kind, const char *const *fields,
		      const char *format, ...) {
	(void)log;
	(void)fields;
	assert(kind < LOG_KINDS && format);
}
