/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names and sentences of the reasons.
 */
#include "sallyport/core/reason.h"

#include <stddef.h>

static const struct {
	const char *name, *text;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"none", "nothing to say"},
    [PASS_RULE] = {"pass.rule", "a rule allows this new connection"},
    [PASS_DEFAULT] = {"pass.default", "no rule matches, and the default allows it"},
    [PASS_CONNECTION] = {"pass.connection", "it belongs to an open connection"},
    [PASS_RELATED] = {"pass.related", "an ICMP error about an open connection"},
    [PASS_LEARNED] = {"pass.learned", "it leaves through address translation; its replies may come back"},
    [PASS_PICKUP] = {"pass.pickup", "a connection taken up in mid-stream (pickup on)"},
    [PASS_RESET] = {"pass.reset", "this host's own reset for something that has no connection"},
    [DROP_RULE] = {"drop.rule", "a rule drops it"},
    [DROP_DEFAULT] = {"drop.default", "no rule matches, and the default drops it"},
    [REJECT_RULE] = {"reject.rule", "a rule rejects it"},
    [REJECT_DEFAULT] = {"reject.default", "no rule matches, and the default rejects it"},
    [DROP_CUT] = {"drop.cut", "its connection was killed, or the rules no longer allow it"},
    [DROP_NO_CONNECTION] = {"drop.no-connection", "it opens no connection and belongs to none"},
    [DROP_STATE] = {"drop.state", "the connection's state does not allow this TCP segment"},
    [DROP_WINDOW] = {"drop.window", "a TCP segment outside the connection's window"},
    [DROP_STRAY_ERROR] = {"drop.stray-error", "an ICMP error about no known connection"},
    [DROP_TABLE_FULL] = {"drop.table-full", "the table is full of connections that are worth more"},
    [DROP_TRUNCATED] = {"drop.truncated", "a header is cut short"},
    [DROP_HEADER] = {"drop.header", "a header contradicts itself or is not understood"},
    [DROP_FLAGS] = {"drop.flags", "TCP flags that no TCP sends together"},
    [DROP_FRAGMENT] = {"drop.fragment", "a fragment that was not put together"},
    [DROP_ADDRESS] = {"drop.address", "an address that cannot stand there"},
};

const char *reason_name(enum reason reason) {
	return (size_t)reason < REASON_COUNT ? reasons[reason].name : "unknown";
}

const char *reason_text(enum reason reason) {
	return (size_t)reason < REASON_COUNT ? reasons[reason].text : "unknown";
}

bool reason_passes(enum reason reason) {
	return reason >= PASS_RULE && reason <= PASS_RESET;
}
