/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the kernel can do, found out by trying: each probe makes a table and removes it in the
 * same transaction.
 */
#ifndef SALLYPORT_KERNEL_PROBE_H
#define SALLYPORT_KERNEL_PROBE_H

#include "compile.h"

/* Sets options->dispatch. False: the kernel has neither, or nftables refused for a reason of its own. */
bool probe_dispatch(struct mnl_socket *socket, struct compile_options *options, struct error *err);

/* Whether it has DESTROYSETELEM, which deletes what may be missing (Linux 6.3). */
bool probe_destroy(struct mnl_socket *socket);

#endif
