/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whole runs of the command line: what is asked, what is shown, and the exit status,
 * which scripts rely on.
 */
#include "fake_daemon.h"

#include <pty.h>
#include <termios.h>

#define ROW(remote, port)                                                                                    \
	"{\"proto\":\"tcp\",\"local\":\"10.0.0.1\",\"local_port\":22,\"remote\":\"" remote                   \
	"\",\"remote_port\":" #port ",\"direction\":\"in\",\"state\":\"ESTABLISHED\",\"age\":12,\"idle\":0," \
	"\"rule\":{\"file\":\"/etc/sallyport/sallyport.rules\",\"line\":7},\"generation\":3}\n"

#define WITH_DAEMON(answer, outcome, request, ...)                                                           \
	do {                                                                                                 \
		struct fake_daemon fake;                                                                     \
		fake_start(&fake, answer);                                                                   \
		(outcome) = RUN("--socket", fake.path, __VA_ARGS__);                                         \
		fake_stop(&fake);                                                                            \
		snprintf(request, sizeof(request), "%s", fake.request);                                      \
	} while (0)

static void contains(const char *text, const char *part) {
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void wrong_usage(struct outcome outcome, const char *message) {
	assert_int_equal(outcome.status, 2);
	assert_string_equal(outcome.out, "");
	contains(outcome.err, message);
	outcome_free(&outcome);
}

static void wrong_usage_is_exit_2_and_says_why(void **state) {
	(void)state;
	wrong_usage(run_words((const char *[]){"sallyport"}, 1), "Usage: sallyport");
	wrong_usage(RUN("lsit"), "unknown command lsit: did you mean list?");
	wrong_usage(RUN("ban", "192.0.2.1"), "unknown command ban");
	wrong_usage(RUN("kill"), "kill: an argument is missing");
	wrong_usage(RUN("explain"), "explain: an argument is missing");
	wrong_usage(RUN("status", "now"), "status: too many arguments");
	wrong_usage(RUN("check", "a", "b"), "check: too many arguments");
	wrong_usage(RUN("list", "--rules", "f"), "list: does not take --rules");
	wrong_usage(RUN("rules", "--all"), "rules: does not take --all");
	wrong_usage(RUN("--jsn", "list"), "did you mean --json?");
	wrong_usage(RUN("list", "prot", "22"), "list: ");
	wrong_usage(RUN("list", "port", "70000"), "list: ");
	wrong_usage(RUN("kill", "state", "WHATEVER"), "kill: ");
	wrong_usage(RUN("explain", "in", "tcp", "form", "192.0.2.7"), "sallyport: probe: ");
}

static void help_and_version_go_to_stdout(void **state) {
	(void)state;
	struct outcome help = RUN("--help"), own = RUN("explain", "-h"), version = RUN("--version");
	assert_int_equal(help.status, 0);
	contains(help.out, "kill FILTER");
	assert_int_equal(own.status, 0);
	contains(own.out, "PROBE: DIRECTION PROTO");
	assert_int_equal(version.status, 0);
	assert_string_equal(version.out, "sallyport " SALLYPORT_VERSION "\n");
	outcome_free(&help);
	outcome_free(&own);
	outcome_free(&version);
}

static void without_a_daemon_one_line_says_where_why_and_what_to_do(void **state) {
	(void)state;
	struct outcome outcome = RUN("--socket", "/nowhere/at/all", "status");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "sallyport: no daemon answers on /nowhere/at/all: No such file or "
					 "directory; is the service running? systemctl status sallyport\n");
	outcome_free(&outcome);
}

static void a_socket_path_too_long_for_the_kernel_is_refused(void **state) {
	char path[200];
	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	struct outcome outcome = RUN("--socket", path, "status");
	assert_int_equal(outcome.status, 1);
	contains(outcome.err, "at most 107 bytes");
	outcome_free(&outcome);
}

