/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * conntrack has two tuples a connection, one for the packets of each side as they come here: that of the
 * side that opened it, and the reply's. One is found by either. On this host's outer side what comes has the
 * first where the destination is translated (a published port), the second where the source is (masquerade).
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
#include <unistd.h>

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

static struct nlmsghdr *start_request(char *buffer, uint8_t family, uint16_t flags) {
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *head;

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = flags;
	head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	head->nfgen_family = family;
	head->version = NFNETLINK_V0;
	return request;
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
	struct nlmsghdr *request = start_request(
	    buffer, addr_family(&key->local) == FAMILY_IPV4 ? AF_INET : AF_INET6, NLM_F_REQUEST);
	struct nlattr *nest;

	nest = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
	put_addresses(request, key);
	put_ports(request, key);
	mnl_attr_nest_end(request, nest);
	return request;
}

/* ---- what it says ---- */

struct entry {
	struct key original, reply; /* remote -> local */
	uint32_t status;            /* IPS_... of linux/netfilter/nf_conntrack_common.h */
	uint8_t tcp;                /* TCP_CONNTRACK_... */
};

static void read_addr(const struct nlattr *four, const struct nlattr *six, struct addr *addr) {
	if (four && mnl_attr_get_payload_len(four) == 4)
		*addr = addr_from_ipv4(mnl_attr_get_payload(four));
	else if (six && mnl_attr_get_payload_len(six) == 16)
		*addr = addr_from_ipv6(mnl_attr_get_payload(six));
}

static uint16_t read_u16(const struct nlattr *attribute) {
	return attribute && mnl_attr_get_payload_len(attribute) == 2 ? ntohs(mnl_attr_get_u16(attribute)) : 0;
}

static uint8_t read_u8(const struct nlattr *attribute) {
	return attribute && mnl_attr_get_payload_len(attribute) == 1 ? mnl_attr_get_u8(attribute) : 0;
}

static void read_tuple(const struct nlattr *tuple, struct key *key) {
	const struct nlattr *ip = nested_attribute(tuple, CTA_TUPLE_IP);
	const struct nlattr *protocol = nested_attribute(tuple, CTA_TUPLE_PROTO);

	read_addr(nested_attribute(ip, CTA_IP_V4_SRC), nested_attribute(ip, CTA_IP_V6_SRC), &key->remote);
	read_addr(nested_attribute(ip, CTA_IP_V4_DST), nested_attribute(ip, CTA_IP_V6_DST), &key->local);
	key->protocol = read_u8(nested_attribute(protocol, CTA_PROTO_NUM));
	key->remote_port = read_u16(nested_attribute(protocol, CTA_PROTO_SRC_PORT));
	key->local_port = read_u16(nested_attribute(protocol, CTA_PROTO_DST_PORT));
}

static struct entry read_entry(const struct nlmsghdr *message) {
	struct entry entry = {0};
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, sizeof(struct nfgenmsg)) {
		switch (mnl_attr_get_type(attribute)) {
		case CTA_TUPLE_ORIG:
			read_tuple(attribute, &entry.original);
			break;
		case CTA_TUPLE_REPLY:
			read_tuple(attribute, &entry.reply);
			break;
		case CTA_STATUS:
			if (mnl_attr_get_payload_len(attribute) == sizeof(uint32_t))
				entry.status = ntohl(mnl_attr_get_u32(attribute));
			break;
		case CTA_PROTOINFO:
			entry.tcp = read_u8(nested_attribute(nested_attribute(attribute, CTA_PROTOINFO_TCP),
							     CTA_PROTOINFO_TCP_STATE));
			break;
		default:
			break;
		}
	}
	return entry;
}

static bool may_speak(const struct entry *entry) {
	return entry->tcp == TCP_CONNTRACK_ESTABLISHED || entry->tcp == TCP_CONNTRACK_FIN_WAIT ||
	       entry->tcp == TCP_CONNTRACK_CLOSE_WAIT;
}

/* Asking would load it. */
static bool is_tracking(void) {
	return access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) == 0;
}

/* The same packets seen from the other end. */
static struct key turned(const struct key *key) {
	return (struct key){
	    .local = key->remote,
	    .remote = key->local,
	    .local_port = key->remote_port,
	    .remote_port = key->local_port,
	    .protocol = key->protocol,
	};
}

