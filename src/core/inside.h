/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether all that one list matches is also matched by another. True is always right;
 * false may mean "too hard to tell".
 */
#ifndef SALLYPORT_CORE_INSIDE_H
#define SALLYPORT_CORE_INSIDE_H

#include "sallyport/core/rule.h"

/* How much work addrs_inside may be. */
size_t addrs_work(const struct addr_list *inner, const struct addr_list *outer);
bool addrs_inside(const struct addr_list *inner, const struct addr_list *outer);
bool ports_inside(const struct port_list *inner, const struct port_list *outer);
bool interfaces_inside(const struct interface_list *inner, const struct interface_list *outer);

#endif
