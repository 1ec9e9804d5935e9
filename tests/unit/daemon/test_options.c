/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line: defaults, both spellings, and what is refused.
 */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/daemon/options.h"
#include "sallyport/host/world.h"

enum { MAX_WORDS = 12 };

static enum options_result parse(const char *line, struct options *options) {
	static char text[256];
	char *words[MAX_WORDS] = {(char *)(uintptr_t) "sallyportd"};
	int count = 1;

	strcpy(text, line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	optind = 0; /* getopt anew */
	return options_parse(count, words, options);
}

static void test_defaults(void **state) {
	struct options options;

	(void)state;
	assert_int_equal(parse("", &options), OPTIONS_RUN);
	assert_string_equal(options.rules_file, DEFAULT_RULES_FILE);
	assert_string_equal(options.socket_path, DEFAULT_SOCKET);
	assert_int_equal(options.queue_first, 0);
	assert_int_equal(options.queue_last, 0);
	assert_false(options.foreground);
	assert_false(options.check);
}

static void test_all_options(void **state) {
	struct options options;

	(void)state;
	assert_int_equal(parse("--rules a --socket=b --state c --queue 2-5 --foreground --check", &options),
			 OPTIONS_RUN);
	assert_string_equal(options.rules_file, "a");
	assert_string_equal(options.socket_path, "b");
	assert_string_equal(options.state_directory, "c");
	assert_int_equal(options.queue_first, 2);
	assert_int_equal(options.queue_last, 5);
	assert_true(options.foreground);
	assert_true(options.check);
	assert_int_equal(parse("--remove", &options), OPTIONS_RUN);
	assert_true(options.remove);
}

static void test_state_directory_of_systemd(void **state) {
	struct options options;

	(void)state;
	assert_int_equal(setenv("STATE_DIRECTORY", "/somewhere/state", 1), 0);
	parse("", &options);
	assert_string_equal(options.state_directory, "/somewhere/state");
	parse("--state here", &options);
	assert_string_equal(options.state_directory, "here");
	parse("--state=", &options); /* nowhere */
	assert_null(options.state_directory);
	assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

static void test_wrong_usage_is_told(void **state) {
	static const char *const wrong[] = {"--check --remove", "--rules", "--queue x", "--queue 5-2",
					    "--queue 65536",    "extra",   "--bogus"};
	struct options options;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (parse(wrong[i], &options) != OPTIONS_WRONG)
			fail_msg("taken: %s", wrong[i]);
	}
}

static void test_queue_ranges(void **state) {
	static const char *const wrong[] = {"",
					    "-",
					    "1-",
					    "-1",
					    "1-2-3",
					    "1 ",
					    " 1",
					    "1-0",
					    "0-64",
					    "0x10",
					    "+1",
					    "65536",
					    "99999999999999999999"};
	uint16_t first = 7, last = 8;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (queue_range_parse(wrong[i], &first, &last))
			fail_msg("taken: %s", wrong[i]);
		assert_int_equal(first, 7);
		assert_int_equal(last, 8);
	}
	assert_true(queue_range_parse("65535", &first, &last));
	assert_int_equal(first, 65535);
	assert_int_equal(last, 65535);
	assert_true(queue_range_parse("0-63", &first, &last));
	assert_int_equal(last, 63);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_all_options),
	    cmocka_unit_test(test_state_directory_of_systemd),
	    cmocka_unit_test(test_wrong_usage_is_told),
	    cmocka_unit_test(test_queue_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
