# SPDX-License-Identifier: GPL-2.0-or-later
"""Single packets that ask the rules a question, sent in one burst, and what became of each.

A probe carries its number three times: as IPv4 identification or IPv6 flow label, as TCP sequence
number, and in what an ICMP error quotes. A table of the test's own on the guarded host notes the
numbers that come through the firewall and those that it refuses, and swallows both, so that no
host answers and one probe never becomes the first packet of a conversation.
"""

import json
import os
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass

from net import IPV4, IPV6
from wire import mac_of

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
DELIVERED, REJECTED, DROPPED = "delivered", "rejected", "dropped"
HOPS = 77  # tells probes from everything else
SENTINEL_PORT = 9
SENTINEL_RULE = f"allow in udp {SENTINEL_PORT} from {IPV4.cli}\n"

# Beyond the two cables; spoofed sources need a way back, or nothing could refuse them.
WAN_NETS = {4: "192.0.2.", 6: "2001:db8:1::"}
LAN_NETS = {4: "198.51.100.", 6: "2001:db8:2::"}

TABLE = f"""
table inet witness {{
	set delivered4 {{ typeof ip id; size 65535; flags dynamic; }}
	set delivered6 {{ typeof ip6 flowlabel; size 65535; flags dynamic; }}
	set rejected {{ typeof @th,80,16; size 65535; flags dynamic; }}
	chain arrived {{
		type filter hook input priority 500;
		ip ttl {HOPS} add @delivered4 {{ ip id }} drop
		ip6 hoplimit {HOPS} add @delivered6 {{ ip6 flowlabel }} drop
	}}
	chain left {{
		type filter hook postrouting priority 500;
		ip ttl {HOPS} add @delivered4 {{ ip id }} drop
		ip6 hoplimit {HOPS} add @delivered6 {{ ip6 flowlabel }} drop
	}}
	chain refused {{
		type filter hook output priority -450;
		tcp flags & rst == rst add @rejected {{ @th,80,16 }} drop
		icmp type destination-unreachable add @rejected {{ @th,96,16 }} drop
		icmpv6 type destination-unreachable add @rejected {{ @th,80,16 }} drop
	}}
}}
"""
FLUSH = "".join(f"flush set inet witness {name}\n" for name in ("delivered4", "delivered6", "rejected"))


@dataclass(frozen=True)
class Probe:
    """The first packet of what a rule decides about. `number`: 1 to 65535, once a burst."""

    inward: bool
    version: int        # 4 or 6
    protocol: int
    source: str
    destination: str
    source_port: int    # ICMP: the identifier
    port: int           # ICMP: the type
    interface: str = "wan0"
    ecn: bool = False

    def key(self):
        """What the daemon knows the connection by, seen from the guarded host."""
        local, remote = ((self.destination, self.port), (self.source, self.source_port))
        if not self.inward:
            local, remote = (self.source, self.source_port), (self.destination, self.port)
        if self.protocol in (TCP, UDP):
            return (self.protocol, local, remote)
        if self.protocol in (ICMP, ICMPV6):
            return (self.protocol, local[0], remote[0], self.source_port)
        return (self.protocol, local[0], remote[0])

    def packet(self, number):
        """From the IP header on."""
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        ends = socket.inet_pton(family, self.source) + socket.inet_pton(family, self.destination)
        payload = self._payload(number, ends)
        if self.version == 6:
            return struct.pack("!IHBB", 6 << 28 | number, len(payload), self.protocol, HOPS) + ends + payload
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0, HOPS, self.protocol, 0)
        return header[:10] + checksum(header + ends) + ends + payload

    def _payload(self, number, ends):
        def summed(payload, at):
            pseudo = ends + struct.pack("!II", len(payload), self.protocol)
            return payload[:at] + (checksum(pseudo + payload)) + payload[at + 2:]
        if self.protocol == TCP:
            flags = 0xc2 if self.ecn else 0x02
            return summed(struct.pack("!HHIIBBHHH", self.source_port, self.port, number - 1, 0, 0x50, flags,
                                      65535, 0, 0), 16)
        if self.protocol == UDP:
            return summed(struct.pack("!HHHH", self.source_port, self.port, 12, 0) + b"what", 6)
        if self.protocol == ICMP:
            message = struct.pack("!BBHHH", self.port, 0, 0, self.source_port, 1) + bytes(8)
            return message[:2] + checksum(message) + message[4:]
        if self.protocol == ICMPV6:
            return summed(struct.pack("!BBHHH", self.port, 0, 0, self.source_port, 1) + bytes(8), 2)
        return struct.pack("!HH", 0, 0x88b5) + bytes(8)  # reads as a GRE header

    def __str__(self):
        name = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6"}.get(self.protocol, str(self.protocol))
        way = f"in {name} on {self.interface}" if self.inward else f"out {name}"
        return f"{way} {self.source} {self.source_port} -> {self.destination} {self.port}"


