/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The packet is judged as if it were seen behind the translation, where what leaves for somebody else is
 * seen too: it belongs to a connection or it does not; the rules are not asked.
 */
#include "sallyport/daemon/redirect.h"

#include "sallyport/kernel/translation.h"

static bool may_answer(const struct packet *packet) {
	switch (packet->tuple.protocol) {
	case PROTOCOL_TCP:
		return !tcp_is_pure_syn(&packet->tcp);
	case PROTOCOL_UDP:
		return true;
	default:
		return false;
	}
}

/* As the wire will show it. */
static bool translate(struct redirects *redirects, const struct packet *packet, const struct arrival *arrival,
		      struct packet *outer, struct arrival *behind) {
	struct key inner, shown;

	if (arrival->hook != HOOK_OUT || packet->icmp_error || !may_answer(packet))
		return false;
	inner = key_of_packet(packet, DIRECTION_OUT);
	if (!translation_outer(redirects->translations, &inner, &shown))
		return false;
	*outer = *packet;
	outer->tuple.src = shown.local;
	outer->tuple.src_port = shown.local_port;
	*behind = *arrival;
	behind->hook = HOOK_LEARN;
	return true;
}

void redirect_judge(struct redirects *redirects, struct filter *filter, const struct policy *policy,
		    const struct packet *packet, const struct arrival *arrival, uint32_t now,
		    struct decision *decision) {
	struct decision again;
	struct packet outer;
	struct arrival behind;

	if (!translate(redirects, packet, arrival, &outer, &behind))
		return;
	again = filter_packet(filter, policy, &outer, &behind, now);
	if (again.reason != PASS_CONNECTION)
		return;
	atomic_store_explicit(redirects->seen, true, memory_order_relaxed);
	*decision = again;
}

bool redirect_see(struct redirects *redirects, struct filter *filter, const struct policy *policy,
		  const struct packet *packet, const struct arrival *arrival, uint32_t now) {
	struct packet outer;
	struct arrival behind;

	return atomic_load_explicit(redirects->seen, memory_order_relaxed) &&
	       translate(redirects, packet, arrival, &outer, &behind) &&
	       filter_see(filter, policy, &outer, &behind, now);
}
