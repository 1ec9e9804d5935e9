/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * list, kill: connections by filter. As text sorted, as JSON in the order and form in
 * which the daemon sends them.
 */
#include "ask.h"
#include "connections.h"
#include "sallyport/core/select.h"

static bool list_row(struct output *out, void *state, const struct record *record, struct error *err) {
	(void)out;
	return connections_add(state, record->object, err);
}

static int list_done(struct output *out, void *state, const json_t *closing) {
	struct connections *connections = state;
	(void)closing;
	connections_sort(connections);
	if (connections->count || out->tty)
		connections_print(connections, out);
	if (out->tty)
		fprintf(out->stream, "%zu connection%s\n", connections->count, plural(connections->count));
	return STATUS_DONE;
}

static void list_release(void *state) {
	connections_free(state);
}

static const struct view list_text = {
    .state_size = sizeof(struct connections),
    .row = list_row,
    .done = list_done,
    .release = list_release,
};

static int kill_done(struct output *out, void *state, const json_t *closing) {
	uint64_t count = member_number(closing, "count");
	if (out->json) {
		json_done(out, state, closing);
	} else {
		char text[NUMBER_TEXT];
		fprintf(out->stream, "%s connection%s killed\n", number_print(count, text), plural(count));
	}
	return count ? STATUS_DONE : STATUS_NO;
}

static const struct view kill_view = {.done = kill_done};

/* The words are checked here first, so that a slip is wrong usage whether a daemon runs or not. */
static int ask_selected(struct cli *cli, const char *command, const struct view *view) {
	struct selection selection;
	struct error err;
	if (!selection_parse(cli->args.words, cli->args.count, &selection, &err))
		return complain(cli, STATUS_USAGE, "%s: %s", command, err.text);
	json_t *words = json_words(&cli->args);
	json_t *object = words ? json_pack("{s:s, s:o}", "command", command, "select", words) : NULL;
	return ask(cli, (struct request){.object = object}, view);
}

int cmd_list(struct cli *cli) {
	return ask_selected(cli, "list", cli->out.json ? &json_rows : &list_text);
}

int cmd_kill(struct cli *cli) {
	return ask_selected(cli, "kill", &kill_view);
}
