/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The netfilter hooks that packets and copies of them come from.
 */
#ifndef SALLYPORT_KERNEL_HOOK_H
#define SALLYPORT_KERNEL_HOOK_H

#include <linux/netfilter.h>

#include "sallyport/core/filter.h"

/* `number`: an enum nf_inet_hooks. False: one that we have nothing at. */
static inline bool hook_of(uint8_t number, enum hook *hook) {
	switch (number) {
	case NF_INET_PRE_ROUTING:
		*hook = HOOK_IN;
		return true;
	case NF_INET_LOCAL_OUT:
		*hook = HOOK_OUT;
		return true;
	case NF_INET_POST_ROUTING:
		*hook = HOOK_LEARN;
		return true;
	default:
		return false;
	}
}

#endif
