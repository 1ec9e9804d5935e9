/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where our four bits stand in a packet's mark.
 */
#include "sallyport/kernel/mark.h"

struct marks marks_of(uint32_t mark_mask) {
	uint32_t lowest = mark_mask & -mark_mask;

	return (struct marks){
	    .mask = lowest * 0xf,
	    .allow = lowest,
	    .reject = lowest << 1,
	    .learn = lowest << 2,
	    .pass = lowest * 3,
	    .ask = lowest << 3,
	};
}