static void list_sends_the_filter_and_sorts(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(ROW("10.0.0.10", 2) ROW("10.0.0.2", 1) "{\"done\":true,\"count\":2}\n", outcome, request,
		    "list", "tcp", "port", "22");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(request, "{\"command\":\"list\",\"select\":[\"tcp\",\"port\",\"22\"]}");
	assert_string_equal(outcome.out,
			    "PROTO LOCAL       REMOTE      DIR STATE       AGE IDLE RULE\n"
			    "tcp   10.0.0.1:22 10.0.0.2:1  in  ESTABLISHED 12s   0s sallyport.rules:7\n"
			    "tcp   10.0.0.1:22 10.0.0.10:2 in  ESTABLISHED 12s   0s sallyport.rules:7\n");
	assert_string_equal(outcome.err, "");
	outcome_free(&outcome);
}

static void an_empty_list_is_silent_where_nobody_looks(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"done\":true,\"count\":0}\n", outcome, request, "list");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "");
	outcome_free(&outcome);
}

static void json_rows_come_out_as_they_came_in(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(ROW("10.0.0.10", 2) ROW("10.0.0.2", 1) "{\"done\":true,\"count\":2}\n", outcome, request,
		    "list", "--json");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, ROW("10.0.0.10", 2) ROW("10.0.0.2", 1));
	outcome_free(&outcome);
}

static void kill_says_how_many_and_none_is_no(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"done\":true,\"count\":1}\n", outcome, request, "kill", "remote", "10.0.0.2");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "1 connection killed\n");
	assert_string_equal(request, "{\"command\":\"kill\",\"select\":[\"remote\",\"10.0.0.2\"]}");
	outcome_free(&outcome);
	WITH_DAEMON("{\"done\":true,\"count\":0}\n", outcome, request, "kill", "--json", "all");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "{\"count\":0}\n");
	outcome_free(&outcome);
}

static void a_refusal_is_shown_without_control_characters(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"error\":\"only root may\\u001b kill\"}\n", outcome, request, "kill", "all");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.err, "sallyport: only root may? kill\n");
	outcome_free(&outcome);
}

/* The rules in force may have services of their own. */
static void the_daemon_judges_the_service_names_of_a_probe(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"error\":\"probe: no such service\"}\n", outcome, request, "explain", "in", "tcp",
		    "to", "192.0.2.1:game");
	assert_string_equal(request, "{\"command\":\"explain\",\"probe\":\"in tcp to 192.0.2.1:game\"}");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.err, "sallyport: probe: no such service\n");
	outcome_free(&outcome);
}

static void a_daemon_gone_mad_is_a_clear_error(void **state) {
	static const struct {
		const char *answer, *message;
	} cases[] = {
	    {NULL, "closed the connection before the end"},
	    {"", "closed the connection before the end"},
	    {"{\"a\":1}\n", "closed the connection before the end"},
	    {"HTTP/1.1 400 Bad Request\r\n", "not a sallyport daemon"},
	    {"{\"done\":true", "in the middle of a line"},
	    {"{\"done\":tru}\n", "not a sallyport daemon"},
	    {"{\"done\":false}\n", "makes no sense"},
	    {"[1,2]\n", "not a sallyport daemon"},
	    {"\n", "not a sallyport daemon"},
	    {"{nonsense}\n", "not a sallyport daemon"},
	    {"{\"proto\":\"tcp\"}\n", "cannot read"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* A row without sense is data to `status`, so list must be asked. */
		bool other = cases[i].answer && !strcmp(cases[i].answer, "{\"a\":1}\n");
		struct outcome outcome;
		char request[4096];
		WITH_DAEMON(cases[i].answer, outcome, request, other ? "status" : "list");
		assert_int_equal(outcome.status, 1);
		contains(outcome.err, cases[i].message);
		outcome_free(&outcome);
	}
}

static void data_where_none_belongs_is_an_error(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"a\":1}\n{\"done\":true,\"count\":1}\n", outcome, request, "kill", "all");
	assert_int_equal(outcome.status, 1);
	contains(outcome.err, "data where none belongs");
	outcome_free(&outcome);
}

static void reload_tells_what_changed(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(
	    "{\"done\":true,\"rules\":12,\"cut\":3,\"generation\":4,\"warnings\":\"f:1:1: warning: w\\n\"}\n",
	    outcome, request, "reload");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "reloaded: 12 rules, 3 connections cut\n");
	assert_string_equal(outcome.err, "f:1:1: warning: w\n");
	assert_string_equal(request, "{\"command\":\"reload\"}");
	outcome_free(&outcome);
}

