/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "did you mean": the name nearest to what was typed, by edit distance.
 */
#ifndef SALLYPORT_CORE_NEAREST_H
#define SALLYPORT_CORE_NEAREST_H

enum { NEAREST_MAX = 32 }; /* longer names are not looked at */

struct nearest {
	const char *typed;
	unsigned distance;          /* of `best` */
	char best[NEAREST_MAX + 1]; /* "": nothing near enough */
};

struct nearest nearest_to(const char *typed);
/* `nearest` is a struct nearest; the form of struct world's each_service. */
void nearest_see(const char *name, void *nearest);

#endif
