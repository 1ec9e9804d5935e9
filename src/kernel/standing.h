/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an earlier daemon has left in the kernel, so that its leases live on.
 */
#ifndef SALLYPORT_KERNEL_STANDING_H
#define SALLYPORT_KERNEL_STANDING_H

#include "compile.h"

/* Marks the table, when it is made, as laid out the way this version does. */
void put_layout(struct nlmsghdr *message, enum dispatch dispatch);

/* True: `inet sallyport` stands and is laid out as this version would; *inventory is filled with what a
 * new ruleset has to delete. Which rules owned its ports is not known any more. */
bool standing_read(struct mnl_socket *socket, enum dispatch dispatch, struct inventory *inventory);

#endif
