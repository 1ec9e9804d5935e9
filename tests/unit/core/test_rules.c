/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs through tests/rules: X.rules loads and prints as X.ok; with X.err its diagnostics are
 * those, and without X.ok it does not load. What prints loads again to the same ruleset.
 * The shipped rules files must load without a warning.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../memory_world.h"
#include "sallyport/core/print.h"
#include "sallyport/host/world.h"

/* The files of the disk; only the services are made up. */
static struct world disk_world(void) {
	struct world world = memory_world(NULL);

	world.read = host_world.read;
	world.glob = host_world.glob;
	return world;
}

/* The file with this ending in place of ".rules"; NULL: there is none. */
static char *read_beside(const char *path, const char *ending) {
	char *beside, *text;
	size_t length;
	struct error err;

	if (asprintf(&beside, "%.*s%s", (int)(strlen(path) - strlen(".rules")), path, ending) < 0)
		fail();
	text = host_world.read(NULL, beside, &length, &err);
	free(beside);
	return text;
}

static char *read_canonical(void *context, const char *path, size_t *length, struct error *err) {
	if (strcmp(path, "canonical") != 0)
		return host_world.read(NULL, path, length, err);
	*length = strlen(context);
	return strdup(context);
}

static void assert_round_trip(const char *path, const struct ruleset *ruleset, struct world world) {
	char *printed = ruleset_print(ruleset), *again;
	struct diagnostics diagnostics;
	struct ruleset *reloaded;

	world.context = printed;
	world.read = read_canonical;
	reloaded = ruleset_load("canonical", &world, &diagnostics);
	if (!reloaded)
		fail_msg("%s does not load as it prints:\n%s", path, diagnostics_text(&diagnostics));
	if (!ruleset_equal(ruleset, reloaded))
		fail_msg("%s becomes another ruleset when printed:\n%s", path, printed);
	again = ruleset_print(reloaded);
	assert_string_equal(again, printed);
	free(again);
	free(printed);
	ruleset_free(reloaded);
	diagnostics_free(&diagnostics);
}

static void assert_ok(const char *path, const struct ruleset *ruleset, const char *expected) {
	char *printed = ruleset_print(ruleset);

	if (strcmp(printed, expected) != 0)
		fail_msg("%s prints as\n%s\ninstead of\n%s", path, printed, expected);
	free(printed);
	assert_round_trip(path, ruleset, disk_world());
}

static void check_case(const char *path) {
	char *ok = read_beside(path, ".ok"), *err = read_beside(path, ".err"), *shown;
	struct world world = disk_world();
	struct diagnostics diagnostics;
	struct ruleset *ruleset = ruleset_load(path, &world, &diagnostics);

	if (!ok && !err)
		fail_msg("%s has neither .ok nor .err beside it", path);
	shown = diagnostics_text(&diagnostics);
	if (strcmp(shown, err ? err : "") != 0)
		fail_msg("%s: the diagnostics are\n%s\ninstead of\n%s", path, shown, err ? err : "none");
	if (!ok != !ruleset)
		fail_msg("%s %s", path, ok ? "does not load" : "loads");
	if (ok)
		assert_ok(path, ruleset, ok);
	ruleset_free(ruleset);
	diagnostics_free(&diagnostics);
	free(shown);
	free(ok);
	free(err);
}

static void every_case_prints_or_fails_as_it_should(void **state) {
	glob_t found;

	(void)state;
	assert_int_equal(glob("tests/rules/*.rules", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_case(found.gl_pathv[i]);
	assert_true(found.gl_pathc >= 10);
	globfree(&found);
}

static void check_shipped(const char *pattern, size_t least) {
	struct diagnostics diagnostics;
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		fail_msg("no file matches %s", pattern);
	assert_true(found.gl_pathc >= least);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ruleset *ruleset = ruleset_load(found.gl_pathv[i], &host_world, &diagnostics);

		if (!ruleset || diagnostics.count)
			fail_msg("%s", diagnostics_text(&diagnostics));
		assert_true(ruleset->expectation_count > 0);
		assert_round_trip(found.gl_pathv[i], ruleset, host_world);
		ruleset_free(ruleset);
		diagnostics_free(&diagnostics);
	}
	globfree(&found);
}

static void shipped_rules_load_and_hold_their_expectations(void **state) {
	(void)state;
	check_shipped("rules/*.rules", 1);
	check_shipped("rules/examples/*.rules", 5);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_case_prints_or_fails_as_it_should),
	    cmocka_unit_test(shipped_rules_load_and_hold_their_expectations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
