/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rows are handed on one by one: an answer of any length needs the memory of one line,
 * and what the view keeps of it.
 */
#include "ask.h"

#include <stdlib.h>
#include <string.h>

static bool show_row(struct cli *cli, const struct view *view, void *state, struct record *record,
		     struct error *err) {
	if (!view->row)
		return error_set(
		    err, "the daemon's answer has data where none belongs; is it of another version?");
	if (!view->raw && !record->object && !record_parse(record, err))
		return false;
	return view->row(&cli->out, state, record, err);
}

static int show_done(struct cli *cli, const struct view *view, void *state, const json_t *closing) {
	return view->done ? view->done(&cli->out, state, closing) : STATUS_DONE;
}

static int show_refused(struct cli *cli, const struct view *view, void *state, const json_t *closing) {
	if (view->refused)
		return view->refused(&cli->out, state, closing);
	fputs("sallyport: ", cli->out.errors);
	put_text(cli->out.errors, member_text(closing, "error"));
	fputc('\n', cli->out.errors);
	return STATUS_NO;
}

static int read_answer(struct cli *cli, struct session *session, const struct view *view, void *state) {
	struct error err;
	for (;;) {
		struct record record;
		int status = STATUS_DONE;
		enum line_kind kind = session_receive(session, &record, &err);
		if (kind == LINE_FAILED)
			return complain(cli, STATUS_NO, "%s", err.text);
		bool shown = true;
		if (kind == LINE_DATA)
			shown = show_row(cli, view, state, &record, &err);
		else if (kind == LINE_DONE)
			status = show_done(cli, view, state, record.object);
		else
			status = show_refused(cli, view, state, record.object);
		record_free(&record);
		if (!shown)
			return complain(cli, STATUS_NO, "%s", err.text);
		/* Nobody reads on, or the disk is full: cli_main says so. */
		if (kind != LINE_DATA || ferror(cli->out.stream))
			return status;
	}
}

/* A state of one byte at least, so that NULL always means out of memory. */
static void *new_state(const struct view *view) {
	return calloc(1, view->state_size ? view->state_size : 1);
}

static void free_state(const struct view *view, void *state) {
	if (view->release && state)
		view->release(state);
	free(state);
}

static int ask_session(struct cli *cli, const json_t *request, int timeout_ms, const struct view *view) {
	struct session session;
	struct error err;
	if (!session_open(&session, cli->args.socket, timeout_ms, &err))
		return complain(cli, STATUS_NO, "%s", err.text);
	void *state = new_state(view);
	int status;
	if (!state)
		status = complain(cli, STATUS_NO, "out of memory");
	else if (!session_send(&session, request, &err))
		status = complain(cli, STATUS_NO, "%s", err.text);
	else
		status = read_answer(cli, &session, view, state);
	free_state(view, state);
	session_close(&session);
	return status;
}

int ask(struct cli *cli, struct request request, const struct view *view) {
	if (!request.object)
		return complain(cli, STATUS_USAGE, "an argument is not valid UTF-8");
	int timeout_ms = request.timeout_ms ? request.timeout_ms : SESSION_TIMEOUT_MS;
	int status = ask_session(cli, request.object, timeout_ms, view);
	json_decref(request.object);
	return status;
}

json_t *request_new(const char *command) {
	return json_pack("{s:s}", "command", command);
}

json_t *json_words(const struct arguments *args) {
	json_t *words = json_array();
	for (size_t i = 0; i < args->count; i++) {
		if (json_array_append_new(words, json_string(args->words[i])) < 0) {
			json_decref(words);
			return NULL;
		}
	}
	return words;
}

static bool show_rows(struct cli *cli, const json_t *rows, const struct view *view, void *state,
		      struct error *err) {
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		char *line = json_dumps(row, JSON_COMPACT);
		if (!line)
			return error_set(err, "out of memory");
		struct record record = {.line = line, .length = strlen(line), .object = row};
		bool shown = show_row(cli, view, state, &record, err);
		free(line);
		if (!shown)
			return false;
	}
	return true;
}

int show(struct cli *cli, const json_t *rows, const json_t *closing, const struct view *view) {
	struct error err;
	void *state = new_state(view);
	int status;
	if (!state)
		status = complain(cli, STATUS_NO, "out of memory");
	else if (!show_rows(cli, rows, view, state, &err))
		status = complain(cli, STATUS_NO, "%s", err.text);
	else
		status = show_done(cli, view, state, closing);
	free_state(view, state);
	return status;
}