/* ---- one ---- */

static int take_entry(const struct nlmsghdr *message, void *context) {
	*(struct entry *)context = read_entry(message);
	return MNL_CB_STOP;
}

/* The entry that has remote -> local as one of its tuples. False: errno, 0 where the answer holds none;
 * ENOENT where there is none. */
static bool find_entry(struct translations *translations, const struct key *key, struct entry *entry) {
	char buffer[4096];
	struct nlmsghdr *request = build_question(buffer, key);
	ssize_t length;

	*entry = (struct entry){0};
	errno = 0;
	/* The kernel has answered when the request is sent (net/netfilter/nfnetlink.c). */
	if (mnl_socket_sendto(translations->netlink, request, request->nlmsg_len) < 0)
		return false;
	length = receive_from_kernel(translations->netlink, buffer, sizeof(buffer), MSG_DONTWAIT);
	return length > 0 &&
	       datagram_run(buffer, (size_t)length, 0, mnl_socket_get_portid(translations->netlink),
			    take_entry, entry) != MNL_CB_ERROR &&
	       entry->original.protocol != 0;
}

enum translated translation_find(struct translations *translations, const struct key *key) {
	struct entry entry;

	if (!find_entry(translations, key, &entry))
		return errno == ENOENT ? TRANSLATED_NONE : TRANSLATED_UNKNOWN;
	if (!(entry.status & IPS_NAT_MASK))
		return TRANSLATED_NONE;
	return may_speak(&entry) ? TRANSLATED_OPEN : TRANSLATED_ENDED;
}

static bool find_redirected(struct translations *translations, const struct key *key, struct entry *entry) {
	return is_tracking() && find_entry(translations, key, entry) && entry->status & IPS_DST_NAT;
}

bool translation_outer(struct translations *translations, const struct key *inner, struct key *outer) {
	struct key reply = turned(inner);
	struct entry entry;

	if (!find_redirected(translations, &reply, &entry) || !key_equal(&entry.reply, &reply))
		return false;
	*outer = entry.original;
	return true;
}

bool translation_inner(struct translations *translations, const struct key *outer, struct key *inner) {
	struct entry entry;

	if (!find_redirected(translations, outer, &entry) || !key_equal(&entry.original, outer))
		return false;
	*inner = turned(&entry.reply);
	return true;
}

/* ---- all ---- */

struct walk {
	void (*see)(const struct translated_connection *, void *);
	void *context;
};

/* Who has sent FIN conntrack does not say; the opener has more often. */
static bool find_state(const struct entry *entry, uint8_t *state) {
	if (entry->reply.protocol != entry->original.protocol)
		return false;
	if (entry->original.protocol == PROTOCOL_UDP) {
		*state = entry->status & IPS_SEEN_REPLY ? UDP_REPLIED : UDP_NEW;
		return true;
	}
	*state = entry->tcp == TCP_CONNTRACK_ESTABLISHED ? TCP_ESTABLISHED : TCP_FIN_WAIT;
	return entry->original.protocol == PROTOCOL_TCP && may_speak(entry);
}

static int see_entry(const struct nlmsghdr *message, void *context) {
	const struct walk *walk = context;
	struct entry entry = read_entry(message);
	struct translated_connection in = {entry.original, DIRECTION_IN, turned(&entry.reply), 0};
	struct translated_connection out = {entry.reply, DIRECTION_OUT, turned(&entry.original), 0};

	if (!find_state(&entry, &in.state))
		return MNL_CB_OK;
	out.state = in.state;
	if (entry.status & IPS_DST_NAT)
		walk->see(&in, walk->context);
	if (entry.status & IPS_SRC_NAT)
		walk->see(&out, walk->context);
	return MNL_CB_OK;
}

bool translations_see(struct translations *translations,
		      void (*see)(const struct translated_connection *, void *), void *context,
		      struct error *err) {
	struct walk walk = {see, context};
	char buffer[256];
	struct nlmsghdr *request = start_request(buffer, AF_UNSPEC, NLM_F_REQUEST | NLM_F_DUMP);

	return !is_tracking() || nft_dump(translations->netlink, request, see_entry, &walk, err);
}
