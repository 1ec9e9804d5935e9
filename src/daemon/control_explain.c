/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `explain`: what the rules in force would answer, and what it hangs on.
 */
#include <stdlib.h>

#include "sallyport/core/eval.h"
#include "sallyport/daemon/answer.h"
#include "sallyport/daemon/client.h"
#include "sallyport/daemon/request.h"
#include "sallyport/host/world.h"

enum { MAX_NEAR = 16 };

static json_t *near_answer(const struct near_miss *miss) {
	return json_pack("{s:o, s:o, s:s, s:s}", "rule", answer_place(&miss->rule->place), "text",
			 answer_rule(miss->rule), "verdict", action_name(miss->rule->action), "but",
			 condition_text(miss->condition));
}

static json_t *nears_answer(const struct ruleset *ruleset, const struct question *question,
			    const struct answer *answer) {
	struct near_miss misses[MAX_NEAR];
	size_t count = near_misses(ruleset, question, answer, misses, MAX_NEAR);
	json_t *nears = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(nears, near_answer(&misses[i])) < 0) {
			json_decref(nears);
			return NULL;
		}
	}
	return nears;
}

static json_t *explanation(const struct ruleset *ruleset, const char *probe,
			   const struct question *question) {
	struct answer answer = eval(ruleset, question);
	const struct rule *rule = answer.rule;

	return json_pack("{s:o, s:s, s:o, s:o, s:o}", "probe", answer_text(probe), "verdict",
			 action_name(answer.action), "rule", answer_place(rule ? &rule->place : NULL), "text",
			 rule ? answer_rule(rule) : answer_default(ruleset, question->direction), "near",
			 nears_answer(ruleset, question, &answer));
}

void command_explain(struct client *client, const json_t *request) {
	const struct ruleset *ruleset = daemon_policy(client_daemon(client))->ruleset;
	struct question question;
	struct error err;
	const char *probe = request_text(request, "probe", &err);

	if (!probe || !probe_parse(probe, ruleset, &host_world, &question, &err)) {
		client_error(client, err.text);
		return;
	}
	client_send(client, explanation(ruleset, probe, &question));
	client_done(client, NULL);
	free((char *)question.interface);
}
