/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections of others behind this host: the kernel translates their addresses, and conntrack knows
 * that (net/netfilter/nf_conntrack_netlink.c). No socket of this host tells of them.
 */
#ifndef SALLYPORT_KERNEL_TRANSLATION_H
#define SALLYPORT_KERNEL_TRANSLATION_H

#include "sallyport/core/error.h"
#include "sallyport/core/key.h"
#include "sallyport/core/track.h"

/* One owner thread. */
struct translations;
struct translations *translations_open(struct error *err);
void translations_close(struct translations *translations); /* NULL is fine */

/* Asks about the TCP connection with this key, as it is seen on this host's outer side. OPEN: its
 * addresses are translated, and both sides may still speak; ENDED: they were, which conntrack remembers for
 * 10 to 120 seconds; NONE: they are not; UNKNOWN: the kernel cannot be asked (it has no ctnetlink). Takes a
 * few microseconds. */
enum translated { TRANSLATED_NONE, TRANSLATED_ENDED, TRANSLATED_OPEN, TRANSLATED_UNKNOWN };
enum translated translation_find(struct translations *translations, const struct key *key);

/* One of TCP or UDP as it is seen on this host's outer side. */
struct translated_connection {
	struct key key;
	enum direction direction;
	struct key inner; /* as the other side of the translation has it: its `local` is who is behind this
			     host, or where that is an address of its own, a socket of this host */
	uint8_t state;    /* TCP: open; UDP: whether both sides have spoken */
};
/* A connection that a socket of this host has under another address or port than the wire shows, since its
 * destination is translated to here (REDIRECT): `inner` as the socket has it, `outer` as the wire shows it.
 * False: it is not translated. */
bool translation_outer(struct translations *translations, const struct key *inner, struct key *outer);
/* The other way round. */
bool translation_inner(struct translations *translations, const struct key *outer, struct key *inner);

/* Calls `see` for all of them: once for each translated side. None where nobody uses conntrack. False: *err
 * says why they are not known. */
bool translations_see(struct translations *translations,
		      void (*see)(const struct translated_connection *connection, void *context),
		      void *context, struct error *err);

#endif
