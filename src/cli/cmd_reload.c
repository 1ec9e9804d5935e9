/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * reload: the daemon reads its rules file again, and says what came of it.
 */
#include "ask.h"

/* A million set members take the kernel a while. */
enum { RELOAD_TIMEOUT_MS = 120 * 1000 };

static int reload_done(struct output *out, void *state, const json_t *closing) {
	uint64_t rules = member_number(closing, "rules"), cut = member_number(closing, "cut");
	char rules_text[NUMBER_TEXT], cut_text[NUMBER_TEXT];
	put_lines(out->errors, member_text(closing, "warnings"));
	if (out->json)
		return json_done(out, state, closing);
	fprintf(out->stream, "reloaded: %s rule%s, %s connection%s cut\n", number_print(rules, rules_text),
		plural(rules), number_print(cut, cut_text), plural(cut));
	return STATUS_DONE;
}

static int reload_refused(struct output *out, void *state, const json_t *closing) {
	(void)state;
	put_lines(out->errors, member_text(closing, "diagnostics"));
	fputs("sallyport: ", out->errors);
	put_text(out->errors, member_text(closing, "error"));
	fputc('\n', out->errors);
	if (out->json)
		output_json(out, closing);
	return STATUS_NO;
}

static const struct view reload_view = {.done = reload_done, .refused = reload_refused};

int cmd_reload(struct cli *cli) {
	struct request request = {.object = request_new("reload"), .timeout_ms = RELOAD_TIMEOUT_MS};
	return ask(cli, request, &reload_view);
}
