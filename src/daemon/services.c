/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of services by port.
 */
#include "sallyport/daemon/services.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 65536 };

struct services {
	char *tcp[PORTS];
	char *udp[PORTS];
};

static char **names_of(struct services *services, const char *protocol) {
	if (strcmp(protocol, "tcp") == 0)
		return services->tcp;
	return strcmp(protocol, "udp") == 0 ? services->udp : NULL;
}

struct services *services_load(void) {
	struct services *services = calloc(1, sizeof(*services));
	const struct servent *entry;

	if (!services)
		return NULL;
	setservent(1);
	while ((entry = getservent())) {
		char **names = names_of(services, entry->s_proto);
		uint16_t port = ntohs((uint16_t)entry->s_port);

		if (names && !names[port])
			names[port] = strdup(entry->s_name);
	}
	endservent();
	return services;
}

void services_free(struct services *services) {
	if (!services)
		return;
	for (size_t port = 0; port < PORTS; port++) {
		free(services->tcp[port]);
		free(services->udp[port]);
	}
	free(services);
}

static bool service_has(const struct service *service, uint8_t protocol, uint16_t port) {
	for (size_t i = 0; i < service->count; i++) {
		const struct match *match = &service->matches[i];

		if (match->protocol == protocol && match->ports.lo <= port && port <= match->ports.hi)
			return true;
	}
	return false;
}

const char *services_name(const struct services *services, const struct ruleset *ruleset, uint8_t protocol,
			  uint16_t port) {
	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
		return NULL;
	for (size_t i = 0; i < ruleset->service_count; i++) {
		if (service_has(&ruleset->services[i], protocol, port))
			return ruleset->services[i].name;
	}
	return protocol == PROTOCOL_TCP ? services->tcp[port] : services->udp[port];
}
