/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files parse*.c share. A statement's function is called with the current token
 * behind the keyword and returns false after it has reported an error; the
 * caller then goes on with the next line, so that one run shows them all.
 */
#ifndef SALLYPORT_CORE_PARSER_H
#define SALLYPORT_CORE_PARSER_H

#include "build.h"
#include "lexer.h"
#include "sallyport/core/nearest.h"
#include "sallyport/core/parse.h"
#include "strmap.h"

enum {
	RULES_MAX = 1000000,
	MEMBERS_MAX = 8000000, /* addresses, prefixes and ranges of all sets and rules */
	FILES_MAX = 4096,
	INCLUDES_DEEP = 16,
	NAME_MAX_BYTES = 63,
	WORD_MAX_BYTES = 255,
};

/* Protocols with ports, as bits of a mask and as indices. */
enum { PORTS_TCP, PORTS_UDP, PORTS_KINDS };
enum { HAS_TCP = 1 << PORTS_TCP, HAS_UDP = 1 << PORTS_UDP };

/* `port PORTS`: a name can stand for other ports on TCP than on UDP. */
struct ports {
	bool given;
	struct port_list by[PORTS_KINDS];
};

/* A service by name: of the file, or what the system's database answered (then `place`
 * is its first use). */
struct known_service {
	char *name;
	struct match *matches; /* count 0: unknown everywhere, or its definition is in error */
	size_t count;
	struct place place;
	bool of_system; /* matches are owned here, else by the ruleset */
};

/* A name that was used and not known: a later definition says so in the error. */
struct missing_name {
	char *name; /* sets with their @ */
	size_t diagnostic;
};

/* A rules file whose text is kept, so that late diagnostics can show a line of it. */
struct source {
	const char *file;
	char *text;
	size_t length;
};

/* What can follow WHAT in a rule: for suggestions, and for messages. */
#define CLAUSE_WORDS "from to on strict"
#define CLAUSES      "`from`, `to`, `on`, `strict` or the end of the line"

/* Statements that may stand once. */
enum setting {
	SETTING_DEFAULT_IN,
	SETTING_DEFAULT_OUT,
	SETTING_ESSENTIALS,
	SETTING_PICKUP,
	SETTING_INSPECT,
	SETTING_ON_FAILURE,
	SETTING_BUSY,
	SETTING_MARK,
	SETTING_CONNECTIONS,
	SETTING_TIMEOUT, /* one each timeout from here on */
	SETTINGS = SETTING_TIMEOUT + TIMEOUTS
};

/* The files that are open, innermost first. */
struct open_file {
	const struct open_file *outer;
	const char *path;
};

struct parser {
	const struct world *world;
	struct diagnostics *diagnostics;
	struct ruleset *ruleset;
	struct lexer lexer;
	struct token token; /* the current one */
	struct place place; /* of the statement */
	const struct open_file *open;
	unsigned depth;
	bool essential; /* the text is the built-in one */
	bool stop;      /* too many errors, or no use in going on */
	size_t members;
	struct strmap sets, services;
	struct place given[SETTINGS]; /* where each setting stands; file NULL: nowhere yet */
	struct known_service **known;
	size_t known_count;
	struct missing_name *missing;
	size_t missing_count;
	struct source *sources;
	size_t source_count;
};

