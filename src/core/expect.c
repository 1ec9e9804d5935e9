/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tests that a rules file carries: every `expect` is put to the rules.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "sallyport/core/eval.h"
#include "sallyport/core/print.h"

enum {
	MAX_QUOTED = 120, /* bytes of a rule that a message shows */
	HINTS = 64,       /* near misses looked at for one that helps */
};

/* "line 9", "extra.rules:9" where it stands in another file. */
static void put_place(struct text *text, const struct expectation *expectation, const struct rule *rule) {
	if (rule->essential)
		text_puts(text, "the essential rule");
	else if (strcmp(rule->place.file, expectation->place.file) == 0)
		text_printf(text, "line %u", rule->place.line);
	else
		text_printf(text, "%s:%u", rule->place.file, rule->place.line);
}

/* "drop by line 9 (`drop in any`)", "drop by default in drop". */
static void put_answer(struct text *text, const struct expectation *expectation,
		       const struct answer *answer) {
	const char *action = action_name(answer->action);

	text_printf(text, "%s by ", action);
	if (!answer->rule) {
		text_printf(text, "default %s %s", direction_name(expectation->question.direction), action);
		return;
	}
	char *printed = rule_print(answer->rule);
	put_place(text, expectation, answer->rule);
	if (printed)
		text_printf(text, " (`%.*s%s`)", MAX_QUOTED, printed,
			    strlen(printed) > MAX_QUOTED ? "..." : "");
	free(printed);
}

/* "; line 12 would allow it but for the source", where such a rule stands. */
static void put_hint(struct text *text, const struct ruleset *ruleset, const struct expectation *expectation,
		     const struct answer *answer) {
	struct near_miss misses[HINTS];
	size_t count = near_misses(ruleset, &expectation->question, answer, misses, HINTS);

	for (size_t i = 0; i < count; i++) {
		if (misses[i].rule->action != expectation->action)
			continue;
		text_puts(text, "; ");
		put_place(text, expectation, misses[i].rule);
		text_printf(text, " would %s it but for %s", action_name(expectation->action),
			    condition_text(misses[i].condition));
		return;
	}
}

static void report(const struct ruleset *ruleset, const struct expectation *expectation,
		   const struct answer *answer, struct diagnostics *diagnostics) {
	struct text source = {0}, text = {0};

	text_printf(&source, "expect %s %s", action_name(expectation->action), expectation->text);
	text_printf(&text, "expected %s, but ", action_name(expectation->action));
	put_answer(&text, expectation, answer);
	put_hint(&text, ruleset, expectation, answer);

	unsigned length = source.length;
	char *line = text_take(&source), *message = text_take(&text);
	diagnostics_add(diagnostics, SEVERITY_ERROR, &expectation->place, 1, length ? length : 1, line,
			message ? message : "this expectation does not hold");
	free(line);
	free(message);
}

void check_expectations(const struct ruleset *ruleset, struct diagnostics *diagnostics) {
	for (size_t i = 0; i < ruleset->expectation_count; i++) {
		const struct expectation *expectation = &ruleset->expectations[i];
		struct answer answer = eval(ruleset, &expectation->question);
		if (answer.action != expectation->action)
			report(ruleset, expectation, &answer, diagnostics);
	}
}
