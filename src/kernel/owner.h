/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose an nfqueue or an nflog group is, as /proc/net/netfilter says.
 */
#ifndef SALLYPORT_KERNEL_OWNER_H
#define SALLYPORT_KERNEL_OWNER_H

#include <stdint.h>

enum owner {
	OWNER_UNKNOWN, /* the file cannot be read */
	OWNER_NOBODY,
	OWNER_US,
	OWNER_ANOTHER,
};

/* `port`: the port id of our socket. */
enum owner owner_of_queue(uint16_t number, uint32_t port);
enum owner owner_of_log_group(uint16_t number, uint32_t port);

#endif
