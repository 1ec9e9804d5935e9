/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Three dumps by rtnetlink. That something has changed links_watch tells.
 */
#include "sallyport/kernel/forwarding.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWER_ROOM = 32 * 1024 };

/* The attribute of that type, as a number; 0: not there. */
static int number_of(const struct nlmsghdr *message, size_t head, uint16_t type) {
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, message, head) {
		if (mnl_attr_get_type(attribute) == type &&
		    mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t))
			return (int)mnl_attr_get_u32(attribute);
	}
	return 0;
}

/* "default" is only about interfaces to come. */
static int see_configuration(const struct nlmsghdr *message, void *context) {
	bool *forwards = context;

	if (message->nlmsg_type == RTM_NEWNETCONF &&
	    number_of(message, sizeof(struct netconfmsg), NETCONFA_IFINDEX) != NETCONFA_IFINDEX_DEFAULT &&
	    number_of(message, sizeof(struct netconfmsg), NETCONFA_FORWARDING) != 0)
		*forwards = true;
	return MNL_CB_OK;
}

static bool is_bridge(const struct nlattr *link_info) {
	const struct nlattr *attribute;

	mnl_attr_for_each_nested(attribute, link_info) {
		if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND &&
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
			return strcmp(mnl_attr_get_str(attribute), "bridge") == 0;
	}
	return false;
}

static int see_link(const struct nlmsghdr *message, void *context) {
	bool *forwards = context;
	const struct nlattr *attribute;

	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, message, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attribute) == IFLA_LINKINFO && is_bridge(attribute))
			*forwards = true;
	}
	return MNL_CB_OK;
}

static bool receive(struct mnl_socket *socket, uint32_t number, mnl_cb_t see, bool *forwards) {
	char answer[ANSWER_ROOM];
	int more = MNL_CB_OK;

	while (more > MNL_CB_STOP) {
		ssize_t length = mnl_socket_recvfrom(socket, answer, sizeof(answer));

		if (length < 0 && errno == EINTR)
			continue;
		more = length < 0 ? MNL_CB_ERROR
				  : mnl_cb_run(answer, (size_t)length, number, mnl_socket_get_portid(socket),
					       see, forwards);
	}
	return more != MNL_CB_ERROR;
}

static struct nlmsghdr *dump_request(char *buffer, uint16_t type, uint32_t number) {
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = number;
	return request;
}

static bool read_configuration(struct mnl_socket *socket, uint8_t family, bool *forwards) {
	char buffer[256];
	struct nlmsghdr *request = dump_request(buffer, RTM_GETNETCONF, family);
	struct netconfmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));

	head->ncm_family = family;
	return mnl_socket_sendto(socket, request, request->nlmsg_len) >= 0 &&
	       receive(socket, family, see_configuration, forwards);
}

/* A kernel without IPv6 knows nothing of its configuration. */
static bool read_ipv6(struct mnl_socket *socket, bool *forwards) {
	return read_configuration(socket, AF_INET6, forwards) || errno == EOPNOTSUPP;
}

static bool read_bridges(struct mnl_socket *socket, bool *forwards) {
	char buffer[256];
	struct nlmsghdr *request = dump_request(buffer, RTM_GETLINK, RTM_GETLINK);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	struct nlattr *info;

	head->ifi_family = AF_UNSPEC;
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(request, info);
	return mnl_socket_sendto(socket, request, request->nlmsg_len) >= 0 &&
	       receive(socket, RTM_GETLINK, see_link, forwards);
}

bool forwarding_read(bool *forwards, struct error *err) {
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	bool done;

	*forwards = false;
	done = socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	       read_configuration(socket, AF_INET, forwards) && read_ipv6(socket, forwards) &&
	       read_bridges(socket, forwards);
	if (!done)
		error_set(err, "cannot read whether this host forwards packets: %s", strerror(errno));
	if (socket)
		mnl_socket_close(socket);
	return done;
}
