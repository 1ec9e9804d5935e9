/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as the kernel's answers to our dumps: leases (nftables), sockets (sock_diag), translated
 * connections (ctnetlink).
 * The first byte chooses; then come datagrams, each led by two bytes for its length. libmnl's
 * socket is replaced by one that reads them.
 */
#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/kernel/leases.h"
#include "sallyport/kernel/sockets.h"
#include "sallyport/kernel/translation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a socket that answers what it was given ---- */

struct mnl_socket {
	const uint8_t *bytes;
	size_t left;
};

static struct mnl_socket *the_socket(void) {
	static struct mnl_socket socket;
	return &socket;
}

struct mnl_socket *mnl_socket_open2(int bus, int flags) {
	(void)bus;
	(void)flags;
	return the_socket();
}

int mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid) {
	(void)nl;
	(void)groups;
	(void)pid;
	return 0;
}

int mnl_socket_close(struct mnl_socket *nl) {
	(void)nl;
	return 0;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *nl) {
	(void)nl;
	return 0; /* accepts any */
}

ssize_t mnl_socket_sendto(const struct mnl_socket *nl, const void *request, size_t size) {
	(void)nl;
	(void)request;
	return (ssize_t)size;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buffer, size_t room) {
	struct mnl_socket *socket = the_socket();
	size_t length;

	(void)nl;
	if (socket->left < 2) {
		errno = ENOBUFS;
		return -1;
	}
	length = (size_t)(socket->bytes[0] << 8 | socket->bytes[1]);
	socket->bytes += 2;
	socket->left -= 2;
	if (length > socket->left)
		length = socket->left;
	if (length > room) {
		errno = ENOSPC; /* as libmnl says of what does not fit */
		return -1;
	}
	memcpy(buffer, socket->bytes, length);
	socket->bytes += length;
	socket->left -= length;
	return (ssize_t)length;
}

/* ---- what is read ---- */

static void see_lease(const struct lease *lease, void *context) {
	assert(addr_family(&lease->key.local) == FAMILY_IPV4 ||
	       addr_family(&lease->key.local) == FAMILY_IPV6);
	++*(size_t *)context;
}

static void see_socket(const struct open_socket *socket, void *context) {
	assert(socket->key.protocol == PROTOCOL_TCP);
	assert(socket->state == TCP_ESTABLISHED || socket->state == TCP_FIN_WAIT ||
	       socket->state == TCP_CLOSE_WAIT || socket->state == TCP_LAST_ACK);
	++*(size_t *)context;
}

static void see_translated(const struct translated_connection *connection, void *context) {
	bool udp = connection->key.protocol == PROTOCOL_UDP;

	assert(udp || connection->key.protocol == PROTOCOL_TCP);
	assert(udp ? connection->state == UDP_NEW || connection->state == UDP_REPLIED
		   : state_is_open(connection->state));
	++*(size_t *)context;
}

static bool read_translated(size_t *seen, struct error *err) {
	struct translations *translations = translations_open(err);
	bool done = translations && translations_see(translations, see_translated, seen, err);

	translations_close(translations);
	return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct error err = {""};
	size_t seen = 0;
	bool done;

	if (size == 0)
		return 0;
	*the_socket() = (struct mnl_socket){data + 1, size - 1};
	if (data[0] & 2)
		done = read_translated(&seen, &err);
	else if (data[0] & 1)
		done = sockets_open(see_socket, &seen, &err);
	else
		done = leases_read(the_socket(), see_lease, &seen, &err);
	assert(done || err.text[0]);
	assert(seen <= size);
	return 0;
}
