/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command table, help, and the way from argv to a handler.
 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"

enum { ANY_NUMBER = 4096 };

static const struct command commands[] = {
    {"status", "", "what the daemon is, does and has loaded", 0, 0, 0, cmd_status},
    {"list", "[FILTER]", "open connections", 0, 0, ANY_NUMBER, cmd_list},
    {"kill", "FILTER", "forget connections, so that they must open anew", 0, 1, ANY_NUMBER, cmd_kill},
    {"rules", "", "rules in force, with what each has matched", 0, 0, 0, cmd_rules},
    {"stats", "[--all]", "why packets passed or were dropped", OPTION_ALL, 0, 0, cmd_stats},
    {"reload", "", "load the rules file again; a bad one changes nothing", 0, 0, 0, cmd_reload},
    {"check", "[FILE]", "read a rules file, test what it expects", 0, 0, 1, cmd_check},
    {"explain", "[--rules FILE] PROBE", "what would happen to a connection, and why", OPTION_RULES, 1,
     ANY_NUMBER, cmd_explain},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char filter_help[] =
    "FILTER: words that narrow, each at most once:\n"
    "  in | out           tcp | udp | icmp | ...     protocol NAME|NUMBER\n"
    "  port N[-M]         local-port N[-M]           remote-port N[-M]\n"
    "  address RANGE      local RANGE                remote RANGE\n"
    "  state NAME[,NAME]  rule LINE|FILE:LINE|default\n"
    "or all, alone. RANGE: an address, a prefix or A-B. Ports: tcp and udp only.\n";

static const char probe_help[] = "PROBE: DIRECTION PROTO [TYPE] [from ADDRESS[:PORT]]\n"
				 "       [to [ADDRESS:]PORT | to ADDRESS] [on INTERFACE]\n"
				 "  in tcp from 192.0.2.7:40000 to 22\n"
				 "  out udp to [2001:db8::53]:53\n"
				 "  in icmp echo-request from 192.0.2.7\n";

static const char option_help[] = "Options, anywhere on the line:\n"
				  "  --socket PATH  the daemon's control socket\n"
				  "  --json         one JSON object a line instead of text\n"
				  "  -h, --help     this text; with a command, its own\n"
				  "  -V, --version  version\n";

int complain(const struct cli *cli, enum status status, const char *format, ...) {
	fputs("sallyport: ", cli->out.errors);
	va_list list;
	va_start(list, format);
	vfprintf(cli->out.errors, format, list);
	va_end(list);
	fputc('\n', cli->out.errors);
	return status;
}

static void print_usage(FILE *stream) {
	fputs("Usage: sallyport [--socket PATH] [--json] COMMAND\n\nCommands:\n", stream);
	for (size_t i = 0; i < COMMANDS; i++) {
		int width = fprintf(stream, "  %s%s%s", commands[i].name, commands[i].synopsis[0] ? " " : "",
				    commands[i].synopsis);
		fprintf(stream, "%*s%s\n", 32 - width, "", commands[i].help);
	}
	fprintf(stream, "\n%s\n%s\n%sSee sallyport(8).\n", filter_help, probe_help, option_help);
}

static void print_synopsis(FILE *stream, const struct command *command) {
	fprintf(stream, "Usage: sallyport [--socket PATH] [--json] %s%s%s\n", command->name,
		command->synopsis[0] ? " " : "", command->synopsis);
}

static void print_command_help(FILE *stream, const struct command *command) {
	print_synopsis(stream, command);
	fprintf(stream, "%s: %s\n", command->name, command->help);
	if (strstr(command->synopsis, "FILTER"))
		fprintf(stream, "\n%s", filter_help);
	if (strstr(command->synopsis, "PROBE"))
		fprintf(stream, "\n%s", probe_help);
}

static const struct command *find_command(const char *name) {
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown_command(const struct cli *cli, const char *name) {
	const char *names[COMMANDS];
	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = commands[i].name;
	const char *near = suggest(name, names, COMMANDS);
	if (near)
		return complain(cli, STATUS_USAGE, "unknown command %s: did you mean %s?", name, near);
	return complain(cli, STATUS_USAGE, "unknown command %s; sallyport --help lists the commands", name);
}

static int wrong_use(const struct cli *cli, const struct command *command, const char *what) {
	complain(cli, STATUS_USAGE, "%s: %s", command->name, what);
	print_synopsis(cli->out.errors, command);
	return STATUS_USAGE;
}

static int run_command(struct cli *cli, const struct command *command) {
	const struct arguments *args = &cli->args;
	unsigned foreign = args->given & (OPTION_RULES | OPTION_ALL) & ~command->options;
	if (foreign & OPTION_RULES)
		return wrong_use(cli, command, "does not take --rules");
	if (foreign & OPTION_ALL)
		return wrong_use(cli, command, "does not take --all");
	if (args->count < command->min)
		return wrong_use(cli, command, "an argument is missing");
	if (args->count > command->max)
		return wrong_use(cli, command, "too many arguments");
	return command->run(cli);
}

static int answer(struct cli *cli) {
	const struct arguments *args = &cli->args;
	if (args->given & OPTION_VERSION) {
		fputs("sallyport " SALLYPORT_VERSION "\n", cli->out.stream);
		return STATUS_DONE;
	}
	if (!args->command) {
		bool asked = args->given & OPTION_HELP;
		print_usage(asked ? cli->out.stream : cli->out.errors);
		return asked ? STATUS_DONE : STATUS_USAGE;
	}
	const struct command *command = find_command(args->command);
	if (!command)
		return unknown_command(cli, args->command);
	if (args->given & OPTION_HELP) {
		print_command_help(cli->out.stream, command);
		return STATUS_DONE;
	}
	return run_command(cli, command);
}

/* A full disk must not look like success. A reader that went away (`| head`) has seen
 * enough and wants no message. */
static int flush(const struct cli *cli, int status) {
	if (!fflush(cli->out.stream) && !ferror(cli->out.stream))
		return status;
	if (errno == EPIPE)
		return status ? status : STATUS_NO;
	return complain(cli, STATUS_NO, "cannot write the output: %s", strerror(errno));
}

int cli_main(int argc, const char *const *argv, FILE *out, FILE *err) {
	struct cli cli = {0};
	struct error error;
	output_init(&cli.out, out, err);
	if (!args_parse(argc, argv, &cli.args, &error))
		return complain(&cli, STATUS_USAGE, "%s", error.text);
	cli.out.json = cli.args.given & OPTION_JSON;
	cli.out.everything = cli.args.given & OPTION_ALL;
	int status = flush(&cli, answer(&cli));
	args_free(&cli.args);
	return status;
}
