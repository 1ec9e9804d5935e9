/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of `list`: order, layout at 80 columns, rows that make no sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../../src/cli/connections.h"

#define RULE "{\"file\":\"/etc/sallyport/sallyport.rules\",\"line\":7}"

/* One row as the daemon sends it. */
static json_t *row(const char *proto, const char *local, int local_port, const char *remote, int remote_port,
		   const char *state, const char *rule) {
	char text[512];
	json_error_t why;
	snprintf(
	    text, sizeof(text),
	    "{\"proto\":%s,\"local\":\"%s\",\"local_port\":%d,\"remote\":\"%s\",\"remote_port\":%d,"
	    "\"direction\":\"in\",\"state\":\"%s\",\"age\":3600,\"idle\":59,\"rule\":%s,\"generation\":3}",
	    proto, local, local_port, remote, remote_port, state, rule);
	json_t *object = json_loads(text, 0, &why);
	assert_non_null(object);
	return object;
}

static void add(struct connections *connections, json_t *object) {
	struct error err;
	assert_true(connections_add(connections, object, &err));
	json_decref(object);
}

/* The sorted table at 80 columns, malloc'ed. */
static char *table(struct connections *connections) {
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	struct output out = {.stream = stream, .errors = stream, .width = 80};
	connections_sort(connections);
	connections_print(connections, &out);
	fclose(stream);
	connections_free(connections);
	return text;
}

static void a_usual_table_reads_well(void **state) {
	struct connections connections = {0};
	(void)state;
	add(&connections, row("\"tcp\"", "10.0.0.1", 22, "10.0.0.2", 40000, "ESTABLISHED", RULE));
	add(&connections, row("\"udp\"", "10.0.0.1", 53, "10.0.0.9", 5353, "NEW", "null"));
	char *text = table(&connections);
	assert_string_equal(text,
			    "PROTO LOCAL       REMOTE         DIR STATE       AGE IDLE RULE\n"
			    "tcp   10.0.0.1:22 10.0.0.2:40000 in  ESTABLISHED  1h  59s sallyport.rules:7\n"
			    "udp   10.0.0.1:53 10.0.0.9:5353  in  NEW          1h  59s default\n");
	free(text);
}

static void order_is_numeric_not_alphabetic(void **state) {
	static const char *const expected[] = {"10.0.0.9:9 ", "10.0.0.2:9 ", "10.0.0.10:9 ", "10.0.0.10:10 ",
					       "10.0.0.2:8 "};
	struct connections connections = {0};
	(void)state;
	add(&connections, row("\"udp\"", "10.0.0.1", 1, "10.0.0.2", 8, "NEW", "null"));
	add(&connections, row("\"tcp\"", "10.0.0.1", 443, "10.0.0.10", 10, "NEW", "null"));
	add(&connections, row("\"tcp\"", "10.0.0.1", 443, "10.0.0.10", 9, "NEW", "null"));
	add(&connections, row("\"tcp\"", "10.0.0.1", 443, "10.0.0.2", 9, "NEW", "null"));
	add(&connections, row("\"tcp\"", "10.0.0.1", 22, "10.0.0.9", 9, "NEW", "null"));
	char *text = table(&connections);
	const char *at = text;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		at = strstr(at, expected[i]);
		assert_non_null(at);
	}
	free(text);
}

static size_t longest_line(const char *text) {
	size_t longest = 0;
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
		if (strcspn(at, "\n") > longest)
			longest = strcspn(at, "\n");
	return longest;
}

static void the_widest_ipv4_row_fits_80_columns(void **state) {
	struct connections connections = {0};
	(void)state;
	add(&connections, row("\"tcp\"", "192.168.100.200", 54321, "203.113.200.100", 50000, "ESTABLISHED",
			      "{\"file\":\"/etc/sallyport/sallyport.rules\",\"line\":99999}"));
	add(&connections,
	    row("\"tcp\"", "192.168.100.200", 54321, "203.113.200.100", 50001, "ESTABLISHED", "null"));
	char *text = table(&connections);
	assert_int_equal(longest_line(text), 80);
	assert_non_null(strstr(text, " 99999\n"));
	assert_non_null(strstr(text, " -\n"));
	free(text);
}

