/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What __build_packet_message of net/netfilter/nfnetlink_log.c writes, read.
 */
#include "copies_message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "hook.h"
#include "netlink.h"

/* What one netlink message says, by attribute; those of the kernel's numbers that are wanted here. */
struct attributes {
	const struct nlmsghdr *message;
	const struct nfulnl_msg_packet_hdr *header;
	const struct nlattr *payload, *in, *out, *number;
};

static int note(const struct nlattr *attribute, void *context) {
	struct attributes *found = context;

	if (!attribute_fits(found->message, attribute))
		return MNL_CB_ERROR;
	switch (mnl_attr_get_type(attribute)) {
	case NFULA_PACKET_HDR:
		if (mnl_attr_get_payload_len(attribute) >= sizeof(*found->header))
			found->header = mnl_attr_get_payload(attribute);
		break;
	case NFULA_PAYLOAD:
		found->payload = attribute;
		break;
	case NFULA_IFINDEX_INDEV:
		found->in = attribute;
		break;
	case NFULA_IFINDEX_OUTDEV:
		found->out = attribute;
		break;
	case NFULA_SEQ:
		found->number = attribute;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static uint32_t read_u32(const struct nlattr *attribute) {
	return attribute && mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t)
		   ? ntohl(mnl_attr_get_u32(attribute))
		   : 0;
}

/* nflog does not say how long the packet was; its header does, and who reads that checks it. */
static size_t length_of(const uint8_t *bytes, size_t captured) {
	size_t length = captured;

	if (captured >= 4 && bytes[0] >> 4 == 4)
		length = (size_t)(bytes[2] << 8 | bytes[3]);
	else if (captured >= 6 && bytes[0] >> 4 == 6)
		length = 40 + (size_t)(bytes[4] << 8 | bytes[5]);
	return length < captured ? captured : length;
}

static void count_gap(struct copy_numbers *numbers, const struct nlattr *number) {
	uint32_t seen = read_u32(number);

	if (!number)
		return;
	if (numbers->known)
		numbers->lost += seen - numbers->next;
	numbers->known = true;
	numbers->next = seen + 1;
}

static bool read_copy(struct copy_numbers *numbers, const struct nlmsghdr *message, struct copied *copied) {
	struct attributes found = {.message = message};

	if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
	    mnl_attr_parse(message, sizeof(struct nfgenmsg), note, &found) < 0)
		return false;
	count_gap(numbers, found.number);
	if (!found.header || !found.payload || !hook_of(found.header->hook, &copied->hook))
		return false;
	copied->interface = read_u32(copied->hook == HOOK_IN ? found.in : found.out);
	copied->bytes = mnl_attr_get_payload(found.payload);
	copied->captured = mnl_attr_get_payload_len(found.payload);
	copied->length = length_of(copied->bytes, copied->captured);
	return true;
}

int copies_message_read(const void *bytes, size_t length, struct copy_numbers *numbers,
			void (*see)(const struct copied *copied, void *context), void *context) {
	const struct nlmsghdr *message = bytes;
	int left = (int)length, count = 0;

	for (; message_fits(message, left); message = mnl_nlmsg_next(message, &left)) {
		struct copied copied;

		if (!read_copy(numbers, message, &copied))
			continue;
		see(&copied, context);
		count++;
	}
	return count;
}