def checksum(data):
    """RFC 1071, as two bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff or 0xffff)


@contextmanager
def one_processor():
    """What one processor sends in a row arrives in that order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Range:
    """The place for probes: a scratch network with spoofed hosts beyond its cables."""

    def __init__(self, net):
        self.net = net
        self.sockets = []
        self.number = self.sentinel_port = 0
        self._route(net.srv)
        net.srv.run("nft", "-f", "-", input=TABLE)
        self.cables = {"wan0": self._cable(net.cli, "wan0"), "lan0": self._cable(net.cli2, "lan0")}
        self.raw = {4: self._raw(IPV4, socket.IPPROTO_IP, socket.IP_HDRINCL),
                    6: self._raw(IPV6, socket.IPPROTO_IPV6, 36)}  # IPV6_HDRINCL
        self.sentinel = self._socket(net.srv, socket.AF_INET, socket.SOCK_DGRAM, 0)
        self.sentinel.bind(("", SENTINEL_PORT))
        self.sentinel.settimeout(5)

    def _socket(self, namespace, *kind):
        sock = namespace.socket(*kind)
        self.sockets.append(sock)
        return sock

    @staticmethod
    def _route(srv):
        for interface in ("all", "default", "wan0", "lan0"):
            srv.sysctl(f"net/ipv4/conf/{interface}/rp_filter", 0)
        srv.sysctl("net/ipv4/icmp_ratemask", 0)
        srv.sysctl("net/ipv6/icmp/ratemask", "")
        for side in (IPV4, IPV6):
            length = 24 if side.version == 4 else 64
            for nets, gateway in ((WAN_NETS, side.cli), (LAN_NETS, side.cli2)):
                prefix = nets[side.version] + ("0" if side.version == 4 else "")
                srv.run("ip", f"-{side.version}", "route", "replace", f"{prefix}/{length}", "via", gateway)

    def _cable(self, namespace, interface):
        sock = self._socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("eth0", 0))
        macs = mac_of(self.net.srv, interface), mac_of(namespace, "eth0")
        return sock, b"".join(bytes.fromhex(mac.replace(":", "")) for mac in macs)

    def _raw(self, side, level, option):
        sock = self._socket(self.net.srv, side.family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        sock.setsockopt(level, option, 1)
        return sock

    def forget(self):
        """What was noted so far; numbers start anew."""
        self.net.srv.run("nft", "-f", "-", input=FLUSH)
        self.number = 0

    def send(self, probes):
        """All of them, and a sentinel that the rules let in behind them: when it has come, all are
        judged, for the queue keeps their order. Returns the probes by their numbers."""
        sent = {}
        with one_processor():
            for probe in probes:
                self.number += 1
                sent[self.number] = probe
                self._send(probe, probe.packet(self.number))
            self._send_sentinel()
        return sent

    def _send(self, probe, packet):
        if probe.inward:
            sock, macs = self.cables[probe.interface]
            sock.send(macs + struct.pack("!H", 0x0800 if probe.version == 4 else 0x86dd) + packet)
            return
        try:
            self.raw[probe.version].sendto(packet, (probe.destination, 0))
        except OSError:
            pass  # the sender is told of a drop; that it was one is seen as every other

    def _send_sentinel(self):
        """From another port each time: no connection, and nothing that stands for one, helps it."""
        self.sentinel_port = self.sentinel_port % 30000 + 1
        port = 30000 + self.sentinel_port
        probe = Probe(True, 4, UDP, IPV4.cli, IPV4.srv, port, SENTINEL_PORT)
        packet = bytearray(probe.packet(0))
        packet[8], packet[10:12] = 64, b"\0\0"
        packet[10:12] = checksum(bytes(packet[:20]))
        self._send(probe, bytes(packet))
        while self.sentinel.recvfrom(64)[1][1] != port:
            pass

    def outcomes(self, sent):
        """{number: DELIVERED | REJECTED | DROPPED}"""
        listing = json.loads(self.net.srv.run("nft", "-j", "list", "table", "inet", "witness").stdout)
        noted = {item["set"]["name"]: item["set"].get("elem", []) for item in listing["nftables"]
                 if "set" in item}
        delivered = {**dict.fromkeys(noted["delivered4"], 4), **dict.fromkeys(noted["delivered6"], 6)}
        rejected = set(noted["rejected"])
        return {number: DELIVERED if delivered.get(number) == probe.version
                else REJECTED if number in rejected else DROPPED for number, probe in sent.items()}

    def close(self):
        for sock in self.sockets:
            sock.close()
        self.net.srv.run("nft", "delete", "table", "inet", "witness", check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
