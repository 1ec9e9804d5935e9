/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes from the wire -> struct packet, a value that keeps no pointer.
 *
 * Bounded: at most PACKET_MAX_HEADERS IPv6 extension headers, no loops on lengths
 * from the packet, never a read past `captured`. RFC 791, 8200 (IPv6), 4302 (AH is a protocol of its own),
 * 5095 (type 0 routing header is refused), 9293 (TCP), 768, 792, 4443.
 */
#ifndef SALLYPORT_CORE_PACKET_H
#define SALLYPORT_CORE_PACKET_H

#include "sallyport/core/addr.h"
#include "sallyport/core/reason.h"

enum { PACKET_MAX_HEADERS = 8 };

/* Numbers of IANA's protocol registry that the code names. */
enum protocol {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ICMPV6 = 58,
};

/* Those whose ports rules can name; the rest is tracked by its address pair. */
static inline bool protocol_has_ports(uint8_t protocol) {
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
};

enum { TCP_NO_SCALE = 0xff }; /* the SYN carried no window scale option */

struct tcp_segment {
	uint32_t seq, ack;
	uint32_t length; /* payload bytes on the wire; SYN and FIN not counted */
	uint16_t window; /* as in the header, unscaled */
	uint8_t flags;   /* enum tcp_flag; ECE and CWR masked out */
	uint8_t scale;   /* 0..14 (larger is cut to 14, RFC 7323 2.3), or TCP_NO_SCALE */
	bool scale_permitted;
};

/* Addresses and ports of one packet. Ports: TCP and UDP ports; the identifier of an
 * ICMP query message in both; 0 for everything else. */
struct tuple {
	struct addr src, dst;
	uint16_t src_port, dst_port;
	uint8_t protocol; /* the last header of the IPv6 chain; 1..255 */
};

struct packet {
	struct tuple tuple;
	enum family family;
	uint8_t icmp_type, icmp_code; /* ICMP and ICMPv6 */
	bool icmp_error;              /* an error message: `inner` is set where it could be read */
	bool inner_known;             /* at least addresses, protocol and ports of the inner packet */
	struct tuple inner;           /* the packet inside an ICMP error, as it was sent */
	uint32_t inner_seq;           /* of TCP */
	uint8_t inner_icmp_type;
	struct tcp_segment tcp; /* TCP only */
};

/* `captured` bytes are at `bytes`, the packet's true length is `length` (>= captured;
 * both from the IP header on). Returns REASON_NONE and fills *packet, or a reason of
 * the "malformed" group and leaves *packet untouched:
 * DROP_TRUNCATED (header cut short), DROP_HEADER (lying lengths, unknown version, too
 * many extension headers, routing header 0, a bad TCP data offset), DROP_FLAGS (flag
 * sets that no TCP sends: SYN+FIN, SYN+RST, FIN+RST, none of SYN/ACK/RST, FIN without ACK),
 * DROP_FRAGMENT (a fragment that reassembly should have eaten), DROP_ADDRESS
 * (IPv4-mapped in IPv6, multicast or unspecified-with-TCP source, source 127/8 or ::1
 * is NOT judged here: the hook knows the interface). */
enum reason packet_parse(const uint8_t *bytes, size_t captured, size_t length, struct packet *packet);

/* True for messages that ask and are answered under one identifier: echo, timestamp,
 * address mask, information (RFC 792, 950, 4443). */
bool icmp_is_query(uint8_t protocol, uint8_t type);
bool icmp_is_reply(uint8_t protocol, uint8_t type);

#endif
