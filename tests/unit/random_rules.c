/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes random rules, keeps what they mean, judges by that.
 */
#include "random_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const patterns[] = {"eth0", "eth1", "wg*", "wg0", "e*", "lo", "*"}; /* `not *` is none */

enum { PATTERNS = sizeof(patterns) / sizeof(*patterns) };

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t dice_next(struct dice *dice) {
	uint64_t z = dice->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t roll(struct dice *dice, uint32_t sides) {
	return (dice_next(dice) >> 32) * sides >> 32;
}

bool chance(struct dice *dice, uint32_t percent) {
	return roll(dice, 100) < percent;
}

/* ---- the judge ---- */

bool model_is_ipv4(const struct addr *addr) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr->bytes, mapped, sizeof(mapped)) == 0;
}

static bool judge_in_range(const struct addr_range *range, const struct addr *addr) {
	return model_is_ipv4(&range->lo) == model_is_ipv4(addr) &&
	       memcmp(range->lo.bytes, addr->bytes, 16) <= 0 && memcmp(addr->bytes, range->hi.bytes, 16) <= 0;
}

static bool judge_addrs(const struct model_addrs *addrs, const struct addr *addr) {
	bool found = false;

	if (!addrs->given)
		return true;
	for (unsigned i = 0; i < addrs->count; i++)
		if (judge_in_range(&addrs->ranges[i], addr))
			found = true;
	return addrs->negate ? !found : found;
}

static bool judge_ports(const struct model_ports *ports, unsigned port) {
	bool found = false;

	if (!ports->given)
		return true;
	for (unsigned i = 0; i < ports->count; i++)
		if (ports->ranges[i].lo <= port && port <= ports->ranges[i].hi)
			found = true;
	return ports->negate ? !found : found;
}

static bool judge_what(const struct model_rule *rule, const struct question *question) {
	bool icmp = question->protocol == PROTOCOL_ICMP || question->protocol == PROTOCOL_ICMPV6;
	unsigned port = icmp ? question->icmp_type : question->to_port;

	if (rule->any)
		return true;
	for (unsigned i = 0; i < rule->service_count; i++) {
		const struct match *service = &rule->services[i];
		if (service->protocol == question->protocol && service->ports.lo <= port &&
		    port <= service->ports.hi)
			return true;
	}
	for (unsigned i = 0; i < rule->protocol_count; i++)
		if (rule->protocols[i] == question->protocol)
			return judge_ports(&rule->ports, port);
	return false;
}

static bool judge_interface(const struct model_rule *rule, const char *name) {
	bool found = false;

	if (rule->name_count == 0)
		return true;
	if (!name)
		return false;
	for (unsigned i = 0; i < rule->name_count; i++) {
		const char *pattern = rule->names[i];
		size_t stem = strcspn(pattern, "*");
		if (pattern[stem] == '*' ? strncmp(pattern, name, stem) == 0 : strcmp(pattern, name) == 0)
			found = true;
	}
	return rule->on_negate ? !found : found;
}

struct judgement model_judge(const struct model *model, const struct question *question) {
	for (size_t i = 0; i < model->count; i++) {
		const struct model_rule *rule = &model->rules[i];
		if (rule->direction != question->direction)
			continue;
		if (!judge_what(rule, question))
			continue;
		if (!judge_addrs(&rule->from, &question->from) || !judge_addrs(&rule->to, &question->to))
			continue;
		if (!judge_ports(&rule->from_ports, question->from_port))
			continue;
		if (!judge_ports(&rule->to_ports, question->to_port))
			continue;
		if (!judge_interface(rule, question->interface))
			continue;
		return (struct judgement){rule->action, rule->line};
	}
	return (struct judgement){model->defaults[question->direction], 0};
}

/* ---- text ---- */

static void put(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct model *model, const char *format, ...) {
	char piece[256];
	va_list args;

	va_start(args, format);
	size_t length = vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	if (length >= sizeof(piece))
		abort();
	if (model->length + length + 1 > model->room) {
		model->room = (model->length + length + 1) * 2;
		model->text = realloc(model->text, model->room);
		if (!model->text)
			abort();
	}
	memcpy(model->text + model->length, piece, length + 1);
	model->length += length;
	for (const char *at = piece; *at; at++)
		model->lines += *at == '\n';
}

