/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which connections `list` and `kill` are about: words from the command line.
 *
 *   [in|out] [tcp|udp|icmp|...|protocol N] [state NAME[,NAME]] [port N[-M]] [local-port N] [remote-port N]
 *   [address ADDR|PREFIX|RANGE] [local ADDR..] [remote ADDR..] [rule LINE|FILE:LINE|default] [all]
 *
 * Different words narrow, each may stand once; `all` stands alone. `port` and `address` match
 * either side; ports are those of TCP and UDP.
 */
#ifndef SALLYPORT_CORE_SELECT_H
#define SALLYPORT_CORE_SELECT_H

#include "sallyport/core/error.h"
#include "sallyport/core/rule.h"
#include "sallyport/core/table.h"

struct selection {
	bool everything; /* `all`, or no word at all for list */
	bool has_direction, has_protocol, has_rule, rule_default;
	bool has_port, has_local_port, has_remote_port, has_address, has_local, has_remote;
	enum direction direction;
	uint8_t protocol;
	uint32_t states; /* bit a state; 0: any */
	struct port_range port, local_port, remote_port;
	struct addr_range address, local, remote;
	unsigned rule_line;
	char rule_file[256]; /* "": any file with that line; matches the whole path or its last part */
};

bool selection_parse(const char *const *words, size_t count, struct selection *selection, struct error *err);
/* `place` is that of the connection's rule, NULL: the default allowed it. */
bool selection_matches(const struct selection *selection, const struct key *key,
		       const struct connection *connection, const struct place *place);

#endif
