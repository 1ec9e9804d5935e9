/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How errors and warnings are collected and shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "must_load.h"

static const struct place place = {"a.rules", 3};

static void assert_text(struct diagnostics *diagnostics, const char *expected) {
	char *text = diagnostics_text(diagnostics);

	assert_string_equal(text, expected);
	free(text);
	diagnostics_free(diagnostics);
	assert_int_equal(diagnostics->count, 0);
}

static void a_diagnostic_shows_line_and_caret(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 10, 4, "allow in sssh # x\nnext line",
			"no such service");
	assert_int_equal(diagnostics.errors, 1);
	assert_text(&diagnostics, "a.rules:3:10: error: no such service\n"
				  "  allow in sssh # x\n"
				  "           ^~~~\n");
}

static void warnings_are_told_from_errors(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	diagnostics_add(&diagnostics, SEVERITY_WARNING, &place, 1, 0, "x", "hm");
	assert_int_equal(diagnostics.errors, 0);
	assert_int_equal(diagnostics.warnings, 1);
	assert_text(&diagnostics, "a.rules:3:1: warning: hm\n  x\n  ^\n");
}

static void line_0_is_about_the_whole_file(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &(struct place){"a.rules", 0}, 0, 0, NULL,
			"is a directory");
	assert_text(&diagnostics, "a.rules: error: is a directory\n");
}

static void tabs_keep_the_caret_in_its_column(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 4, 2, "\ta\tbc", "bad");
	assert_text(&diagnostics, "a.rules:3:4: error: bad\n  \ta\tbc\n  \t \t^~\n");
}

/* What stands in a file must not reach the terminal as a command. */
static void unprintable_bytes_are_not_shown(void **state) {
	struct diagnostics diagnostics = {0};
	char *shown;

	(void)state;
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 3, 2, "a\x1b[2J\x7f\xc3\xa9\x9b\r\n", "bad");
	assert_text(&diagnostics, "a.rules:3:3: error: bad\n  a?[2J????\n    ^~\n");
	shown = must_fail("allow in \xc3\xa9\x9b[2J\n");
	for (const char *at = shown; *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	free(shown);
}

static void long_lines_are_cut(void **state) {
	struct diagnostics diagnostics = {0};
	char source[1001], *text;

	(void)state;
	memset(source, 'x', sizeof source - 1);
	source[sizeof source - 1] = '\0';
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 900, 4, source, "behind the cut");
	diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 199, 50, source, "across the cut");
	assert_int_equal(strlen(diagnostics.items[0].source), 200);
	text = diagnostics_text(&diagnostics);
	assert_non_null(strstr(text, "a.rules:3:900: error: behind the cut\n"));
	assert_null(strstr(text, "^~~"));
	assert_non_null(strstr(text, "^~\n"));
	free(text);
	diagnostics_free(&diagnostics);
}

static void errors_and_warnings_have_bounds_of_their_own(void **state) {
	struct diagnostics diagnostics = {0};
	char *text;

	(void)state;
	for (int i = 0; i < MAX_WARNINGS + 1; i++)
		diagnostics_add(&diagnostics, SEVERITY_WARNING, &place, 1, 1, "x", "warning");
	assert_true(diagnostics.more);
	for (int i = 0; i < MAX_ERRORS + 1; i++)
		diagnostics_add(&diagnostics, SEVERITY_ERROR, &place, 1, 1, "x", "error");
	assert_int_equal(diagnostics.warnings, MAX_WARNINGS);
	assert_int_equal(diagnostics.errors, MAX_ERRORS);
	assert_int_equal(diagnostics.count, MAX_WARNINGS + MAX_ERRORS);
	text = diagnostics_text(&diagnostics);
	assert_non_null(strstr(text, "There is more; only the first of it is shown.\n"));
	free(text);
	diagnostics_free(&diagnostics);
}

static void nothing_prints_as_nothing(void **state) {
	struct diagnostics diagnostics = {0};

	(void)state;
	assert_text(&diagnostics, "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_diagnostic_shows_line_and_caret),
	    cmocka_unit_test(warnings_are_told_from_errors),
	    cmocka_unit_test(line_0_is_about_the_whole_file),
	    cmocka_unit_test(tabs_keep_the_caret_in_its_column),
	    cmocka_unit_test(unprintable_bytes_are_not_shown),
	    cmocka_unit_test(long_lines_are_cut),
	    cmocka_unit_test(errors_and_warnings_have_bounds_of_their_own),
	    cmocka_unit_test(nothing_prints_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
