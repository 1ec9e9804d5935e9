/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What nfqnl_build_packet_message of net/netfilter/nfnetlink_queue.c writes, read.
 */
#include "queue_message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "hook.h"
#include "netlink.h"

struct reading {
	const struct nlmsghdr *message;
	struct nlattr *attributes[NFQA_MAX + 1];
};

/* NULL: there is none, or not all of it. */
static const struct nlattr *whole(const struct reading *reading, int type) {
	const struct nlattr *attribute = reading->attributes[type];

	return attribute && attribute_fits(reading->message, attribute) ? attribute : NULL;
}

static uint32_t read_u32(const struct reading *reading, int type) {
	const struct nlattr *attribute = whole(reading, type);

	return attribute ? ntohl(mnl_attr_get_u32(attribute)) : 0;
}

static void read_payload(const struct reading *reading, const struct nlattr *payload, struct queued *packet) {
	uint32_t said = read_u32(reading, NFQA_CAP_LEN); /* only there where the payload was cut */

	packet->bytes = mnl_attr_get_payload(payload);
	packet->captured = mnl_attr_get_payload_len(payload);
	packet->length = said > packet->captured ? said : packet->captured;
}

static enum queue_message read_attributes(const struct reading *reading, struct queued *packet) {
	const struct nlattr *head = whole(reading, NFQA_PACKET_HDR);
	const struct nlattr *payload = whole(reading, NFQA_PAYLOAD);
	const struct nfqnl_msg_packet_hdr *header;

	if (!head)
		return QUEUE_MESSAGE_UNREADABLE;
	header = mnl_attr_get_payload(head);
	packet->id = ntohl(header->packet_id);
	if (!hook_of(header->hook, &packet->hook))
		return QUEUE_MESSAGE_FOREIGN;
	if (!payload)
		return QUEUE_MESSAGE_EMPTY;
	packet->mark = read_u32(reading, NFQA_MARK);
	packet->interface =
	    read_u32(reading, packet->hook == HOOK_IN ? NFQA_IFINDEX_INDEV : NFQA_IFINDEX_OUTDEV);
	read_payload(reading, payload, packet);
	return QUEUE_MESSAGE_PACKET;
}

enum queue_message queue_message_read(const void *bytes, size_t length, struct queued *packet) {
	struct reading reading = {.message = bytes};

	if (!message_fits(bytes, (int)length))
		return QUEUE_MESSAGE_UNREADABLE;
	if (reading.message->nlmsg_type != ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET))
		return QUEUE_MESSAGE_OTHER;
	if (nfq_nlmsg_parse(reading.message, reading.attributes) < 0)
		return QUEUE_MESSAGE_UNREADABLE;
	return read_attributes(&reading, packet);
}
