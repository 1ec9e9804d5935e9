/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections as `list` keeps them to sort: 56 bytes each, so that a million of them
 * take tens of megabytes and not a gigabyte.
 */
#ifndef SALLYPORT_CLI_CONNECTIONS_H
#define SALLYPORT_CLI_CONNECTIONS_H

#include "names.h"
#include "output.h"
#include "sallyport/core/addr.h"

enum origin { ORIGIN_RULE, ORIGIN_DEFAULT, ORIGIN_LEARNED };

struct connection_row {
	struct addr local, remote;
	uint32_t age, idle;
	uint32_t line; /* of the rule */
	uint16_t local_port, remote_port;
	uint16_t state, file; /* numbers in `names` */
	uint8_t protocol;
	bool out;
	uint8_t origin; /* enum origin; file and line stand with ORIGIN_RULE alone */
};

/* All zero: empty. */
struct connections {
	struct connection_row *rows;
	size_t count, room;
	struct names names;
};

/* Reads one line of the daemon's answer to `list`. */
bool connections_add(struct connections *connections, const json_t *object, struct error *err);
void connections_free(struct connections *connections);
/* By protocol, local port, local address, remote address, remote port. */
void connections_sort(struct connections *connections);
/* The table, with a header. The rule's file is left out where that keeps a row within out->width. */
void connections_print(const struct connections *connections, const struct output *out);

#endif
