/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long one evaluation takes, by the number of rules and by what tells them apart; and how
 * long loading and sealing take. Questions are spread over all rules, so most of what they touch is
 * not in the cache: real traffic does better. Prints the best of nine rounds, in CPU time.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sallyport/core/eval.h"

enum { QUESTIONS = 1 << 16, ROUNDS = 9 };

static double seconds(void) {
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static struct addr remote_of(uint32_t number) {
	uint32_t spread = 0x0a000000 | (number * 2654435761u >> 8);
	uint8_t bytes[4] = {spread >> 24, spread >> 16, spread >> 8, spread};

	return addr_from_ipv4(bytes);
}

/* One kind of ruleset: writes its nth rule, and a question that this rule answers. */
struct kind {
	const char *name;
	void (*rule)(unsigned n, char *text, size_t room);
	void (*question)(unsigned n, struct question *question);
};

static void addr_text(unsigned n, char text[ADDR_TEXT]) {
	struct addr addr = remote_of(n);

	addr_print(&addr, text);
}

static void sources_rule(unsigned n, char *text, size_t room) {
	char addr[ADDR_TEXT];

	addr_text(n, addr);
	snprintf(text, room, "allow in tcp 22 from %s", addr);
}

static void sources_question(unsigned n, struct question *question) {
	question->from = remote_of(n);
	question->to_port = 22;
}

static void ports_rule(unsigned n, char *text, size_t room) {
	snprintf(text, room, "allow in %s %u", n & 1 ? "tcp" : "udp", (n >> 1) % 65536);
}

static void ports_question(unsigned n, struct question *question) {
	question->protocol = n & 1 ? PROTOCOL_TCP : PROTOCOL_UDP;
	question->to_port = (n >> 1) % 65536;
}

/* A server's file writ large: ports, sources, networks, interfaces, both protocols. */
static void mixed_rule(unsigned n, char *text, size_t room) {
	char addr[ADDR_TEXT];

	addr_text(n, addr);
	switch (n % 4) {
	case 0:
		snprintf(text, room, "drop in any from %s", addr);
		break;
	case 1:
		snprintf(text, room, "allow in tcp %u,%u", 1024 + n % 40000, 1025 + n % 40000);
		break;
	case 2:
		snprintf(text, room, "allow in tcp,udp 53 from %s on eth0", addr);
		break;
	default:
		snprintf(text, room, "reject in tcp %u-%u from %s", n % 50000, n % 50000 + 9, addr);
	}
}

static void mixed_question(unsigned n, struct question *question) {
	question->from = remote_of(n % 4 == 1 ? n + 100000000 : n);
	question->to_port = n % 4 == 2 ? 53 : n % 4 == 1 ? 1024 + n % 40000 : n % 50000;
}

static const struct kind kinds[] = {
    {"sources on one port", sources_rule, sources_question},
    {"ports", ports_rule, ports_question},
    {"mixed", mixed_rule, mixed_question},
};

static char *text_of(const struct kind *kind, unsigned rules) {
	size_t room = rules * 96ul + 64, length;
	char *text = malloc(room), rule[80];

	if (!text)
		exit(1);
	length = snprintf(text, room, "default in drop\n");
	for (unsigned n = 0; n < rules; n++) {
		kind->rule(n, rule, sizeof(rule));
		length += snprintf(text + length, room - length, "%s\n", rule);
	}
	return text;
}

static char *read_text(void *context, const char *path, size_t *length, struct error *err) {
	(void)path;
	(void)err;
	*length = strlen(context);
	return strdup(context);
}

static bool no_service(void *context, const char *name, uint8_t protocol, uint16_t *port) {
	(void)context;
	(void)name;
	(void)protocol;
	(void)port;
	return false;
}

static struct ruleset *load(const char *text) {
	struct world world = {.context = (char *)text, .read = read_text, .service = no_service};
	struct diagnostics diagnostics = {0};
	struct ruleset *ruleset = ruleset_load("bench.rules", &world, &diagnostics);

	if (!ruleset) {
		fprintf(stderr, "%s\n", diagnostics_text(&diagnostics));
		exit(1);
	}
	diagnostics_free(&diagnostics);
	return ruleset;
}

static void fill_questions(const struct kind *kind, unsigned rules, struct question *questions) {
	uint32_t state = 1;

	for (unsigned i = 0; i < QUESTIONS; i++) {
		state = state * 1664525 + 1013904223;
		questions[i] = (struct question){
		    .protocol = PROTOCOL_TCP, .to = remote_of(0), .from_port = 40000, .interface = "eth0"};
		questions[i].from = remote_of(state);
		kind->question(((uint64_t)state * rules) >> 32, &questions[i]);
		if (i & 1) /* every other one from somebody unknown */
			questions[i].from = remote_of(state | 1u << 30);
	}
}

static double nanoseconds_each(const struct ruleset *ruleset, const struct question *questions,
			       size_t *hits) {
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		double start = seconds();
		*hits = 0;
		for (unsigned i = 0; i < QUESTIONS; i++)
			*hits += eval(ruleset, &questions[i]).rule != NULL;
		double took = seconds() - start;
		best = took < best ? took : best;
	}
	return best / QUESTIONS * 1e9;
}

static size_t allocated(void) {
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void measure(const struct kind *kind, unsigned rules) {
	static struct question questions[QUESTIONS];
	char *text = text_of(kind, rules);
	double start = seconds();
	struct ruleset *ruleset = load(text);
	double loaded = seconds() - start;
	size_t hits, with_one = allocated();

	rule_index_free(ruleset->index);
	ruleset->index = NULL;
	size_t bytes = with_one - allocated();
	start = seconds();
	if (!ruleset_seal(ruleset))
		exit(1);
	double sealed = seconds() - start;
	fill_questions(kind, rules, questions);
	double each = nanoseconds_each(ruleset, questions, &hits);
	printf("%-20s %8u %10.1f %10.1f %12.0f %10.0f %8.0f%%\n", kind->name, rules, loaded * 1e3,
	       sealed * 1e3, (double)bytes / rules, each, 100.0 * hits / QUESTIONS);
	ruleset_free(ruleset);
	free(text);
}

int main(void) {
	printf("%-20s %8s %10s %10s %12s %10s %9s\n", "what differs", "rules", "load ms", "seal ms",
	       "index B/rule", "ns/eval", "by rule");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (unsigned rules = 10; rules <= 100000; rules *= 10)
			measure(&kinds[i], rules);
	return 0;
}
