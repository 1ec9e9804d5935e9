/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A firewall that starts on a running host must not cut what is open, the
 * administrator's own connection first of all: the host's sockets say what that is.
 * What the rules do not allow is not taken up.
 */
#include "sallyport/daemon/adopt.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sallyport/daemon/clock.h"
#include "sallyport/daemon/enter.h"
#include "sallyport/kernel/sockets.h"
#include "sallyport/kernel/translation.h"

/* ---- which interface ---- */

/* False for other families. */
static bool socket_address(const struct sockaddr *address, struct addr *result) {
	if (address && address->sa_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;

		*result = addr_from_ipv4((const uint8_t *)&ipv4->sin_addr);
		return true;
	}
	if (address && address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;

		*result = addr_from_ipv6(ipv6->sin6_addr.s6_addr);
		return true;
	}
	return false;
}

static bool has_address(const struct ifaddrs *item, const struct addr *addr) {
	struct addr own;

	return socket_address(item->ifa_addr, &own) && addr_equal(&own, addr);
}

static bool is_loopback(const struct ifaddrs *item) {
	return item->ifa_flags & IFF_LOOPBACK;
}

static bool is_own_address(const struct adoption *adoption, const struct addr *addr) {
	for (const struct ifaddrs *item = adoption->addresses; item; item = item->ifa_next) {
		if (has_address(item, addr))
			return true;
	}
	return false;
}

static bool is_allowed_on(const struct adoption *adoption, struct keyed_connection *wanted,
			  const char *interface) {
	if (!filter_recheck(adoption->policy, &wanted->key, &wanted->connection, interface))
		return false;
	wanted->connection.interface = interface ? if_nametoindex(interface) : 0;
	return true;
}

/* A socket does not say through which interface its packets come. Those of a connection
 * with ourselves come through loopback; others through one that has the local address, or
 * where only loopback has it, through any; where there is none, rules about interfaces do not apply. */
bool adoption_allows(const struct adoption *adoption, struct keyed_connection *wanted) {
	bool to_ourselves = is_own_address(adoption, &wanted->key.remote);
	bool tried = false;

	for (const struct ifaddrs *item = adoption->addresses; item; item = item->ifa_next) {
		if (is_loopback(item) != to_ourselves || !has_address(item, &wanted->key.local))
			continue;
		tried = true;
		if (is_allowed_on(adoption, wanted, item->ifa_name))
			return true;
	}
	if (tried)
		return false;
	for (const struct ifaddrs *item = adoption->addresses; item; item = item->ifa_next) {
		if (is_loopback(item) != to_ourselves)
			continue;
		tried = true;
		if (is_allowed_on(adoption, wanted, item->ifa_name))
			return true;
	}
	return !tried && is_allowed_on(adoption, wanted, NULL);
}

/* ---- into the table ---- */

static void adopt(const struct open_socket *socket, void *context) {
	struct adoption *adoption = context;
	struct keyed_connection wanted = {
	    .key = socket->key,
	    .connection =
		{
		    .direction = socket->direction,
		    .state = socket->state,
		    .flags = CONNECTION_LEASED,
		    .opened = adoption->now,
		    .renewed = adoption->now,
		},
	};

	if (adoption_allows(adoption, &wanted))
		adoption->count += enter_connection(adoption->filter, &wanted);
}

void adoption_begin(struct adoption *adoption, struct daemon *daemon) {
	*adoption = (struct adoption){
	    .daemon = daemon,
	    .filter = &daemon->workplace.filter,
	    .policy = &daemon_policy(daemon)->policy,
	    .now = clock_seconds(),
	};
	if (getifaddrs(&adoption->addresses) != 0)
		adoption->addresses = NULL;
}

/* What was entered may have ended just before, and no copy tells of that any more. */
void adoption_end(struct adoption *adoption) {
	if (adoption->count > 0)
		adoption->daemon->lease_watch.took_up = true;
	freeifaddrs(adoption->addresses);
}

size_t daemon_adopt_sockets(struct daemon *daemon) {
	struct adoption adoption;
	struct error err;

	adoption_begin(&adoption, daemon);
	if (!sockets_open(adopt, &adoption, &err))
		log_write(&daemon->log, LOG_PROBLEM, NULL, "cannot read what connections are open: %s",
			  err.text);
	adoption_end(&adoption);
	return adoption.count;
}

/* conntrack believes in connections that have died unnoticed for days; a socket is the truth. */
static bool has_socket(struct daemon *daemon, const struct key *key) {
	enum tcp_state state;

	return key->protocol != PROTOCOL_TCP ||
	       socket_find(daemon->sockets, key, DIRECTION_IN, &state) == SOCKET_OPEN;
}

/* Whether it is known by no other way. What leaves for a socket of this host has that socket's very key. */
static bool is_wanted(const struct adoption *adoption, const struct translated_connection *translated) {
	if (!is_own_address(adoption, &translated->key.local) ||
	    is_own_address(adoption, &translated->key.remote))
		return false;
	if (!is_own_address(adoption, &translated->inner.local))
		return true;
	return translated->direction == DIRECTION_IN && has_socket(adoption->daemon, &translated->inner);
}

/* What the rules let in they must still allow; what leaves was learned. */
static void adopt_translated(const struct translated_connection *translated, void *context) {
	struct adoption *adoption = context;
	bool learned = translated->direction == DIRECTION_OUT;
	struct keyed_connection wanted = {
	    .key = translated->key,
	    .connection =
		{
		    .direction = translated->direction,
		    .state = translated->state,
		    .flags = CONNECTION_LEASED | CONNECTION_FORWARDED | (learned ? CONNECTION_LEARNED : 0),
		    .rule = NO_RULE,
		    .opened = adoption->now,
		    .renewed = adoption->now,
		},
	};

	if (!is_wanted(adoption, translated) || !adoption_allows(adoption, &wanted))
		return;
	if (is_own_address(adoption, &translated->inner.local))
		adoption->daemon->workplace.redirects_seen = true;
	adoption->count += enter_connection(adoption->filter, &wanted);
}

void daemon_adopt_translated(struct daemon *daemon) {
	struct adoption adoption;
	struct error err;

	adoption_begin(&adoption, daemon);
	if (!translations_see(daemon->translations, adopt_translated, &adoption, &err) &&
	    install_forwards(daemon->install))
		log_write(
		    &daemon->log, LOG_STARTING, NULL,
		    "what others have open through this host is not known: conntrack cannot be read: %s",
		    err.text);
	adoption_end(&adoption);
}
