/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Does this host pass on packets of others: does it route, or bridge? If not, whatever arrives is its own,
 * and whatever leaves it has made itself, so half of the kernel's hooks can be left out.
 */
#ifndef SALLYPORT_KERNEL_FORWARDING_H
#define SALLYPORT_KERNEL_FORWARDING_H

#include <stdbool.h>

#include "sallyport/core/error.h"

/* *forwards: some interface forwards IPv4 or IPv6 (net.ipv4.conf.X.forwarding, net.ipv6.conf.X.forwarding),
 * or there is a bridge, whose frames net.bridge.bridge-nf-call-iptables may send past our hooks at any time.
 * False: the kernel did not say. */
bool forwarding_read(bool *forwards, struct error *err);

#endif
