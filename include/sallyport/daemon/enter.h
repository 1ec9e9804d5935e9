/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that were open before this daemon was, from wherever they are known: into
 * the table without their opening packet.
 */
#ifndef SALLYPORT_DAEMON_ENTER_H
#define SALLYPORT_DAEMON_ENTER_H

#include "sallyport/core/filter.h"

/* Enters `wanted`, which filter_recheck has let through. Of TCP's windows nothing is known: the
 * next segments teach them. An open one whose packets may pass unseen takes the place of what
 * was over, or not yet open, when packets were last seen. False: the table has its key already, or is full.
 * With `renewed` not the present, call table_order when all are in. */
bool enter_connection(struct filter *filter, const struct keyed_connection *wanted);

#endif