static void what_cannot_fit_keeps_the_name_of_the_file(void **state) {
	struct connections connections = {0};
	(void)state;
	add(&connections, row("\"tcp\"", "2001:db8:1111:2222:3333:4444:5555:6666", 22,
			      "2001:db8:1111:2222:3333:4444:5555:7777", 40000, "ESTABLISHED", RULE));
	char *text = table(&connections);
	assert_non_null(strstr(text, "[2001:db8:1111:2222:3333:4444:5555:6666]:22 "));
	assert_non_null(strstr(text, "sallyport.rules:7"));
	free(text);
}

static void what_has_no_port_shows_none(void **state) {
	struct connections connections = {0};
	(void)state;
	add(&connections, row("\"icmp\"", "10.0.0.1", 0, "10.0.0.2", 77, "REPLIED", RULE));
	add(&connections, row("253", "10.0.0.1", 0, "10.0.0.2", 0, "NEW", "null"));
	add(&connections, row("\"udp\"", "10.0.0.1", 0, "10.0.0.2", 5, "NEW", "null"));
	char *text = table(&connections);
	assert_non_null(strstr(text, "icmp  10.0.0.1   10.0.0.2:77 in"));
	assert_non_null(strstr(text, "253   10.0.0.1   10.0.0.2    in"));
	assert_non_null(strstr(text, "udp   10.0.0.1:0 10.0.0.2:5  in"));
	free(text);
}

static void learned_is_not_default(void **state) {
	struct connections connections = {0};
	json_t *object = row("\"tcp\"", "10.0.0.1", 1, "10.0.0.2", 2, "ESTABLISHED", "null");
	(void)state;
	json_object_set_new(object, "learned", json_true());
	add(&connections, object);
	char *text = table(&connections);
	assert_non_null(strstr(text, " learned\n"));
	free(text);
}

static void refused(json_t *object) {
	struct connections connections = {0};
	struct error err = {""};
	assert_false(connections_add(&connections, object, &err));
	assert_non_null(strstr(err.text, "cannot read"));
	assert_int_equal(connections.count, 0);
	json_decref(object);
	connections_free(&connections);
}

static void rows_that_make_no_sense_are_refused(void **state) {
	(void)state;
	refused(json_object());
	refused(row("\"nonsense\"", "10.0.0.1", 1, "10.0.0.2", 2, "NEW", "null"));
	refused(row("256", "10.0.0.1", 1, "10.0.0.2", 2, "NEW", "null"));
	refused(row("[]", "10.0.0.1", 1, "10.0.0.2", 2, "NEW", "null"));
	refused(row("\"tcp\"", "10.0.0", 1, "10.0.0.2", 2, "NEW", "null"));
	refused(row("\"tcp\"", "10.0.0.1", 65536, "10.0.0.2", 2, "NEW", "null"));
	refused(row("\"tcp\"", "10.0.0.1", 1, "10.0.0.2", -1, "NEW", "null"));
	refused(row("\"tcp\"", "10.0.0.1", 1, "10.0.0.2", 2, "NEW", "7"));
	refused(row("\"tcp\"", "10.0.0.1", 1, "10.0.0.2", 2, "NEW", "{\"file\":\"x\",\"line\":-1}"));
}

static void a_row_is_kept_in_at_most_56_bytes(void **state) {
	(void)state;
	assert_true(sizeof(struct connection_row) <= 56);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_usual_table_reads_well),
	    cmocka_unit_test(order_is_numeric_not_alphabetic),
	    cmocka_unit_test(the_widest_ipv4_row_fits_80_columns),
	    cmocka_unit_test(what_cannot_fit_keeps_the_name_of_the_file),
	    cmocka_unit_test(what_has_no_port_shows_none),
	    cmocka_unit_test(learned_is_not_default),
	    cmocka_unit_test(rows_that_make_no_sense_are_refused),
	    cmocka_unit_test(a_row_is_kept_in_at_most_56_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
