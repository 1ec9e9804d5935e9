/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text -> ruleset, with file:line:column diagnostics. Pure: what it needs of the
 * world (other files, service names) it asks through struct world.
 *
 * Bounds: a line of 64 KiB, a file of 128 MiB, 100,000 rules and 1,000,000 set
 * members at the least (1,000,000 and 8,000,000 at the most), includes 16 deep.
 */
#ifndef SALLYPORT_CORE_PARSE_H
#define SALLYPORT_CORE_PARSE_H

#include "sallyport/core/error.h"
#include "sallyport/core/rule.h"

/* Given by the caller; src/host/world.c has the real one, tests their own. */
struct world {
	void *context;
	/* The whole file, malloc'ed, NUL-terminated (the NUL not counted in *length).
	 * NULL: *err says why ("is a directory", "is larger than 128 MiB", ...). */
	char *(*read)(void *context, const char *path, size_t *length, struct error *err);
	/* Expands a glob pattern to sorted paths, all malloc'ed; no match: *count 0. */
	bool (*glob)(void *context, const char *pattern, char ***paths, size_t *count, struct error *err);
	/* The system's database: the port of `name` on `protocol` (TCP or UDP). */
	bool (*service)(void *context, const char *name, uint8_t protocol, uint16_t *port);
	/* Calls `see` for every name in it, for "did you mean". */
	void (*each_service)(void *context, void (*see)(const char *name, void *argument), void *argument);
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostic {
	enum severity severity;
	char *file;
	unsigned line, column; /* from 1; column counts bytes. line 0: about the file as a whole */
	unsigned length;       /* bytes to underline, at least 1 */
	char *source;          /* the line itself, cut at 200 bytes, unprintables as '?'; NULL for line 0 */
	char *message;         /* "found X, expected Y" or what fits better; suggestion included */
};

enum { MAX_ERRORS = 20, MAX_WARNINGS = 100 };

struct diagnostics {
	struct diagnostic *items;
	size_t count, errors, warnings;
	bool more; /* some were left out */
	bool lost; /* there was no memory for some: counted, and said by diagnostics_text */
};

void diagnostics_free(struct diagnostics *diagnostics);
void diagnostics_add(struct diagnostics *diagnostics, enum severity severity, const struct place *place,
		     unsigned column, unsigned length, const char *source, const char *message);
/* All of them as people read them (and as gcc prints: FILE:LINE:COLUMN: error: ...,
 * the line, the caret). Malloc'ed. */
char *diagnostics_text(const struct diagnostics *diagnostics);

/* Reads `path` and what it includes, seals the ruleset, checks its `expect` lines and
 * adds warnings (covered rules, empty sets, names without a port on a protocol).
 * NULL where there was an error; diagnostics are filled either way.
 * Owner of the result: the caller, ruleset_free. */
struct ruleset *ruleset_load(const char *path, const struct world *world, struct diagnostics *diagnostics);

/* "in tcp from 192.0.2.7:40000 to 22 on eth0", see sallyport.rules(5) PROBES.
 * A probe without `from` stands for 0.0.0.0 (:: where `to` is IPv6), without an address
 * in `to` likewise. The services of `ruleset` (NULL: none) win over those of the world.
 * question->interface is malloc'ed or NULL. */
bool probe_parse(const char *text, const struct ruleset *ruleset, const struct world *world,
		 struct question *question, struct error *err);

/* "90", "90s", "5m", "2h4m", "1d": 1 second to 365 days. */
bool duration_parse(const char *text, uint32_t *seconds);

#endif
