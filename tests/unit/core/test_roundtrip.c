/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text -> ruleset -> text -> ruleset: nothing is lost, for random rulesets and for every file
 * that is shipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glob.h>

#include <cmocka.h>

#include "../load_text.h"
#include "../random_rules.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"
#include "sallyport/host/world.h"

enum { SEED = 4711, RULESETS = 10000, QUESTIONS = 20 };

static void compare(const char *source, const char *printed, const struct ruleset *first,
		    const struct ruleset *second) {
	char *again;

	if (!second)
		fail_msg("%s\nis printed as what does not load:\n%s", source, printed);
	again = ruleset_print(second);
	assert_non_null(again);
	if (strcmp(printed, again) != 0)
		fail_msg("%s\nis printed first as\n%s\nand then as\n%s", source, printed, again);
	if (!ruleset_equal(first, second))
		fail_msg("%s\nis printed as what means something else:\n%s", source, printed);
	free(again);
}

/* ruleset_equal might overlook something: ask both. */
static void compare_answers(struct model *model, const struct ruleset *first, const struct ruleset *second) {
	for (int i = 0; i < QUESTIONS; i++) {
		struct question question = model_question(model);
		struct answer left = eval(first, &question), right = eval(second, &question);
		if (left.action != right.action || !left.rule != !right.rule ||
		    (left.rule && left.rule - first->rules != right.rule - second->rules)) {
			char *probe = question_print(&question);
			fail_msg("%s\nanswers %s in another way once printed", model->text,
				 probe ? probe : "?");
		}
	}
}

static void test_random_rulesets(void **state) {
	struct dice dice = {SEED};

	(void)state;
	print_message("seed %d, %d rulesets\n", SEED, RULESETS);
	for (int i = 0; i < RULESETS; i++) {
		struct model_options options = {.rules = 12, .settings = true, .essentials = i % 2};
		struct model *model = model_new(&dice, &options);
		struct ruleset *first = load_text(model->text, model->set_text, NULL);
		assert_non_null(first);
		char *printed = ruleset_print(first);
		assert_non_null(printed);
		struct ruleset *second = load_text(printed, model->set_text, NULL);
		compare(model->text, printed, first, second);
		compare_answers(model, first, second);
		ruleset_free(first);
		ruleset_free(second);
		free(printed);
		model_free(model);
	}
}

/* Equality must be able to say no. */
static void test_unequal(void **state) {
	static const char base[] =
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n";
	static const char *const others[] = {
	    "set a = 192.0.2.1\ndrop in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow out tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in log tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0 strict\n",
	    "set a = 192.0.2.1\nallow in udp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 23 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.2\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from not @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2001 to 192.0.2.9 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.8 on eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on not eth0\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth1\n",
	    "set a = 192.0.2.1\nallow in tcp 22 from @a port 1024-2000 to 192.0.2.9\n",
	    "set a = 192.0.2.1\n",
	    "default out drop\nset a = 192.0.2.1\n"
	    "allow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "essentials off\nset a = 192.0.2.1\n"
	    "allow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "inspect all\nset a = 192.0.2.1\n"
	    "allow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "on-failure closed\nset a = 192.0.2.1\n"
	    "allow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	    "timeout udp 7s\nset a = 192.0.2.1\n"
	    "allow in tcp 22 from @a port 1024-2000 to 192.0.2.9 on eth0\n",
	};
	struct ruleset *left = load_text(base, NULL, NULL), *same = load_text(base, NULL, NULL);

	(void)state;
	assert_non_null(left);
	assert_true(ruleset_equal(left, same));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct ruleset *right = load_text(others[i], NULL, NULL);
		assert_non_null(right);
		if (ruleset_equal(left, right))
			fail_msg("these are said to be equal:\n%s%s", base, others[i]);
		ruleset_free(right);
	}
	ruleset_free(left);
	ruleset_free(same);
}

/* ---- files that are shipped ---- */

/* The host's files and services, but for one file that is in memory. */
static char *read_printed(void *context, const char *path, size_t *length, struct error *err) {
	if (strcmp(path, "printed.rules") != 0)
		return host_world.read(host_world.context, path, length, err);
	*length = strlen(context);
	return strdup(context);
}

static void check_file(const char *path) {
	struct diagnostics diagnostics = {0};
	struct ruleset *first = ruleset_load(path, &host_world, &diagnostics);
	char *said = diagnostics_text(&diagnostics);

	if (!first || diagnostics.count > 0)
		fail_msg("%s: %s", path, said);
	char *printed = ruleset_print(first);
	assert_non_null(printed);
	struct world world = host_world;
	world.context = printed;
	world.read = read_printed;
	struct ruleset *second = ruleset_load("printed.rules", &world, &diagnostics);
	compare(path, printed, first, second);
	ruleset_free(first);
	ruleset_free(second);
	diagnostics_free(&diagnostics);
	free(printed);
	free(said);
}

static size_t check_files(const char *pattern) {
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_file(found.gl_pathv[i]);
	globfree(&found);
	return found.gl_pathc;
}

/* Run from the top of the tree, as make does. */
static void test_shipped_files(void **state) {
	(void)state;
	assert_true(check_files("rules/*.rules") + check_files("rules/examples/*.rules") > 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_rulesets),
	    cmocka_unit_test(test_unequal),
	    cmocka_unit_test(test_shipped_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
