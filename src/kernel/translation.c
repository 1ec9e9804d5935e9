/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A connection is found by either of its two tuples. The one that this host sees coming from
 * outside is known whoever opened it.
 */
#include "sallyport/kernel/translation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "netlink.h"

struct translations {
	struct mnl_socket *netlink;
};

struct translations *translations_open(struct error *err) {
	struct translations *translations = calloc(1, sizeof(*translations));

	if (!translations) {
		error_set(err, "out of memory");
		return NULL;
	}
	translations->netlink = nft_socket_open(err);
	if (translations->netlink)
		return translations;
	free(translations);
	return NULL;
}

void translations_close(struct translations *translations) {
	if (!translations)
		return;
	mnl_socket_close(translations->netlink);
	free(translations);
}

static void put_addresses(struct nlmsghdr *request, const struct key *key) {
	bool four = addr_family(&key->local) == FAMILY_IPV4;
	size_t skip = four ? 12 : 0, length = four ? 4 : 16;
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_IP);

	mnl_attr_put(request, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, length, key->remote.bytes + skip);
	mnl_attr_put(request, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, length, key->local.bytes + skip);
	mnl_attr_nest_end(request, nest);
}

static void put_ports(struct nlmsghdr *request, const struct key *key) {
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(request, CTA_PROTO_NUM, key->protocol);
	mnl_attr_put_u16(request, CTA_PROTO_SRC_PORT, htons(key->remote_port));
	mnl_attr_put_u16(request, CTA_PROTO_DST_PORT, htons(key->local_port));
	mnl_attr_nest_end(request, nest);
}

static struct nlmsghdr *build_question(char *buffer, const struct key *key) {
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *head;
	struct nlattr *nest;

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = NLM_F_REQUEST;
	head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	head->nfgen_family = addr_family(&key->local) == FAMILY_IPV4 ? AF_INET : AF_INET6;
	head->version = NFNETLINK_V0;
	nest = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
	put_addresses(request, key);
	put_ports(request, key);
	mnl_attr_nest_end(request, nest);
	return request;
}

static bool may_speak(const struct nlattr *protocol) {
	const struct nlattr *state =
	    nested_attribute(nested_attribute(protocol, CTA_PROTOINFO_TCP), CTA_PROTOINFO_TCP_STATE);
	uint8_t value = state && mnl_attr_get_payload_len(state) == 1 ? mnl_attr_get_u8(state) : 0;

	return value == TCP_CONNTRACK_ESTABLISHED || value == TCP_CONNTRACK_FIN_WAIT ||
	       value == TCP_CONNTRACK_CLOSE_WAIT;
}

static bool is_translated(const struct nlattr *status) {
	return mnl_attr_get_payload_len(status) == sizeof(uint32_t) &&
	       ntohl(mnl_attr_get_u32(status)) & IPS_NAT_MASK;
}

static int note_connection(const struct nlmsghdr *message, void *context) {
	enum translated *found = context;
	const struct nlattr *attribute;
	bool translated = false, speaks = false;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attribute) == CTA_STATUS)
			translated = is_translated(attribute);
		else if (mnl_attr_get_type(attribute) == CTA_PROTOINFO)
			speaks = may_speak(attribute);
	}
	*found = translated && speaks ? TRANSLATED_OPEN : TRANSLATED_NONE;
	return MNL_CB_STOP;
}

enum translated translation_find(struct translations *translations, const struct key *key) {
	enum translated found = TRANSLATED_UNKNOWN;
	char buffer[4096];
	struct nlmsghdr *request = build_question(buffer, key);
	ssize_t length;

	/* The kernel has answered when the request is sent (net/netfilter/nfnetlink.c). */
	if (mnl_socket_sendto(translations->netlink, request, request->nlmsg_len) < 0)
		return TRANSLATED_UNKNOWN;
	length = receive_from_kernel(translations->netlink, buffer, sizeof(buffer), MSG_DONTWAIT);
	if (length > 0 &&
	    datagram_run(buffer, (size_t)length, 0, mnl_socket_get_portid(translations->netlink),
			 note_connection, &found) == MNL_CB_ERROR &&
	    errno == ENOENT)
		return TRANSLATED_NONE;
	return found;
}