static void a_refused_reload_shows_the_diagnostics(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON("{\"error\":\"old rules stay\",\"diagnostics\":\"f:1:1: error: e\\n  x\\n  ^\"}\n",
		    outcome, request, "reload");
	assert_int_equal(outcome.status, 1);
	assert_string_equal(outcome.out, "");
	assert_string_equal(outcome.err, "f:1:1: error: e\n  x\n  ^\nsallyport: old rules stay\n");
	outcome_free(&outcome);
}

static void rules_are_shown_in_order_with_their_counters(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(
	    "{\"rule\":{\"file\":\"essentials\",\"line\":1},\"text\":\"allow in any on "
	    "lo\",\"essential\":true,"
	    "\"packets\":0,\"connections\":0,\"last_hit\":null}\n"
	    "{\"rule\":{\"file\":\"/etc/sallyport/sallyport.rules\",\"line\":7},\"text\":\"allow in ssh\","
	    "\"essential\":false,\"packets\":1234567,\"connections\":25,\"last_hit\":4}\n"
	    "{\"rule\":null,\"text\":\"default in drop\",\"packets\":3,\"connections\":3,\"last_hit\":90}\n"
	    "{\"done\":true}\n",
	    outcome, request, "rules");
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out, "# PACKETS CONNS LAST PLACE             RULE\n"
					 "1       0     0    - essential         allow in any on lo\n"
					 "2   1234k    25   4s sallyport.rules:7 allow in ssh\n"
					 "        3     3   1m default           default in drop\n");
	outcome_free(&outcome);
}

#define STATS                                                                                                \
	"{\"reasons\":{\"pass.rule\":1204,\"drop.window\":0},\"kernel\":{\"default_in\":5,\"from_the_"       \
	"future\":1},"                                                                                       \
	"\"table\":{\"inserted\":0},\"daemon\":{\"packets\":0}}\n{\"done\":true}\n"

static void stats_hides_zeros_unless_asked_for_all(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(STATS, outcome, request, "stats");
	assert_int_equal(outcome.status, 0);
	contains(outcome.out, "Passed\n        1,204  pass.rule ");
	contains(outcome.out, "5  default_in ");
	contains(outcome.out, "1  from_the_future\n");
	assert_null(strstr(outcome.out, "drop.window"));
	assert_null(strstr(outcome.out, "Connection table"));
	outcome_free(&outcome);
	WITH_DAEMON(STATS, outcome, request, "stats", "--all");
	contains(outcome.out, "0  drop.window ");
	contains(outcome.out, "Connection table\n            0  inserted ");
	outcome_free(&outcome);
}

static void status_shows_a_failed_reload(void **state) {
	struct outcome outcome;
	char request[4096];
	(void)state;
	WITH_DAEMON(
	    "{\"version\":\"0.1.0\",\"pid\":77,\"uptime\":7500,\"rules_file\":\"/etc/x.rules\",\"rules\":12,"
	    "\"essentials\":9,\"generation\":3,\"loaded\":1700000000,\"dispatch\":\"native\",\"queues\":"
	    "[{\"number\":5,\"packets\":1000,\"waiting\":0,\"dropped\":1,\"user_dropped\":2}],"
	    "\"connections\":{\"count\":3,\"half_open\":0,\"max\":1000000},\"defaults\":{\"in\":\"drop\","
	    "\"out\":\"allow\"},\"guard\":{\"packets\":8},\"last_reload\":{\"ok\":false,\"time\":1700000000,"
	    "\"message\":\"x.rules:3:7: error: expected a port\"}}\n{\"done\":true}\n",
	    outcome, request, "status");
	assert_int_equal(outcome.status, 0);
	contains(outcome.out, "sallyportd 0.1.0, pid 77, up 2h 5m\n");
	contains(outcome.out, "12 rules and 9 essentials, loaded 2023-11-1");
	contains(outcome.out, "Defaults: in drop, out allow\n");
	contains(outcome.out, "Last reload: refused, the rules before it stay, ");
	contains(outcome.out, "             x.rules:3:7: error: expected a port\n");
	contains(outcome.out, "Connections: 3 of at most 1,000,000, 0 half-open\n");
	contains(outcome.out, "Queue: 5 (1,000 packets, 0 waiting, 3 lost)\n");
	contains(outcome.out, "Guard: 8 packets");
	outcome_free(&outcome);
}

