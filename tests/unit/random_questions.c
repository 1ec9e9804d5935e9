/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Questions at the ends of what a model's rules name: there mistakes show.
 */
#include <string.h>

#include "random_rules.h"

static const char *const interfaces[] = {"eth0", "eth1", "wg0", "wg12", "lo"};

enum { INTERFACES = sizeof(interfaces) / sizeof(*interfaces) };

/* The address beside, within the same family; itself where there is none. */
static struct addr addr_beside(struct addr addr, bool up) {
	struct addr moved = addr;
	uint8_t limit = up ? 0xff : 0;

	for (int i = 15; i >= 0; i--) {
		bool carries = moved.bytes[i] == limit;
		moved.bytes[i] += up ? 1 : -1;
		if (!carries)
			break;
	}
	bool wrapped = up ? memcmp(moved.bytes, addr.bytes, 16) < 0 : memcmp(moved.bytes, addr.bytes, 16) > 0;
	return wrapped || model_is_ipv4(&moved) != model_is_ipv4(&addr) ? addr : moved;
}

static struct addr near_addrs(struct model *model, const struct model_addrs *addrs) {
	struct addr addr = model->addrs[roll(model->dice, 12)];

	if (addrs->count > 0 && chance(model->dice, 85)) {
		const struct addr_range *range = &addrs->ranges[roll(model->dice, addrs->count)];
		addr = chance(model->dice, 50) ? range->lo : range->hi;
	}
	if (chance(model->dice, 25))
		addr = addr_beside(addr, chance(model->dice, 50));
	return addr;
}

static uint16_t near_range(struct model *model, struct port_range range) {
	uint16_t port = chance(model->dice, 50) ? range.lo : range.hi;

	return chance(model->dice, 25) ? port + (chance(model->dice, 50) ? 1 : -1) : port;
}

static uint16_t near_ports(struct model *model, const struct model_ports *ports) {
	if (ports->count > 0 && chance(model->dice, 90))
		return near_range(model, ports->ranges[roll(model->dice, ports->count)]);
	return chance(model->dice, 50) ? model->ports[roll(model->dice, 10)] : roll(model->dice, 65536);
}

static uint8_t near_protocol(struct model *model, const struct model_rule *rule) {
	static const uint8_t protocols[] = {6, 6, 17, 1, 58, 47, 50, 132, 255};

	if (rule->protocol_count > 0 && chance(model->dice, 90))
		return rule->protocols[roll(model->dice, rule->protocol_count)];
	if (rule->service_count > 0 && chance(model->dice, 90))
		return rule->services[roll(model->dice, rule->service_count)].protocol;
	return protocols[roll(model->dice, sizeof(protocols))];
}

struct question model_question_at(struct model *model, const struct model_rule *rule) {
	struct question question = {
	    .direction = chance(model->dice, 95) ? rule->direction : !rule->direction,
	    .protocol = near_protocol(model, rule),
	    .from = near_addrs(model, &rule->from),
	    .to = near_addrs(model, &rule->to),
	    .interface = chance(model->dice, 10) ? NULL : interfaces[roll(model->dice, INTERFACES)],
	};
	bool ports = question.protocol == PROTOCOL_TCP || question.protocol == PROTOCOL_UDP;

	if (ports) {
		question.from_port = near_ports(model, &rule->from_ports);
		question.to_port = near_ports(model, rule->to_ports.count ? &rule->to_ports : &rule->ports);
		if (rule->service_count > 0 && chance(model->dice, 70))
			question.to_port = near_range(model, rule->services[roll(model->dice, 2)].ports);
	} else if (question.protocol == PROTOCOL_ICMP || question.protocol == PROTOCOL_ICMPV6) {
		question.icmp_type = near_ports(model, &rule->ports);
		question.from_port = roll(model->dice, 65536); /* the identifier: no rule asks for it */
	}
	return question;
}

struct question model_question(struct model *model) {
	static const struct model_rule nothing;
	const struct model_rule *rule =
	    model->count ? &model->rules[roll(model->dice, model->count)] : &nothing;
	struct question question = model_question_at(model, rule);

	if (model->count && chance(model->dice, 30)) { /* where two rules meet */
		rule = &model->rules[roll(model->dice, model->count)];
		question.from = near_addrs(model, &rule->from);
		question.to = near_addrs(model, &rule->to);
	}
	return question;
}
