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

static uint32_t attribute_u32(struct nlattr *const *attributes, int type) {
	return attributes[type] ? ntohl(mnl_attr_get_u32(attributes[type])) : 0;
}

/* NFQA_CAP_LEN is only there where the payload was cut. */
static void read_payload(struct nlattr *const *attributes, struct queued *packet) {
	uint32_t whole = attribute_u32(attributes, NFQA_CAP_LEN);

	packet->bytes = mnl_attr_get_payload(attributes[NFQA_PAYLOAD]);
	packet->captured = mnl_attr_get_payload_len(attributes[NFQA_PAYLOAD]);
	packet->length = whole > packet->captured ? whole : packet->captured;
}

enum queue_message queue_message_read(const void *bytes, size_t length, struct queued *packet) {
	const struct nlmsghdr *message = bytes;
	struct nlattr *attributes[NFQA_MAX + 1] = {NULL};
	const struct nfqnl_msg_packet_hdr *header;

	if (!message_fits(message, (int)length))
		return QUEUE_MESSAGE_UNREADABLE;
	if (message->nlmsg_type != ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET))
		return QUEUE_MESSAGE_OTHER;
	if (nfq_nlmsg_parse(message, attributes) < 0 || !attributes[NFQA_PACKET_HDR])
		return QUEUE_MESSAGE_UNREADABLE;
	header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	packet->id = ntohl(header->packet_id);
	if (!hook_of(header->hook, &packet->hook))
		return QUEUE_MESSAGE_FOREIGN;
	if (!attributes[NFQA_PAYLOAD] || !attribute_fits(message, attributes[NFQA_PAYLOAD]))
		return QUEUE_MESSAGE_EMPTY;
	packet->mark = attribute_u32(attributes, NFQA_MARK);
	packet->interface =
	    attribute_u32(attributes, packet->hook == HOOK_IN ? NFQA_IFINDEX_INDEV : NFQA_IFINDEX_OUTDEV);
	read_payload(attributes, packet);
	return QUEUE_MESSAGE_PACKET;
}
