/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table in a file: what comes back, when, and what a full disk, a crash or damage leave.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../packets.h"
#include "rules_of.h"
#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/restore.h"
#include "sallyport/daemon/saved.h"

enum { NOW = 50000, MANY = 3000, NOBODY = 65534 };

static const struct hash_secret secret = {{1, 2}};

/* ---- a directory and tables ---- */

struct scratch {
	char directory[64];
	char file[96], new_file[96];
};

static int set_up(void **state) {
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	if (!scratch)
		return -1;
	strcpy(scratch->directory, "/tmp/sallyport-test-saved-XXXXXX");
	if (!mkdtemp(scratch->directory))
		return -1;
	snprintf(scratch->file, sizeof(scratch->file), "%s/connections", scratch->directory);
	snprintf(scratch->new_file, sizeof(scratch->new_file), "%s/connections.new", scratch->directory);
	*state = scratch;
	return 0;
}

static int tear_down(void **state) {
	struct scratch *scratch = *state;

	chmod(scratch->directory, 0700);
	unlink(scratch->file);
	unlink(scratch->new_file);
	rmdir(scratch->directory);
	free(scratch);
	return 0;
}

static struct key key_number(uint32_t number, uint8_t protocol) {
	struct key key = {.local = address("192.0.2.1"),
			  .remote = address(number % 2 ? "2001:db8::7" : "198.51.100.7"),
			  .local_port = (uint16_t)number,
			  .remote_port = (uint16_t)(number >> 16),
			  .protocol = protocol};

	if (number % 2)
		key.local = address("2001:db8::1");
	return key;
}

static void insert(struct table *table, const struct keyed_connection *keyed) {
	const struct connection *wanted = &keyed->connection;
	struct stripe *stripe = table_lock(table, &keyed->key);
	struct connection *connection =
	    connection_insert(stripe, &keyed->key, wanted->state, wanted->renewed);

	assert_non_null(connection);
	connection->opened = wanted->opened;
	connection->direction = wanted->direction;
	connection->flags = wanted->flags;
	connection->interface = wanted->interface;
	table_unlock(stripe);
}

static struct connection find(struct table *table, const struct key *key) {
	struct stripe *stripe = table_lock(table, key);
	struct connection *connection = connection_find(stripe, key);
	struct connection copy = {.opened = UINT32_MAX};

	if (connection)
		copy = *connection;
	table_unlock(stripe);
	return copy;
}

static bool contains(struct table *table, const struct key *key) {
	return find(table, key).opened != UINT32_MAX;
}

static struct table *table_of(uint32_t count) {
	struct table *table = table_new(count < 1000 ? 1000 : 2 * count, &secret);

	assert_non_null(table);
	for (uint32_t i = 0; i < count; i++) {
		struct keyed_connection keyed = {
		    .key = key_number(i, PROTOCOL_UDP),
		    .connection =
			{
			    .state = UDP_REPLIED,
			    .direction = i % 3 == 0,
			    .opened = NOW - 100 - i % 100,
			    .renewed = NOW - i % 100,
			    .interface = i % 5,
			    .flags = i % 7 ? 0 : CONNECTION_LEARNED,
			},
		};

		insert(table, &keyed);
	}
	return table;
}

/* ---- what was seen ---- */

struct seen {
	size_t count;
	uint64_t ages, idles;
};

static void see(const struct saved_connection *connection, void *context) {
	struct seen *seen = context;

	seen->count++;
	seen->ages += connection->age;
	seen->idles += connection->idle;
}

static void see_none(const struct saved_connection *connection, void *context) {
	(void)connection;
	(void)context;
	fail_msg("a connection of a file that must not be used");
}

static bool exists(const char *path) {
	return access(path, F_OK) == 0;
}

static void save(const struct scratch *scratch, uint32_t count) {
	struct table *table = table_of(count);
	struct error err;

	if (!saved_write(table, scratch->directory, NOW, &err))
		fail_msg("%s", err.text);
	table_free(table);
}

