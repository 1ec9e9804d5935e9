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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

/* Of include/net/tcp_states.h; netinet/tcp.h has them under names that core/tcp.h has too. */
enum kernel_state {
	KERNEL_ESTABLISHED = 1,
	KERNEL_SYN_SENT = 2,
	KERNEL_SYN_RECV = 3,
	KERNEL_FIN_WAIT1 = 4,
	KERNEL_FIN_WAIT2 = 5,
	KERNEL_CLOSE_WAIT = 8,
	KERNEL_LAST_ACK = 9,
	KERNEL_LISTEN = 10,
	KERNEL_CLOSING = 11,
	KERNEL_NEW_SYN_RECV = 12,
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
				  : datagram_run(buffer, (size_t)length, 0, mnl_socket_get_portid(netlink),
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

/* ---- one socket ---- */

struct socket_finder {
	struct mnl_socket *netlink;
};

struct finding {
	enum direction direction;
	enum tcp_state *state;
	enum socket_found found;
};

struct socket_finder *socket_finder_open(struct error *err) {
	struct socket_finder *finder = calloc(1, sizeof(*finder));

	if (!finder) {
		error_set(err, "out of memory");
		return NULL;
	}
	finder->netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (finder->netlink && mnl_socket_bind(finder->netlink, 0, MNL_SOCKET_AUTOPID) == 0)
		return finder;
	error_set(err, "cannot ask for the host's sockets: %s", strerror(errno));
	socket_finder_close(finder);
	return NULL;
}

void socket_finder_close(struct socket_finder *finder) {
	if (!finder)
		return;
	if (finder->netlink)
		mnl_socket_close(finder->netlink);
	free(finder);
}

static void put_addr(uint32_t words[4], const struct addr *addr) {
	bool four = addr_family(addr) == FAMILY_IPV4;

	memset(words, 0, 4 * sizeof(*words));
	memcpy(words, addr->bytes + (four ? 12 : 0), four ? 4 : 16);
}

static struct nlmsghdr *build_question(char *buffer, const struct key *key) {
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *diag;

	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->nlmsg_flags = NLM_F_REQUEST;
	diag = mnl_nlmsg_put_extra_header(request, sizeof(*diag));
	diag->sdiag_family = addr_family(&key->local) == FAMILY_IPV4 ? AF_INET : AF_INET6;
	diag->sdiag_protocol = IPPROTO_TCP;
	diag->idiag_states = UINT32_MAX;
	diag->id.idiag_sport = htons(key->local_port);
	diag->id.idiag_dport = htons(key->remote_port);
	put_addr(diag->id.idiag_src, &key->local);
	put_addr(diag->id.idiag_dst, &key->remote);
	diag->id.idiag_cookie[0] = diag->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return request;
}

static bool is_opening(uint8_t kernel) {
	return kernel == KERNEL_SYN_SENT || kernel == KERNEL_SYN_RECV || kernel == KERNEL_NEW_SYN_RECV;
}

/* Where there is no such connection the kernel names the listener. */
static int note_found(const struct nlmsghdr *message, void *context) {
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(message);
	struct finding *finding = context;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*diag) || diag->idiag_state == KERNEL_LISTEN)
		return MNL_CB_STOP;
	if (map_state(diag->idiag_state, finding->direction, finding->state))
		finding->found = SOCKET_OPEN;
	else
		finding->found = is_opening(diag->idiag_state) ? SOCKET_OPENING : SOCKET_ENDED;
	return MNL_CB_STOP;
}

enum socket_found socket_find(struct socket_finder *finder, const struct key *key, enum direction direction,
			      enum tcp_state *state) {
	struct finding finding = {.direction = direction, .state = state};
	char buffer[4096];
	struct nlmsghdr *request = build_question(buffer, key);
	ssize_t length;

	/* The kernel has answered when the request is sent (net/core/sock_diag.c). */
	if (mnl_socket_sendto(finder->netlink, request, request->nlmsg_len) < 0)
		return SOCKET_NONE;
	length = recv(mnl_socket_get_fd(finder->netlink), buffer, sizeof(buffer), MSG_DONTWAIT);
	if (length > 0)
		datagram_run(buffer, (size_t)length, 0, mnl_socket_get_portid(finder->netlink), note_found,
			     &finding);
	return finding.found;
}
