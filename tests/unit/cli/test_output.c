/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How numbers, ages and foreign text are written; tables; interned names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../../src/cli/columns.h"
#include "../../../src/cli/names.h"
#include "../../../src/cli/output.h"

static void numbers_have_commas(void **state) {
	char text[NUMBER_TEXT];
	(void)state;
	assert_string_equal(number_print(0, text), "0");
	assert_string_equal(number_print(999, text), "999");
	assert_string_equal(number_print(1204, text), "1,204");
	assert_string_equal(number_print(1000000, text), "1,000,000");
	assert_string_equal(number_print(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

static void short_numbers_keep_within_five_characters(void **state) {
	char text[NUMBER_TEXT];
	(void)state;
	assert_string_equal(number_print_short(99999, text), "99999");
	assert_string_equal(number_print_short(100000, text), "100k");
	assert_string_equal(number_print_short(9999999, text), "9999k");
	assert_string_equal(number_print_short(10000000, text), "10M");
	assert_string_equal(number_print_short(UINT64_MAX, text), "18E");
	for (uint64_t number = 1; number < UINT64_MAX / 10; number *= 10)
		assert_true(strlen(number_print_short(number, text)) <= 5);
}

static void ages_keep_within_three_characters(void **state) {
	char text[AGE_TEXT];
	(void)state;
	assert_string_equal(age_print(0, text), "0s");
	assert_string_equal(age_print(59, text), "59s");
	assert_string_equal(age_print(60, text), "1m");
	assert_string_equal(age_print(3599, text), "59m");
	assert_string_equal(age_print(3600, text), "1h");
	assert_string_equal(age_print(2 * 86400 - 1, text), "47h");
	assert_string_equal(age_print(5 * 86400, text), "5d");
	assert_string_equal(age_print(100 * 86400, text), "14w");
	assert_string_equal(age_print(UINT32_MAX, text), "136y");
	for (uint64_t seconds = 0; seconds < 90ull * 365 * 86400; seconds += 86399)
		assert_true(strlen(age_print(seconds, text)) <= 3);
}

static void long_ages_have_two_units(void **state) {
	char text[AGE_TEXT];
	(void)state;
	assert_string_equal(age_print_long(7, text), "7s");
	assert_string_equal(age_print_long(61, text), "1m 1s");
	assert_string_equal(age_print_long(7500, text), "2h 5m");
	assert_string_equal(age_print_long(90000, text), "1d 1h");
}

/* What `print` writes, malloc'ed. */
static char *written(void (*print)(FILE *, void *), void *argument) {
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	assert_non_null(stream);
	print(stream, argument);
	fclose(stream);
	return text;
}

static void print_foreign(FILE *stream, void *text) {
	put_text(stream, text);
}

static void escape_sequences_from_outside_never_reach_the_terminal(void **state) {
	(void)state;
	char *text = written(print_foreign, (char[]){"a\033[31mb\rc\td\n\x7f\xc3\xa9"});
	assert_string_equal(text, "a?[31mb?c\td\n?\xc3\xa9");
	free(text);
}

static const struct column specs[] = {{.title = "NAME"}, {.title = "N", .right = true}, {.title = "LAST"}};
static const char *const rows[][3] = {{"a", "1", "x"}, {"caf\xc3\xa9s", "1234", "a long last cell"}};

static void print_columns(FILE *stream, void *argument) {
	struct output out = {.stream = stream, .errors = stream};
	struct columns columns;
	(void)argument;
	columns_init(&columns, specs, 3);
	columns_measure(&columns, rows[0]);
	columns_measure(&columns, rows[1]);
	assert_int_equal(columns_total(&columns), 5 + 1 + 4 + 1 + 16);
	columns_header(&columns, &out);
	columns_row(&columns, stream, rows[0]);
	columns_row(&columns, stream, rows[1]);
}

static void columns_align_by_characters_without_trailing_spaces(void **state) {
	(void)state;
	char *text = written(print_columns, NULL);
	assert_string_equal(text, "NAME     N LAST\n"
				  "a        1 x\n"
				  "caf\xc3\xa9s 1234 a long last cell\n");
	free(text);
}

static void no_colour_without_a_terminal(void **state) {
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	struct output out;
	(void)state;
	output_init(&out, stream, stream);
	assert_false(out.tty);
	assert_string_equal(style_begin(&out, STYLE_BOLD), "");
	assert_string_equal(style_end(&out), "");
	assert_int_equal(out.width, 80);
	fclose(stream);
	free(text);
}

static void bad_utf8_becomes_a_json_string_all_the_same(void **state) {
	json_t *good = json_text("caf\xc3\xa9"), *bad = json_text("caf\xe9"), *none = json_text(NULL);
	(void)state;
	assert_string_equal(json_string_value(good), "caf\xc3\xa9");
	assert_string_equal(json_string_value(bad), "caf?");
	assert_true(json_is_null(none));
	json_decref(good);
	json_decref(bad);
	json_decref(none);
}

static void names_are_stored_once(void **state) {
	struct names names = {0};
	uint16_t first, second, again;
	(void)state;
	assert_true(names_intern(&names, "ESTABLISHED", &first));
	assert_true(names_intern(&names, "TIME_WAIT", &second));
	assert_true(names_intern(&names, "ESTABLISHED", &again));
	assert_int_equal(first, again);
	assert_int_not_equal(first, second);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[second], "TIME_WAIT");
	names_free(&names);
}

static void names_are_bounded(void **state) {
	struct names names = {0};
	uint16_t number;
	char text[16];
	(void)state;
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		snprintf(text, sizeof(text), "name %u", i);
		assert_true(names_intern(&names, text, &number));
		assert_int_equal(number, i);
	}
	assert_false(names_intern(&names, "one too many", &number));
	assert_true(names_intern(&names, "name 32767", &number));
	assert_int_equal(number, 32767);
	names_free(&names);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_have_commas),
	    cmocka_unit_test(short_numbers_keep_within_five_characters),
	    cmocka_unit_test(ages_keep_within_three_characters),
	    cmocka_unit_test(long_ages_have_two_units),
	    cmocka_unit_test(escape_sequences_from_outside_never_reach_the_terminal),
	    cmocka_unit_test(columns_align_by_characters_without_trailing_spaces),
	    cmocka_unit_test(no_colour_without_a_terminal),
	    cmocka_unit_test(bad_utf8_becomes_a_json_string_all_the_same),
	    cmocka_unit_test(names_are_stored_once),
	    cmocka_unit_test(names_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
