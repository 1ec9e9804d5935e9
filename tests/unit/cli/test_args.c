/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Options anywhere on the line, values in both forms, slips of the finger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../../src/cli/args.h"
#include "../../../src/cli/suggest.h"
#include "sallyport/host/world.h"

#define PARSE(args, err, ...)                                                                                \
	args_parse((int)(sizeof((const char *[]){"sallyport", __VA_ARGS__}) / sizeof(char *)),               \
		   (const char *[]){"sallyport", __VA_ARGS__}, args, err)

static void options_may_stand_behind_the_command(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "explain", "--rules", "f.rules", "--json", "in", "tcp", "to", "22"));
	assert_string_equal(args.command, "explain");
	assert_string_equal(args.rules, "f.rules");
	assert_int_equal(args.given, OPTION_RULES | OPTION_JSON);
	assert_int_equal(args.count, 4);
	assert_string_equal(args.words[0], "in");
	assert_string_equal(args.words[3], "22");
	args_free(&args);
}

static void options_may_stand_before_the_command_and_at_the_end(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "--socket=/a/b", "list", "tcp", "--json"));
	assert_string_equal(args.socket, "/a/b");
	assert_string_equal(args.command, "list");
	assert_int_equal(args.count, 1);
	assert_int_equal(args.given, OPTION_SOCKET | OPTION_JSON);
	args_free(&args);
}

static void without_options_the_default_socket_is_asked(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "status"));
	assert_string_equal(args.socket, DEFAULT_SOCKET);
	assert_null(args.rules);
	assert_int_equal(args.given, 0);
	args_free(&args);
}

static void short_forms_of_help_and_version(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "-h", "-V"));
	assert_int_equal(args.given, OPTION_HELP | OPTION_VERSION);
	assert_null(args.command);
	args_free(&args);
}

static void double_dash_ends_the_options(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "check", "--", "--json"));
	assert_int_equal(args.given, 0);
	assert_int_equal(args.count, 1);
	assert_string_equal(args.words[0], "--json");
	args_free(&args);
}

static void a_single_dash_is_a_word(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(PARSE(&args, &err, "check", "-"));
	assert_int_equal(args.count, 1);
	args_free(&args);
}

static void bad_options_are_refused_with_a_hint(void **state) {
	struct arguments args = {.socket = "untouched"};
	struct error err;
	(void)state;
	assert_false(PARSE(&args, &err, "list", "--jsno"));
	assert_non_null(strstr(err.text, "did you mean --json?"));
	assert_false(PARSE(&args, &err, "list", "--frobnicate"));
	assert_non_null(strstr(err.text, "unknown option --frobnicate"));
	assert_false(PARSE(&args, &err, "list", "--socket"));
	assert_non_null(strstr(err.text, "--socket needs a value"));
	assert_false(PARSE(&args, &err, "list", "--socket="));
	assert_non_null(strstr(err.text, "--socket needs a value"));
	assert_false(PARSE(&args, &err, "list", "--json=yes"));
	assert_non_null(strstr(err.text, "--json takes no value"));
	assert_false(PARSE(&args, &err, "list", "-x"));
	assert_string_equal(args.socket, "untouched");
}

static void no_words_at_all(void **state) {
	struct arguments args;
	struct error err;
	(void)state;
	assert_true(args_parse(0, (const char *[]){NULL}, &args, &err));
	assert_null(args.command);
	args_free(&args);
}

static void near_names_are_suggested_and_far_ones_not(void **state) {
	static const char *const names[] = {"status", "list", "kill", "rules", "stats", "reload"};
	(void)state;
	assert_string_equal(suggest("lsit", names, 6), "list");
	assert_string_equal(suggest("relaod", names, 6), "reload");
	assert_string_equal(suggest("statsu", names, 6), "status");
	assert_string_equal(suggest("killl", names, 6), "kill");
	assert_null(suggest("ban", names, 6));
	assert_null(suggest("", names, 6));
	assert_null(suggest("xxxx", names, 6));
	assert_null(suggest("a-word-far-longer-than-any-command-could-ever-be", names, 6));
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_may_stand_behind_the_command),
	    cmocka_unit_test(options_may_stand_before_the_command_and_at_the_end),
	    cmocka_unit_test(without_options_the_default_socket_is_asked),
	    cmocka_unit_test(short_forms_of_help_and_version),
	    cmocka_unit_test(double_dash_ends_the_options),
	    cmocka_unit_test(a_single_dash_is_a_word),
	    cmocka_unit_test(bad_options_are_refused_with_a_hint),
	    cmocka_unit_test(no_words_at_all),
	    cmocka_unit_test(near_names_are_suggested_and_far_ones_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