static void put_addr(struct model *model, const struct addr *addr) {
	const uint8_t *b = addr->bytes;

	if (model_is_ipv4(addr)) {
		put(model, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
		return;
	}
	for (int i = 0; i < 16; i += 2)
		put(model, "%s%x", i ? ":" : "", b[i] << 8 | b[i + 1]);
}

/* ---- random parts ---- */

static struct addr random_addr(struct dice *dice) {
	uint8_t ipv6[16] = {0x20, 0x01, 0x0d, 0xb8};
	uint8_t ipv4[4] = {10, 0, roll(dice, 4), roll(dice, 256)};

	switch (roll(dice, 12)) {
	case 0:
		return addr_from_ipv4((const uint8_t[4]){0});
	case 1:
		return addr_from_ipv4((const uint8_t[4]){255, 255, 255, 255});
	case 2:
		return addr_from_ipv6((const uint8_t[16]){0});
	case 3:
		memset(ipv6, 0xff, sizeof(ipv6));
		return addr_from_ipv6(ipv6);
	case 4:
	case 5:
	case 6:
		ipv6[7] = roll(dice, 4);
		ipv6[15] = roll(dice, 256);
		return addr_from_ipv6(ipv6);
	default:
		return addr_from_ipv4(ipv4);
	}
}

static struct addr prefix_end(struct addr addr, unsigned length, bool high) {
	for (unsigned bit = length; bit < 128; bit++) {
		uint8_t mask = 0x80 >> bit % 8;
		addr.bytes[bit / 8] = high ? addr.bytes[bit / 8] | mask : addr.bytes[bit / 8] & ~mask;
	}
	return addr;
}

/* Writes an address, a prefix or a range around one of the model's addresses. */
static struct addr_range put_range(struct model *model) {
	static const uint8_t lengths4[] = {0, 1, 8, 16, 22, 23, 24, 25, 30, 31, 32};
	static const uint8_t lengths6[] = {0, 32, 48, 60, 63, 64, 65, 120, 127, 128};
	struct dice *dice = model->dice;
	struct addr addr = model->addrs[roll(dice, 12)], other = model->addrs[roll(dice, 12)];
	bool ipv4 = model_is_ipv4(&addr);

	if (chance(dice, 35)) {
		put_addr(model, &addr);
		return (struct addr_range){addr, addr};
	}
	if (chance(dice, 40) && model_is_ipv4(&other) == ipv4) {
		struct addr_range range = {addr, other};
		if (memcmp(addr.bytes, other.bytes, 16) > 0)
			range = (struct addr_range){other, addr};
		put_addr(model, &range.lo);
		put(model, "-");
		put_addr(model, &range.hi);
		return range;
	}
	unsigned length =
	    ipv4 ? lengths4[roll(dice, sizeof(lengths4))] : lengths6[roll(dice, sizeof(lengths6))];
	unsigned bits = ipv4 ? length + 96 : length;
	struct addr_range range = {prefix_end(addr, bits, false), prefix_end(addr, bits, true)};
	if (model_is_ipv4(&range.hi) != ipv4) /* :: with a length that reaches into the IPv4 stretch */
		range = (struct addr_range){addr, addr}, length = 128;
	put_addr(model, &range.lo);
	put(model, "/%u", length);
	return range;
}

static struct port_range put_port_range(struct model *model, unsigned max) {
	struct dice *dice = model->dice;
	uint16_t one = model->ports[roll(dice, 10)], two = model->ports[roll(dice, 10)];

	if (max == 255) {
		one &= 0x0f;
		two &= 0x0f;
	}
	if (max == 65535 && chance(dice, 5)) {
		put(model, "well-known");
		return (struct port_range){0, 1023};
	}
	if (max == 65535 && chance(dice, 5)) {
		put(model, "dynamic");
		return (struct port_range){49152, 65535};
	}
	if (chance(dice, 60)) {
		put(model, "%u", one);
		return (struct port_range){one, one};
	}
	struct port_range range = {one < two ? one : two, one < two ? two : one};
	put(model, "%u-%u", range.lo, range.hi);
	return range;
}

static void put_ports(struct model *model, struct model_ports *ports, unsigned max) {
	unsigned count = chance(model->dice, 5) ? 20 : 1 + roll(model->dice, 3);

	ports->given = true;
	ports->negate = chance(model->dice, 15);
	if (ports->negate)
		put(model, " not");
	for (ports->count = 0; ports->count < count; ports->count++) {
		put(model, "%s", ports->count ? "," : " ");
		ports->ranges[ports->count] = put_port_range(model, max);
	}
}

static void add_set(struct model *model, struct model_addrs *addrs, const struct model_addrs *set) {
	(void)model;
	for (unsigned i = 0; i < set->count && addrs->count < MODEL_ITEMS; i++)
		addrs->ranges[addrs->count++] = set->ranges[i];
}

static void put_addrs(struct model *model, struct model_addrs *addrs) {
	unsigned items = 1 + roll(model->dice, 3);

	if (chance(model->dice, 8)) {
		put(model, " any");
		return;
	}
	addrs->given = true;
	addrs->negate = chance(model->dice, 15);
	if (addrs->negate)
		put(model, " not");
	for (unsigned i = 0; i < items; i++) {
		put(model, "%s", i ? (chance(model->dice, 50) ? ", " : ",") : " ");
		if (chance(model->dice, 20) && addrs->count < 16) {
			unsigned set = roll(model->dice, MODEL_SETS);
			put(model, "@set%u", set);
			add_set(model, addrs, &model->sets[set]);
		} else {
			addrs->ranges[addrs->count++] = put_range(model);
		}
	}
}

/* ---- rules ---- */

static bool has_port_protocol(const struct model_rule *rule) {
	if (rule->service_count > 0)
		return true;
	for (unsigned i = 0; i < rule->protocol_count; i++)
		if (rule->protocols[i] != PROTOCOL_TCP && rule->protocols[i] != PROTOCOL_UDP)
			return false;
	return rule->protocol_count > 0;
}

static void put_protocols(struct model *model, struct model_rule *rule) {
	static const struct {
		const char *text;
		uint8_t count, protocols[3];
		unsigned max_port;
	} choices[] = {
	    {"tcp", 1, {6}, 65535},  {"tcp", 1, {6}, 65535},     {"tcp", 1, {6}, 65535},
	    {"udp", 1, {17}, 65535}, {"udp", 1, {17}, 65535},    {"17", 1, {17}, 65535},
	    {"icmp", 1, {1}, 255},   {"icmpv6", 1, {58}, 255},   {"gre", 1, {47}, 0},
	    {"esp", 1, {50}, 0},     {"gre,tcp", 2, {47, 6}, 0}, {"tcp,udp", 2, {6, 17}, 65535},
	};
	unsigned choice = roll(model->dice, sizeof(choices) / sizeof(*choices));

	put(model, " %s", choices[choice].text);
	rule->protocol_count = choices[choice].count;
	memcpy(rule->protocols, choices[choice].protocols, rule->protocol_count);
	if (choices[choice].max_port && chance(model->dice, 75))
		put_ports(model, &rule->ports, choices[choice].max_port);
}

static void put_what(struct model *model, struct model_rule *rule) {
	if (chance(model->dice, 12)) {
		rule->any = true;
		put(model, " any");
	} else if (chance(model->dice, 15)) {
		unsigned service = roll(model->dice, MODEL_SERVICES);
		put(model, " service%u", service);
		memcpy(rule->services, model->services[service], sizeof(model->services[service]));
		rule->service_count = 2;
	} else {
		put_protocols(model, rule);
	}
}

static void put_interfaces(struct model *model, struct model_rule *rule) {
	put(model, " on");
	rule->on_negate = chance(model->dice, 20);
	if (rule->on_negate)
		put(model, " not");
	unsigned count = 1 + roll(model->dice, 2);
	for (unsigned i = 0; i < count; i++) {
		rule->names[i] = patterns[roll(model->dice, PATTERNS - (rule->on_negate ? 1 : 0))];
		put(model, "%s%s", i ? "," : " ", rule->names[i]);
	}
	rule->name_count = count;
}

static void put_side(struct model *model, const char *word, const struct model_rule *rule,
		     struct model_addrs *addrs, struct model_ports *ports) {
	bool with_ports = has_port_protocol(rule) && chance(model->dice, 20);

	put(model, " %s", word);
	if (!with_ports || chance(model->dice, 50))
		put_addrs(model, addrs);
	if (with_ports) {
		put(model, " port");
		put_ports(model, ports, 65535);
	}
}

/* Where a list of ports begins or ends to hold: if two lists meet, they do at such a port. */
static unsigned edges_of(const struct model_ports *ports, unsigned *edges) {
	unsigned count = 0;

	for (unsigned i = 0; i < ports->count; i++) {
		edges[count++] = ports->ranges[i].lo;
		edges[count++] = ports->ranges[i].hi + 1;
	}
	return count;
}

static bool judge_service_port(const struct model_rule *rule, unsigned port) {
	if (rule->service_count == 0)
		return judge_ports(&rule->ports, port);
	for (unsigned i = 0; i < rule->service_count; i++)
		if (rule->services[i].ports.lo <= port && port <= rule->services[i].ports.hi)
			return true;
	return false;
}

/* The parser refuses lists of ports or types that leave nothing. */
static bool makes_sense(const struct model_rule *rule) {
	bool icmp = rule->protocol_count == 1 && (rule->protocols[0] == 1 || rule->protocols[0] == 58);
	bool from = false, meets = false;
	unsigned edges[8 * MODEL_ITEMS] = {0}, count = 1;

	count += edges_of(&rule->ports, edges + count);
	count += edges_of(&rule->from_ports, edges + count);
	count += edges_of(&rule->to_ports, edges + count);
	for (unsigned i = 0; i < rule->service_count; i++)
		edges[count++] = rule->services[i].ports.lo;
	for (unsigned i = 0; i < count; i++) {
		if (edges[i] > (icmp ? UINT8_MAX : UINT16_MAX))
			continue;
		from = from || judge_ports(&rule->from_ports, edges[i]);
		meets =
		    meets || (judge_service_port(rule, edges[i]) && judge_ports(&rule->to_ports, edges[i]));
	}
	return from && meets;
}

static void put_rule(struct model *model) {
	static const char *const actions[] = {"allow", "drop", "reject"};
	struct dice *dice = model->dice;
	struct model_rule *rule = &model->rules[model->count];
	size_t start = model->length;

	memset(rule, 0, sizeof(*rule));
	rule->line = model->lines + 1;
	rule->action = roll(dice, 3);
	rule->direction = chance(dice, 75) ? DIRECTION_IN : DIRECTION_OUT;
	put(model, "%s %s%s", actions[rule->action], rule->direction == DIRECTION_IN ? "in" : "out",
	    chance(dice, 10) ? " log" : "");
	put_what(model, rule);
	bool to_first = chance(dice, 20);
	for (unsigned turn = 0; turn < 2; turn++) {
		if ((turn == 0) == to_first && chance(dice, 25))
			put_side(model, "to", rule, &rule->to, &rule->to_ports);
		if ((turn == 0) != to_first && chance(dice, 65))
			put_side(model, "from", rule, &rule->from, &rule->from_ports);
	}
	bool strict = rule->action == ACTION_ALLOW && chance(dice, 15), strict_last = chance(dice, 50);
	if (strict && !strict_last)
		put(model, " strict");
	if (chance(dice, 15))
		put_interfaces(model, rule);
	if (strict && strict_last)
		put(model, " strict");
	if (!makes_sense(rule)) {
		model->length = start;
		model->text[start] = '\0';
		return;
	}
	put(model, "%s\n", chance(dice, 5) ? "  # why" : "");
	model->count++;
}

static void put_set(struct model *model, unsigned number) {
	struct model_addrs *set = &model->sets[number];
	unsigned count = number == 0 ? 20 : 1 + roll(model->dice, 4); /* 20: too many for the index */

	put(model, "set set%u =", number);
	for (set->count = 0; set->count < count; set->count++) {
		put(model, "%s", set->count ? ", " : " ");
		set->ranges[set->count] = put_range(model);
	}
	put(model, "\n");
}

/* The last set stands in a file of its own. */
static void put_set_file(struct model *model) {
	size_t start = model->length;
	unsigned lines = model->lines;
	struct model_addrs *set = &model->sets[MODEL_SETS - 1];

	for (set->count = 0; set->count < 3; set->count++) {
		set->ranges[set->count] = put_range(model);
		put(model, "\n");
	}
	model->set_text = strdup(model->text + start);
	if (!model->set_text)
		abort();
	model->length = start;
	model->lines = lines;
	put(model, "set set%u from file \"blocked.txt\"\n", MODEL_SETS - 1);
}

static void put_service(struct model *model, unsigned number) {
	struct match *match = model->services[number];

	match[0].protocol = PROTOCOL_TCP;
	match[1].protocol = chance(model->dice, 50) ? PROTOCOL_UDP : PROTOCOL_TCP;
	put(model, "service service%u = tcp ", number);
	match[0].ports = put_port_range(model, 1);
	put(model, ", %s ", match[1].protocol == PROTOCOL_TCP ? "tcp" : "udp");
	match[1].ports = put_port_range(model, 1);
	put(model, "\n");
}

static void put_settings(struct model *model) {
	if (chance(model->dice, 30))
		put(model, "pickup on\n");
	if (chance(model->dice, 30))
		put(model, "inspect %s\n", chance(model->dice, 70) ? "all" : "new");
	if (chance(model->dice, 30))
		put(model, "on-failure %s\n", chance(model->dice, 70) ? "closed" : "guard");
	if (chance(model->dice, 20))
		put(model, "busy never\n");
	else if (chance(model->dice, 20))
		put(model, "busy above %u/s\n", 1 + roll(model->dice, 5000));
	if (chance(model->dice, 30))
		put(model, "mark 0x00f00000\n");
	if (chance(model->dice, 30))
		put(model, "connections %u\n", 1000 + roll(model->dice, 100000));
	if (chance(model->dice, 30))
		put(model, "timeout established %us\n", 1 + roll(model->dice, 1000000));
	if (chance(model->dice, 30))
		put(model, "timeout udp %um\n", 1 + roll(model->dice, 100));
}

static void put_endpoint(struct model *model, const struct addr *addr, uint16_t port) {
	bool ipv4 = model_is_ipv4(addr);

	put(model, "%s", ipv4 ? "" : "[");
	put_addr(model, addr);
	put(model, "%s:%u", ipv4 ? "" : "]", port);
}

/* An expectation that holds. */
static void put_expectation(struct model *model) {
	static const char *const actions[] = {"allow", "drop", "reject"};
	struct question question = model_question(model);

	if ((question.protocol != PROTOCOL_TCP && question.protocol != PROTOCOL_UDP) ||
	    model_is_ipv4(&question.from) != model_is_ipv4(&question.to))
		return;
	put(model, "expect %s %s %s from ", actions[model_judge(model, &question).action],
	    question.direction == DIRECTION_IN ? "in" : "out",
	    question.protocol == PROTOCOL_TCP ? "tcp" : "udp");
	put_endpoint(model, &question.from, question.from_port);
	put(model, " to ");
	put_endpoint(model, &question.to, question.to_port);
	if (question.interface)
		put(model, " on %s", question.interface);
	put(model, "\n");
}

static void choose_values(struct model *model) {
	static const uint16_t some_ports[] = {0, 1, 22, 80, 1023, 1024, 49151, 49152, 65534, 65535};

	for (size_t i = 0; i < 12; i++)
		model->addrs[i] = random_addr(model->dice);
	for (size_t i = 0; i < 10; i++)
		model->ports[i] = chance(model->dice, 30)   ? some_ports[roll(model->dice, 10)]
				  : chance(model->dice, 50) ? 1 + roll(model->dice, 30)
							    : roll(model->dice, 65536);
}

struct model *model_new(struct dice *dice, const struct model_options *options) {
	static const char *const actions[] = {"allow", "drop", "reject"};
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		abort();
	model->dice = dice;
	model->defaults[DIRECTION_IN] = roll(dice, 3);
	model->defaults[DIRECTION_OUT] = roll(dice, 3);
	model->rules = calloc(options->rules + 1, sizeof(*model->rules));
	if (!model->rules)
		abort();
	choose_values(model);
	put(model, "default in %s\ndefault out %s\n", actions[model->defaults[DIRECTION_IN]],
	    actions[model->defaults[DIRECTION_OUT]]);
	if (!options->essentials)
		put(model, "essentials off\n");
	if (options->settings)
		put_settings(model);
	for (unsigned i = 0; i + 1 < MODEL_SETS; i++)
		put_set(model, i);
	put_set_file(model);
	for (unsigned i = 0; i < MODEL_SERVICES; i++)
		put_service(model, i);
	for (unsigned i = 0, count = roll(dice, options->rules + 1); i < count; i++)
		put_rule(model);
	for (unsigned i = 0; options->settings && !options->essentials && i < 3; i++)
		put_expectation(model);
	return model;
}

void model_free(struct model *model) {
	free(model->text);
	free(model->set_text);
	free(model->rules);
	free(model);
}
