/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A line of a control client: what is a command, and what is said about the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/daemon/request.h"

static const struct command *parse(const char *line, struct error *err) {
	const struct command *command;
	json_t *request = NULL;

	command = request_parse(line, strlen(line), &request, err);
	if (command)
		json_decref(request);
	else
		assert_null(request); /* untouched on failure */
	return command;
}

static void test_every_command_has_its_right(void **state) {
	static const struct {
		const char *name;
		enum right right;
	} expected[] = {
	    {"status", RIGHT_READ}, {"list", RIGHT_READ},    {"kill", RIGHT_CHANGE},   {"rules", RIGHT_READ},
	    {"stats", RIGHT_READ},  {"explain", RIGHT_READ}, {"reload", RIGHT_CHANGE},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const struct command *command;
		char line[64];

		snprintf(line, sizeof(line), "{\"command\":\"%s\"}", expected[i].name);
		command = parse(line, &err);
		assert_non_null(command);
		assert_string_equal(command->name, expected[i].name);
		assert_int_equal(command->right, expected[i].right);
	}
}

static void test_what_is_no_request(void **state) {
	static const char *const wrong[] = {
	    "",
	    " ",
	    "garbage",
	    "{",
	    "[]",
	    "1",
	    "\"status\"",
	    "null",
	    "{}",
	    "{\"command\":1}",
	    "{\"command\":null}",
	    "{\"command\":\"\"}",
	    "{\"command\":\"statusx\"}",
	    "{\"command\":\"STATUS\"}",
	    "{\"command\":\"status\"} x",
	    "{\"command\":\"status\",\"command\":\"reload\"}",
	    "{\"command\":\"sta\\u0000tus\"}",
	    "{\"command\":\"\xff\xfe\"}",
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err.text[0] = '\0';
		if (parse(wrong[i], &err))
			fail_msg("taken: %s", wrong[i]);
		assert_true(err.text[0] != '\0');
		assert_null(strchr(err.text, '\n'));
	}
}

/* Depth is bounded: 64 KiB of brackets must not exhaust the stack. */
static void test_deep_nesting_is_refused(void **state) {
	static char line[64 * 1024];
	struct error err;

	(void)state;
	memset(line, '[', sizeof(line) - 1);
	assert_null(parse(line, &err));
}

static void test_nul_bytes_are_refused(void **state) {
	static const char line[] = "{\"command\":\"status\"}\0{";
	json_t *request = NULL;
	struct error err;

	(void)state;
	assert_null(request_parse(line, sizeof(line) - 1, &request, &err));
}

static bool select_from(const char *text, struct selection *selection, size_t *words, struct error *err) {
	json_t *request = json_loads(text, 0, NULL);
	bool good;

	assert_non_null(request);
	good = request_selection(request, selection, words, err);
	json_decref(request);
	return good;
}

static void test_selection(void **state) {
	struct selection selection;
	struct error err;
	size_t words = 99;

	(void)state;
	assert_true(select_from("{}", &selection, &words, &err));
	assert_int_equal(words, 0);
	assert_true(selection.everything);
	assert_true(select_from("{\"select\":[\"tcp\",\"port\",\"22\"]}", &selection, &words, &err));
	assert_int_equal(words, 3);
	assert_true(selection.has_port);
	assert_int_equal(selection.port.lo, 22);
}

static void test_wrong_selections(void **state) {
	static const char *const wrong[] = {
	    "{\"select\":\"tcp\"}",     "{\"select\":{}}",         "{\"select\":[1]}",
	    "{\"select\":[[\"tcp\"]]}", "{\"select\":[\"port\"]}", "{\"select\":[\"nonsense\"]}",
	    "{\"select\":null}",
	};
	struct selection selection;
	struct error err;
	size_t words = 99;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (select_from(wrong[i], &selection, &words, &err))
			fail_msg("taken: %s", wrong[i]);
		assert_int_equal(words, 99);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_command_has_its_right),
	    cmocka_unit_test(test_what_is_no_request),
	    cmocka_unit_test(test_deep_nesting_is_refused),
	    cmocka_unit_test(test_nul_bytes_are_refused),
	    cmocka_unit_test(test_selection),
	    cmocka_unit_test(test_wrong_selections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