/* parser.c: tokens and errors */
void parser_free(struct parser *parser); /* all but the ruleset */
void advance(struct parser *parser);
bool at_word(const struct parser *parser, const char *word);
bool at_end(const struct parser *parser);
bool accept_word(struct parser *parser, const char *word);
bool accept_comma(struct parser *parser);
bool token_is(const struct token *token, const char *word);
/* The word as a string; false (and an error) where it is too long. */
bool token_copy(struct parser *parser, const struct token *token, char copy[WORD_MAX_BYTES + 1]);
/* True at the end of the statement, else an error that names what could stand here. */
bool expect_end(struct parser *parser, const char *expected);
/* All answer false. */
bool fail_at(struct parser *parser, const struct token *token, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool fail_expected(struct parser *parser, const char *expected); /* at the current token */
/* As fail_expected; suggests the nearest of `words` (separated by blanks). */
bool fail_keyword(struct parser *parser, const char *words, const char *expected);
bool fail_memory(struct parser *parser);
void warn_at(struct parser *parser, const struct token *token, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "`x`", cut and made printable; the end of the line in words. Returns `text`. */
enum { QUOTE_TEXT = 80 };
const char *quote(const struct token *token, char text[QUOTE_TEXT]);
/* "; did you mean `x`?", or "". Returns `text`. */
enum { HINT_TEXT = 64 };
const char *hint(const struct nearest *nearest, char text[HINT_TEXT]);
void nearest_words(struct nearest *nearest, const char *words);
/* Remembers the last error as one about `name`; and rewrites it when the name turns up. */
void note_missing(struct parser *parser, const char *name);
void found_missing(struct parser *parser, const char *name);
/* Letters, digits, - _ . and a letter first. */
bool name_is_valid(const char *name);

/* parse_file.c: files and statements. Both report. */
bool parse_file(struct parser *parser, const char *path, struct error *err);
void parse_statements(struct parser *parser, const char *file, const char *text, size_t length,
		      unsigned first_line);
/* `path` as it stands in `file`: relative to the directory of `file`. Malloc'ed. */
char *path_beside(const char *file, const char *path);
/* The current token, a string in quotes, unescaped; malloc'ed; NULL: reported. */
char *parse_path(struct parser *parser);
/* The path as place.file knows it; NULL: reported. */
const char *intern_file(struct parser *parser, const char *path);
bool parse_include(struct parser *parser);

/* The rest, a statement or a part of one each */
bool parse_default(struct parser *parser);
bool parse_essentials(struct parser *parser);
bool parse_pickup(struct parser *parser);
bool parse_inspect(struct parser *parser);
bool parse_on_failure(struct parser *parser);
bool parse_busy(struct parser *parser);
bool parse_mark(struct parser *parser);
bool parse_connections(struct parser *parser);
bool parse_timeout(struct parser *parser);
bool parse_set(struct parser *parser);
bool parse_service(struct parser *parser);
bool parse_expect(struct parser *parser);
bool parse_rule(struct parser *parser, enum action action);
bool parse_action(struct parser *parser, enum action *action);
bool parse_direction(struct parser *parser, enum direction *direction);
/* WHAT: protocols or services, and types into what->ports; ports of TCP and UDP into *ports. */
bool parse_what(struct parser *parser, struct what *what, struct ports *ports);
/* Fills what->matches from the rest. */
bool what_resolve(struct parser *parser, struct what *what);
/* The protocols with ports that it is about; 0 where there are others too. */
unsigned what_protocols(const struct what *what);
void warn_families(struct parser *parser, const struct rule *rule, const struct token *token);
bool fail_log(struct parser *parser); /* a `log` that stands too late */
bool parse_addr_list(struct parser *parser, struct addr_list *list);
bool parse_range(struct parser *parser, const struct token *token, struct addr_range *range);
bool count_member(struct parser *parser, const struct token *token);
bool parse_interfaces(struct parser *parser, struct interface_list *list);
/* Up to the end of the statement. question->interface is malloc'ed or NULL. */
bool parse_probe_words(struct parser *parser, struct question *question);

/* PORTS for the protocols of the mask. */
bool parse_ports(struct parser *parser, unsigned protocols, struct ports *ports);
/* As they stand in `service`: *more where the next protocol follows behind a comma. */
bool parse_service_ports(struct parser *parser, unsigned protocols, struct ports *ports, bool *more);
bool parse_types(struct parser *parser, uint8_t protocol, struct port_list *types);
void ports_clear(struct ports *ports);
unsigned protocol_bit(uint8_t protocol); /* HAS_TCP, HAS_UDP or 0 */
uint8_t protocol_of_kind(unsigned kind);

/* Never NULL but out of memory (reported); `count` 0 where nobody knows the name. */
const struct known_service *find_service(struct parser *parser, const char *name);
/* Makes those of parser->ruleset known, as if their lines had been read. */
bool know_services(struct parser *parser);
/* Reports that there is no such service, with the nearest name. `protocols` 0: a protocol
 * could stand there too. */
bool fail_service(struct parser *parser, const struct token *token, const char *name, unsigned protocols);

/* essentials.c: the built-in rules, before the user's and after them. */
extern const char essentials_first[], essentials_last[];

#endif