static size_t count_saved(const struct scratch *scratch) {
	struct seen seen = {0};
	struct error err = {""};

	if (saved_read(scratch->directory, NOW, see, &seen, &err) != SAVED_READ)
		fail_msg("%s", err.text);
	return seen.count;
}

static void assert_ignored(const struct scratch *scratch, enum saved_outcome outcome, const char *why) {
	struct error err = {""};

	assert_int_equal(saved_read(scratch->directory, NOW, see_none, NULL, &err), outcome);
	if (!strstr(err.text, scratch->file) || !strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s %s\"", err.text, scratch->file, why);
	assert_true(exists(scratch->file));
}

/* ---- the file ---- */

static void what_was_saved_is_seen_with_its_time_gone_on(void **state) {
	const struct scratch *scratch = *state;
	uint64_t ages = 0, idles = 0;
	struct seen seen = {0};
	struct error err;

	save(scratch, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		ages += 100 + i % 100 + 30;
		idles += i % 100 + 30;
	}
	assert_int_equal(saved_read(scratch->directory, NOW + 30, see, &seen, &err), SAVED_READ);
	assert_int_equal(seen.count, MANY);
	assert_int_equal(seen.ages, ages);
	assert_int_equal(seen.idles, idles);
}

static void the_file_is_the_owners_alone_and_read_once(void **state) {
	const struct scratch *scratch = *state;
	struct stat status;

	save(scratch, 3);
	assert_int_equal(stat(scratch->file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_false(exists(scratch->new_file));
	assert_int_equal(count_saved(scratch), 3);
	assert_false(exists(scratch->file));
	assert_int_equal(saved_read(scratch->directory, NOW, see_none, NULL, NULL), SAVED_MISSING);
}

static void nothing_saved_is_no_fault(void **state) {
	const struct scratch *scratch = *state;

	assert_int_equal(saved_read(scratch->directory, NOW, see_none, NULL, NULL), SAVED_MISSING);
	assert_int_equal(saved_read("/nonexistent/sallyport", NOW, see_none, NULL, NULL), SAVED_MISSING);
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static size_t read_bytes(const char *path, uint8_t *bytes, size_t room) {
	FILE *file = fopen(path, "rb");
	size_t size;

	assert_non_null(file);
	size = fread(bytes, 1, room, file);
	fclose(file);
	return size;
}

static void a_damaged_file_is_not_used_at_all(void **state) {
	static uint8_t bytes[MANY * SNAPSHOT_PIECE + 100];
	const struct scratch *scratch = *state;
	size_t size;

	save(scratch, MANY);
	size = read_bytes(scratch->file, bytes, sizeof(bytes));
	bytes[size - 100] ^= 4;
	write_bytes(scratch->file, bytes, size);
	assert_ignored(scratch, SAVED_BAD, "is damaged");
	bytes[size - 100] ^= 4;
	write_bytes(scratch->file, bytes, size - 1);
	assert_ignored(scratch, SAVED_BAD, "is damaged: it ends too early");
	write_bytes(scratch->file, bytes, 0);
	assert_ignored(scratch, SAVED_BAD, "is damaged: it ends too early");
	bytes[8]++;
	write_bytes(scratch->file, bytes, size);
	assert_ignored(scratch, SAVED_BAD, "is of another version");
	bytes[8]--;
	write_bytes(scratch->file, bytes, size);
	assert_int_equal(count_saved(scratch), MANY);
}

static void what_is_no_file_is_not_read(void **state) {
	const struct scratch *scratch = *state;

	assert_int_equal(mkfifo(scratch->file, 0600), 0);
	assert_ignored(scratch, SAVED_BAD, "cannot be read");
	assert_int_equal(unlink(scratch->file), 0);
	assert_int_equal(symlink("/etc/passwd", scratch->file), 0);
	assert_ignored(scratch, SAVED_BAD, "cannot be opened");
}

static void write_from(const struct scratch *scratch, const struct snapshot_origin *origin) {
	uint8_t bytes[2 * SNAPSHOT_PIECE];
	struct snapshot_writer writer;
	size_t size = snapshot_begin(&writer, origin, bytes);

	size += snapshot_end(&writer, bytes + size);
	write_bytes(scratch->file, bytes, size);
}

static void another_boot_or_network_makes_it_stale(void **state) {
	const struct scratch *scratch = *state;
	struct snapshot_origin origin;
	uint8_t bytes[256];
	struct snapshot_reader reader;

	save(scratch, 0);
	snapshot_reader_init(&reader, NULL, NULL);
	snapshot_read(&reader, bytes, read_bytes(scratch->file, bytes, sizeof(bytes)));
	origin = *snapshot_origin(&reader);
	write_from(scratch, &origin);
	assert_int_equal(count_saved(scratch), 0);

	origin.boot_id[15] ^= 1;
	write_from(scratch, &origin);
	assert_ignored(scratch, SAVED_STALE, "was saved before the last boot");
	origin.boot_id[15] ^= 1;
	origin.network++;
	write_from(scratch, &origin);
	assert_ignored(scratch, SAVED_STALE, "was saved in another network namespace");
	origin.network--;
	origin.saved = NOW + 1;
	write_from(scratch, &origin);
	assert_ignored(scratch, SAVED_BAD, "is damaged: it was saved later than now");
}

/* ---- writing goes wrong ---- */

static bool write_within(const struct scratch *scratch, rlim_t limit, uint32_t count, struct error *err) {
	struct table *table = table_of(count);
	struct rlimit before, small;
	bool written;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = limit, .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	written = saved_write(table, scratch->directory, NOW, err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	table_free(table);
	return written;
}

static void without_room_the_old_file_stays(void **state) {
	const struct scratch *scratch = *state;
	struct error err;

	save(scratch, 5);
	for (rlim_t limit = 0; limit < 100000; limit = limit * 3 + 1) {
		assert_false(write_within(scratch, limit, MANY, &err));
		assert_non_null(strstr(err.text, scratch->new_file));
		assert_non_null(strstr(err.text, strerror(EFBIG)));
		assert_false(exists(scratch->new_file));
	}
	assert_int_equal(count_saved(scratch), 5);
}

static void write_again_and_again(const struct scratch *scratch) {
	struct table *few = table_of(MANY), *many = table_of(3 * MANY);
	struct error err;

	for (;;) {
		saved_write(few, scratch->directory, NOW, &err);
		saved_write(many, scratch->directory, NOW, &err);
	}
}

static void a_kill_while_writing_leaves_a_whole_file(void **state) {
	const struct scratch *scratch = *state;

	save(scratch, MANY);
	for (int round = 0; round < 25; round++) {
		pid_t child = fork();
		size_t count;

		assert_return_code(child, errno);
		if (child == 0) {
			write_again_and_again(scratch);
			_exit(1);
		}
		usleep(40000 + (useconds_t)round * 1777); /* anywhere in its work */
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		count = count_saved(scratch);
		assert_true(count == MANY || count == 3 * MANY);
		save(scratch, MANY); /* whatever the other has left beside it */
	}
}

static void a_missing_directory_is_said(void **state) {
	const struct scratch *scratch = *state;
	struct table *table = table_of(1);
	struct error err;

	assert_false(saved_write(table, "/nonexistent/sallyport", NOW, &err));
	assert_string_equal(err.text, "/nonexistent/sallyport: No such file or directory");
	assert_false(saved_write(table, scratch->file, NOW, &err));
	table_free(table);
}

/* Root may write anywhere, so it becomes somebody else for a while. */
static void a_read_only_directory_is_said(void **state) {
	const struct scratch *scratch = *state;
	bool root = geteuid() == 0;
	struct table *table = table_of(1);
	struct error err;

	save(scratch, 7);
	assert_int_equal(root ? chown(scratch->file, NOBODY, (gid_t)-1) : 0, 0);
	assert_int_equal(chmod(scratch->directory, 0555), 0);
	assert_int_equal(root ? seteuid(NOBODY) : 0, 0);
	assert_false(saved_write(table, scratch->directory, NOW, &err));
	assert_non_null(strstr(err.text, strerror(EACCES)));
	assert_ignored(scratch, SAVED_BAD, "cannot be removed: Permission denied");
	assert_int_equal(root ? seteuid(0) : 0, 0);
	assert_int_equal(chmod(scratch->directory, 0700), 0);
	assert_int_equal(count_saved(scratch), 7);
	table_free(table);
}

/* ---- into the table of a daemon ---- */

struct restart {
	struct options options;
	struct daemon daemon;
};

static void start(struct restart *restart, const struct scratch *scratch, const char *rules) {
	*restart = (struct restart){.options = {.state_directory = scratch->directory}};
	restart->daemon.options = &restart->options;
	restart->daemon.workplace.filter.table = table_new(1000, &secret);
	policy_slot_init(&restart->daemon.workplace.policy, version_of(rules, 1));
}

static void stop(struct restart *restart) {
	table_free(restart->daemon.workplace.filter.table);
	policy_slot_clear(&restart->daemon.workplace.policy);
}

static struct keyed_connection flow(uint8_t protocol, uint16_t port, uint8_t state, uint32_t idle) {
	uint32_t now = clock_seconds();

	return (struct keyed_connection){
	    .key = {.local = address("192.0.2.1"),
		    .remote = address("198.51.100.7"),
		    .local_port = port,
		    .remote_port = 5000,
		    .protocol = protocol},
	    .connection = {.state = state, .opened = now - idle, .renewed = now - idle},
	};
}

static void a_restart_keeps_what_the_rules_allow(void **state) {
	static const char rules[] = "default in drop\nallow in tcp 22\nallow in udp 53 on eth0\n";
	const struct scratch *scratch = *state;
	struct keyed_connection ssh = flow(PROTOCOL_TCP, 22, TCP_ESTABLISHED, 1);
	struct keyed_connection web = flow(PROTOCOL_TCP, 80, TCP_ESTABLISHED, 1);
	struct keyed_connection dns = flow(PROTOCOL_UDP, 53, UDP_REPLIED, 1); /* its interface is unknown */
	struct keyed_connection learned = flow(PROTOCOL_UDP, 80, UDP_REPLIED, 1);
	struct keyed_connection syn = flow(PROTOCOL_TCP, 22, TCP_SYN_SENT, 1); /* its repeat opens it */
	struct connection back;
	struct restart restart;
	struct table *table;

	learned.connection.flags = CONNECTION_LEARNED;
	learned.connection.direction = DIRECTION_OUT;
	ssh.connection.opened -= 5;
	syn.key.remote_port = 5001;
	start(&restart, scratch, rules);
	table = restart.daemon.workplace.filter.table;
	insert(table, &ssh);
	insert(table, &web);
	insert(table, &dns);
	insert(table, &syn);
	insert(table, &learned);
	daemon_save_connections(&restart.daemon);
	stop(&restart);

	start(&restart, scratch, rules);
	table = restart.daemon.workplace.filter.table;
	daemon_restore_connections(&restart.daemon);
	assert_int_equal(table_usage(table).count, 2);
	back = find(table, &ssh.key);
	assert_int_equal(back.state, TCP_ESTABLISHED);
	assert_int_equal(back.opened, ssh.connection.opened);
	assert_int_equal(back.renewed, ssh.connection.renewed);
	assert_int_equal(back.generation, 1);
	assert_int_equal(policy_place(restart.daemon.workplace.policy.current, &back)->line, 2);
	assert_int_not_equal(back.epoch, atomic_load(&restart.daemon.workplace.filter.epoch));
	back = find(table, &learned.key);
	assert_int_equal(back.flags, CONNECTION_LEARNED);
	assert_int_equal(back.direction, DIRECTION_OUT);
	assert_int_equal(back.rule, NO_RULE);
	stop(&restart);
}

/* Its socket is found at the start, and the rules allow it: only the saved table knows better. */
static void what_was_cut_stays_cut_and_spoils_nothing(void **state) {
	static const char rules[] = "default in drop\nallow in tcp 22\n";
	const struct scratch *scratch = *state;
	struct keyed_connection killed = flow(PROTOCOL_TCP, 22, STATE_CUT, 1);
	struct keyed_connection open = flow(PROTOCOL_TCP, 22, TCP_ESTABLISHED, 1);
	struct restart restart;
	struct table *table;

	open.key.remote_port = 5001;
	start(&restart, scratch, rules);
	insert(restart.daemon.workplace.filter.table, &killed);
	insert(restart.daemon.workplace.filter.table, &open);
	daemon_save_connections(&restart.daemon);
	stop(&restart);

	start(&restart, scratch, rules);
	table = restart.daemon.workplace.filter.table;
	daemon_restore_connections(&restart.daemon);
	assert_int_equal(find(table, &killed.key).state, STATE_CUT);
	assert_int_equal(find(table, &open.key).state, TCP_ESTABLISHED);
	stop(&restart);
}

static void what_has_run_out_does_not_come_back(void **state) {
	static const char rules[] = "default in allow\ntimeout udp-stream 10\ntimeout established 1m\n";
	const struct scratch *scratch = *state;
	struct keyed_connection young = flow(PROTOCOL_UDP, 1, UDP_REPLIED, 3);
	struct keyed_connection old = flow(PROTOCOL_UDP, 2, UDP_REPLIED, 12);
	struct keyed_connection quiet = flow(PROTOCOL_TCP, 3, TCP_ESTABLISHED, 70);
	struct restart restart;
	struct table *table;

	start(&restart, scratch, rules);
	table = restart.daemon.workplace.filter.table;
	insert(table, &young);
	insert(table, &old);
	insert(table, &quiet);
	daemon_save_connections(&restart.daemon);
	stop(&restart);

	start(&restart, scratch, rules);
	table = restart.daemon.workplace.filter.table;
	daemon_restore_connections(&restart.daemon);
	assert_true(contains(table, &young.key));
	assert_false(contains(table, &old.key));
	assert_true(contains(table, &quiet.key)); /* expiry asks the host's socket about it */
	stop(&restart);
}

static void without_a_directory_nothing_happens(void **state) {
	const struct scratch *scratch = *state;
	struct restart restart;
	struct keyed_connection ssh = flow(PROTOCOL_TCP, 22, TCP_ESTABLISHED, 1);

	start(&restart, scratch, "allow in tcp 22\n");
	restart.options.state_directory = NULL;
	insert(restart.daemon.workplace.filter.table, &ssh);
	daemon_save_connections(&restart.daemon);
	assert_false(exists(scratch->file));
	daemon_restore_connections(&restart.daemon);
	assert_int_equal(table_usage(restart.daemon.workplace.filter.table).count, 1);
	stop(&restart);
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
	const struct CMUnitTest tests[] = {
	    test(what_was_saved_is_seen_with_its_time_gone_on),
	    test(the_file_is_the_owners_alone_and_read_once),
	    test(nothing_saved_is_no_fault),
	    test(a_damaged_file_is_not_used_at_all),
	    test(what_is_no_file_is_not_read),
	    test(another_boot_or_network_makes_it_stale),
	    test(without_room_the_old_file_stays),
	    test(a_kill_while_writing_leaves_a_whole_file),
	    test(a_missing_directory_is_said),
	    test(a_read_only_directory_is_said),
	    test(a_restart_keeps_what_the_rules_allow),
	    test(what_was_cut_stays_cut_and_spoils_nothing),
	    test(what_has_run_out_does_not_come_back),
	    test(without_a_directory_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
