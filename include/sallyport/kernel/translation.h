/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a connection is somebody's behind this host: the kernel translates its addresses, and
 * conntrack knows that (net/netfilter/nf_conntrack_netlink.c). No socket of this host tells of it.
 */
#ifndef SALLYPORT_KERNEL_TRANSLATION_H
#define SALLYPORT_KERNEL_TRANSLATION_H

#include "sallyport/core/error.h"
#include "sallyport/core/key.h"

/* One owner thread. */
struct translations;
struct translations *translations_open(struct error *err);
void translations_close(struct translations *translations); /* NULL is fine */

/* Asks about the TCP connection with this key, as it is seen on this host's outer side. OPEN: its
 * addresses are translated, and both sides may still speak; NONE: they are not, or it has ended;
 * UNKNOWN: the kernel cannot be asked (it has no ctnetlink). Takes a few microseconds. */
enum translated { TRANSLATED_NONE, TRANSLATED_OPEN, TRANSLATED_UNKNOWN };
enum translated translation_find(struct translations *translations, const struct key *key);

#endif
