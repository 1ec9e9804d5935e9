/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two dumps a family: which ports are listened on, then what is connected.
 */
#include "sallyport/kernel/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Of include/net/tcp_states.h; netinet/tcp.h has them under names that core/tcp.h has too. */
enum kernel_state {
	KERNEL_ESTABLISHED = 1,
	KERNEL_FIN_WAIT1 = 4,
	KERNEL_FIN_WAIT2 = 5,
	KERNEL_CLOSE_WAIT = 8,
	KERNEL_LAST_ACK = 9,
	KERNEL_LISTEN = 10,
	KERNEL_CLOSING = 11,
};

enum { PORT_WORDS = 65536 / 64 };

struct walk {
	uint64_t listening[PORT_WORDS];
	void (*see)(const struct open_socket *, void *);
	void *context;
};

static uint32_t state_bit(enum kernel_state state) {
	return 1U << state;
}

static bool is_listening(const struct walk *walk, uint16_t port) {
	return walk->listening[port / 64] >> (port % 64) & 1;
}

static int note_listener(const struct nlmsghdr *message, void *context) {
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	struct walk *walk = context;
	uint16_t port;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*socket))
		return MNL_CB_OK;
	port = ntohs(socket->id.idiag_sport);
	walk->listening[port / 64] |= UINT64_C(1) << (port % 64);
	return MNL_CB_OK;
}

static struct addr read_addr(uint8_t family, const uint32_t words[4]) {
	uint8_t bytes[16];

	memcpy(bytes, words, sizeof(bytes));
	return family == AF_INET ? addr_from_ipv4(bytes) : addr_from_ipv6(bytes);
}

/* FIN_WAIT means that the opener closed first; the kernel's that this side did. */
static bool map_state(uint8_t kernel, enum direction direction, enum tcp_state *state) {
	bool local_first = kernel == KERNEL_FIN_WAIT1 || kernel == KERNEL_FIN_WAIT2;

	if (kernel == KERNEL_ESTABLISHED)
		*state = TCP_ESTABLISHED;
	else if (kernel == KERNEL_LAST_ACK || kernel == KERNEL_CLOSING)
		*state = TCP_LAST_ACK;
	else if (local_first || kernel == KERNEL_CLOSE_WAIT)
		*state = local_first == (direction == DIRECTION_OUT) ? TCP_FIN_WAIT : TCP_CLOSE_WAIT;
	else
		return false;
	return true;
}

static int note_connected(const struct nlmsghdr *message, void *context) {
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(message);
	struct walk *walk = context;
	struct open_socket socket = {.key = {.protocol = PROTOCOL_TCP}};

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*diag))
		return MNL_CB_OK;
	socket.key.local = read_addr(diag->idiag_family, diag->id.idiag_src);
	socket.key.remote = read_addr(diag->idiag_family, diag->id.idiag_dst);
	socket.key.local_port = ntohs(diag->id.idiag_sport);
	socket.key.remote_port = ntohs(diag->id.idiag_dport);
	socket.direction = is_listening(walk, socket.key.local_port) ? DIRECTION_IN : DIRECTION_OUT;
	if (map_state(diag->idiag_state, socket.direction, &socket.state))
		walk->see(&socket, walk->context);
	return MNL_CB_OK;
}

static bool dump(struct mnl_socket *netlink, uint8_t family, uint32_t states, mnl_cb_t note,
		 struct walk *walk) {
	char buffer[65536];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *diag;
	int more = MNL_CB_OK;

	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	diag = mnl_nlmsg_put_extra_header(request, sizeof(*diag));
	diag->sdiag_family = family;
	diag->sdiag_protocol = IPPROTO_TCP;
	diag->idiag_states = states;
	if (mnl_socket_sendto(netlink, request, request->nlmsg_len) < 0)
		return false;
	while (more > MNL_CB_STOP) {
		ssize_t length = mnl_socket_recvfrom(netlink, buffer, sizeof(buffer));

		if (length < 0 && errno == EINTR)
			continue;
		more = length < 0 ? MNL_CB_ERROR
				  : mnl_cb_run(buffer, (size_t)length, 0, mnl_socket_get_portid(netlink),
					       note, walk);
	}
	return more != MNL_CB_ERROR;
}

bool sockets_open(void (*see)(const struct open_socket *socket, void *context), void *context,
		  struct error *err) {
	uint32_t connected = state_bit(KERNEL_ESTABLISHED) | state_bit(KERNEL_FIN_WAIT1) |
			     state_bit(KERNEL_FIN_WAIT2) | state_bit(KERNEL_CLOSE_WAIT) |
			     state_bit(KERNEL_LAST_ACK) | state_bit(KERNEL_CLOSING);
	struct walk walk = {.see = see, .context = context};
	struct mnl_socket *netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	bool done = netlink && mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) == 0 &&
		    dump(netlink, AF_INET, state_bit(KERNEL_LISTEN), note_listener, &walk) &&
		    dump(netlink, AF_INET6, state_bit(KERNEL_LISTEN), note_listener, &walk) &&
		    dump(netlink, AF_INET, connected, note_connected, &walk) &&
		    dump(netlink, AF_INET6, connected, note_connected, &walk);

	if (!done)
		error_set(err, "cannot read the host's sockets: %s", strerror(errno));
	if (netlink)
		mnl_socket_close(netlink);
	return done;
}
