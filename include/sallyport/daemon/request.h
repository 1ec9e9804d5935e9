/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A line of a client -> a command.
 */
#ifndef SALLYPORT_DAEMON_REQUEST_H
#define SALLYPORT_DAEMON_REQUEST_H

#include <jansson.h>

#include "sallyport/core/error.h"
#include "sallyport/core/select.h"
#include "sallyport/daemon/rights.h"

struct client;

struct command {
	const char *name;
	enum right right;
	void (*run)(struct client *client, const json_t *request);
};

/* `line`, without its newline, as one JSON object with a known "command". NULL: *err says
 * what is wrong with it. The caller drops *request. */
const struct command *request_parse(const char *line, size_t length, json_t **request, struct error *err);
/* The member "select", an array of words; missing: no words. False: *err says why. */
bool request_selection(const json_t *request, struct selection *selection, size_t *words, struct error *err);
/* A member that must be a text without NUL bytes. NULL: *err says so. */
const char *request_text(const json_t *request, const char *name, struct error *err);

void command_status(struct client *client, const json_t *request);
void command_list(struct client *client, const json_t *request);
void command_kill(struct client *client, const json_t *request);
void command_rules(struct client *client, const json_t *request);
void command_stats(struct client *client, const json_t *request);
void command_explain(struct client *client, const json_t *request);
void command_reload(struct client *client, const json_t *request);

#endif
