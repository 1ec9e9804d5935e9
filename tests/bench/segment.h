/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bare IPv4 TCP segment in an Ethernet frame, for programs that play many hosts at once.
 * Addresses are in host byte order, so that they can be counted up. A program that includes this
 * sends through one packet socket; the receiver must have a route back for the addresses it plays.
 */
#ifndef BENCH_SEGMENT_H
#define BENCH_SEGMENT_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct segment {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static inline uint32_t segment_sum(const void *from, size_t length) {
	const uint8_t *bytes = from;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static inline uint16_t segment_fold(uint32_t sum) {
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* A SYN's constant part. `to` is the receiver's hardware address as text; false where it is none. */
static inline bool segment_init(struct segment *segment, const char *to, uint32_t destination,
				uint16_t port) {
	const struct ether_addr *hardware = ether_aton(to);

	if (!hardware)
		return false;
	memset(segment, 0, sizeof(*segment));
	memcpy(segment->ethernet.h_dest, hardware, ETH_ALEN);
	memcpy(segment->ethernet.h_source, (const uint8_t[ETH_ALEN]){2, 0, 0, 0, 0, 0xff}, ETH_ALEN);
	segment->ethernet.h_proto = htons(ETH_P_IP);
	segment->ip.version = 4;
	segment->ip.ihl = sizeof(segment->ip) / 4;
	segment->ip.tot_len = htons(sizeof(segment->ip) + sizeof(segment->tcp));
	segment->ip.ttl = 64;
	segment->ip.protocol = IPPROTO_TCP;
	segment->ip.daddr = htonl(destination);
	segment->tcp.dest = htons(port);
	segment->tcp.doff = sizeof(segment->tcp) / 4;
	segment->tcp.window = htons(64240);
	segment->tcp.syn = 1;
	return true;
}

/* Writes who sends, and both checksums: the last thing before sending. */
static inline void segment_seal(struct segment *segment, uint32_t source, uint16_t port) {
	segment->ip.saddr = htonl(source);
	segment->tcp.source = htons(port);
	segment->ip.check = segment->tcp.check = 0;
	segment->ip.check = segment_fold(segment_sum(&segment->ip, sizeof(segment->ip)));
	segment->tcp.check =
	    segment_fold(segment_sum(&segment->ip.saddr, 8) + IPPROTO_TCP + sizeof(segment->tcp) +
			 segment_sum(&segment->tcp, sizeof(segment->tcp)));
}

/* A packet socket on the device that receives `protocol` (0: nothing), or -1. */
static inline int segment_socket(const char *device, uint16_t protocol) {
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(protocol),
				      .sll_ifindex = (int)if_nametoindex(device)};
	int one = 1, size = 64 << 20;
	int descriptor = socket(AF_PACKET, SOCK_RAW, 0);

	if (descriptor < 0 || !address.sll_ifindex)
		return -1;
	setsockopt(descriptor, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return bind(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0 ? descriptor : -1;
}

static inline double segment_clock(void) {
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#endif