/* What a terminal shows of `list` with this answer. */
static void on_a_terminal(const char *answer, char *shown, size_t size) {
	struct fake_daemon fake;
	struct termios raw;
	int master, slave;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	FILE *terminal = fdopen(slave, "w");
	assert_non_null(terminal);
	fake_start(&fake, answer);
	const char *words[] = {"sallyport", "--socket", fake.path, "list"};
	assert_int_equal(cli_main(4, words, terminal, stderr), 0);
	fake_stop(&fake);
	ssize_t got = read(master, shown, size - 1);
	assert_true(got > 0);
	shown[got] = '\0';
	fclose(terminal);
	close(master);
}

static void a_terminal_gets_a_header_and_a_count_in_any_case(void **state) {
	char shown[1024];
	(void)state;
	setenv("NO_COLOR", "1", 1);
	on_a_terminal("{\"done\":true,\"count\":0}\n", shown, sizeof(shown));
	assert_string_equal(shown, "PROTO LOCAL REMOTE DIR STATE AGE IDLE RULE\n0 connections\n");
	on_a_terminal(ROW("10.0.0.2", 1) "{\"done\":true,\"count\":1}\n", shown, sizeof(shown));
	contains(shown, "sallyport.rules:7\n1 connection\n");
	unsetenv("NO_COLOR");
}

static void colours_are_for_terminals_that_want_them(void **state) {
	char shown[1024];
	(void)state;
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	on_a_terminal("{\"done\":true,\"count\":0}\n", shown, sizeof(shown));
	contains(shown, "\033[1mPROTO");
	setenv("TERM", "dumb", 1);
	on_a_terminal("{\"done\":true,\"count\":0}\n", shown, sizeof(shown));
	assert_null(strchr(shown, '\033'));
	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	on_a_terminal("{\"done\":true,\"count\":0}\n", shown, sizeof(shown));
	assert_null(strchr(shown, '\033'));
}

static void a_full_disk_is_not_success(void **state) {
	struct fake_daemon fake;
	FILE *full = fopen("/dev/full", "w");
	char *text = NULL;
	size_t size;
	FILE *err = open_memstream(&text, &size);
	(void)state;
	assert_true(full && err);
	fake_start(&fake, "{\"done\":true,\"count\":5}\n");
	const char *words[] = {"sallyport", "--socket", fake.path, "kill", "all"};
	assert_int_equal(cli_main(5, words, full, err), 1);
	fake_stop(&fake);
	fclose(full);
	fclose(err);
	contains(text, "No space left on device");
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_usage_is_exit_2_and_says_why),
	    cmocka_unit_test(help_and_version_go_to_stdout),
	    cmocka_unit_test(without_a_daemon_one_line_says_where_why_and_what_to_do),
	    cmocka_unit_test(a_socket_path_too_long_for_the_kernel_is_refused),
	    cmocka_unit_test(list_sends_the_filter_and_sorts),
	    cmocka_unit_test(an_empty_list_is_silent_where_nobody_looks),
	    cmocka_unit_test(json_rows_come_out_as_they_came_in),
	    cmocka_unit_test(kill_says_how_many_and_none_is_no),
	    cmocka_unit_test(a_refusal_is_shown_without_control_characters),
	    cmocka_unit_test(the_daemon_judges_the_service_names_of_a_probe),
	    cmocka_unit_test(a_daemon_gone_mad_is_a_clear_error),
	    cmocka_unit_test(data_where_none_belongs_is_an_error),
	    cmocka_unit_test(reload_tells_what_changed),
	    cmocka_unit_test(a_refused_reload_shows_the_diagnostics),
	    cmocka_unit_test(rules_are_shown_in_order_with_their_counters),
	    cmocka_unit_test(stats_hides_zeros_unless_asked_for_all),
	    cmocka_unit_test(status_shows_a_failed_reload),
	    cmocka_unit_test(a_terminal_gets_a_header_and_a_count_in_any_case),
	    cmocka_unit_test(colours_are_for_terminals_that_want_them),
	    cmocka_unit_test(a_full_disk_is_not_success),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
