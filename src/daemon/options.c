/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line of sallyportd.
 */
#include "sallyport/daemon/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sallyport/host/world.h"

#define DEFAULT_STATE "/var/lib/sallyport"

static const char usage[] =
    "usage: sallyportd [--rules FILE] [--socket PATH] [--state DIR] [--queue N[-M]] [--foreground]\n"
    "                  [--check | --remove]\n"
    "\n"
    "  -r, --rules FILE    the rules file (" DEFAULT_RULES_FILE ")\n"
    "  -s, --socket PATH   where `sallyport` asks (" DEFAULT_SOCKET ")\n"
    "  -d, --state DIR     where connections are saved over a restart ($STATE_DIRECTORY, or\n"
    "                      " DEFAULT_STATE " where it exists)\n"
    "  -q, --queue N[-M]   one worker thread for each of these nfqueues (0)\n"
    "  -f, --foreground    log to stderr, never to the journal\n"
    "  -c, --check         load the rules file, say what is wrong with it, and leave\n"
    "  -x, --remove        take the rules out of the kernel that an ended daemon has left there\n"
    "  -V, --version\n"
    "  -h, --help\n"
    "\n"
    "SIGHUP reloads the rules, SIGTERM stops. See sallyportd(8) and sallyport.rules(5).\n";

static const struct option long_options[] = {
    {"rules", required_argument, NULL, 'r'}, {"socket", required_argument, NULL, 's'},
    {"state", required_argument, NULL, 'd'}, {"queue", required_argument, NULL, 'q'},
    {"foreground", no_argument, NULL, 'f'},  {"check", no_argument, NULL, 'c'},
    {"remove", no_argument, NULL, 'x'},      {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
};

static bool number_parse(const char **text, uint16_t *number) {
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	value = strtoul(*text, &end, 10);
	if (value > UINT16_MAX)
		return false;
	*text = end;
	*number = (uint16_t)value;
	return true;
}

bool queue_range_parse(const char *text, uint16_t *first, uint16_t *last) {
	uint16_t low, high;

	if (!number_parse(&text, &low))
		return false;
	high = low;
	if (*text == '-') {
		text++;
		if (!number_parse(&text, &high))
			return false;
	}
	if (*text != '\0' || high < low || high - low >= MAX_QUEUES)
		return false;
	*first = low;
	*last = high;
	return true;
}

/* systemd's StateDirectory= first, then where it would be. */
static const char *default_state_directory(void) {
	const char *given = getenv("STATE_DIRECTORY");

	if (given && *given)
		return given;
	return access(DEFAULT_STATE, F_OK) == 0 ? DEFAULT_STATE : NULL;
}

enum options_result options_parse(int argc, char **argv, struct options *options) {
	int letter;

	*options = (struct options){
	    .rules_file = DEFAULT_RULES_FILE,
	    .socket_path = DEFAULT_SOCKET,
	    .state_directory = default_state_directory(),
	};
	while ((letter = getopt_long(argc, argv, "r:s:d:q:fcxVh", long_options, NULL)) != -1) {
		switch (letter) {
		case 'r':
			options->rules_file = optarg;
			break;
		case 's':
			options->socket_path = optarg;
			break;
		case 'd':
			options->state_directory = *optarg ? optarg : NULL;
			break;
		case 'q':
			if (queue_range_parse(optarg, &options->queue_first, &options->queue_last))
				break;
			fprintf(stderr,
				"%s: --queue %s: expected N or N-M, from 0 to 65535, at most %d queues\n",
				argv[0], optarg, MAX_QUEUES);
			return OPTIONS_WRONG;
		case 'f':
			options->foreground = true;
			break;
		case 'c':
			options->check = true;
			break;
		case 'x':
			options->remove = true;
			break;
		case 'V':
			puts("sallyportd " SALLYPORT_VERSION);
			return OPTIONS_DONE;
		case 'h':
			fputs(usage, stdout);
			return OPTIONS_DONE;
		default:
			return OPTIONS_WRONG;
		}
	}
	if (options->check && options->remove) {
		fprintf(stderr, "%s: --check or --remove, not both\n", argv[0]);
		return OPTIONS_WRONG;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument '%s'; see %s --help\n", argv[0], argv[optind],
			argv[0]);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}
