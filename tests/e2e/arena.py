# SPDX-License-Identifier: GPL-2.0-or-later
"""One guarded host for many hostile packets, and what became of each.

Every message (a TCP SYN, a datagram, an ICMP question) carries a number of its own as source port
or identifier, so one look tells all fates. A table of the test's own notes the numbers twice:

  whole   behind the kernel's reassembly, ahead of every chain of sallyport
  behind  what has come through to the local sockets

What the daemon has counted is asked for, and what the host answers is seen on the wire. The
client's own stack is kept silent: nobody else takes part in the conversation.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass

from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest
from scapy.packet import Raw

from clients import Servers
from daemon import Daemon
from net import Network
from probes import one_processor
from wire import Wire, ip

OPEN, CLOSED = 80, 81
SIZE = 96  # bytes of every message, from the transport header on
RULES = f"""default in drop
default out allow
allow in tcp {OPEN}
allow in udp {OPEN},53
allow in icmp echo-request
"""
# The open ICMP question is an echo; the closed one asks for information (RFC 792, 4620).
TYPES = {OPEN: {4: 8, 6: 128}, CLOSED: {4: 15, 6: 139}}

TABLE = """
table inet arena {
	set whole_ports { typeof meta l4proto . th sport . th dport; size 65535; flags dynamic; }
	set behind_ports { typeof meta l4proto . th sport . th dport; size 65535; flags dynamic; }
	set whole_icmp { typeof @th,32,16; size 65535; flags dynamic; }
	set behind_icmp { typeof @th,32,16; size 65535; flags dynamic; }
	chain whole {
		type filter hook prerouting priority -399;
		meta l4proto { tcp, udp } add @whole_ports { meta l4proto . th sport . th dport }
		icmp type { 8, 15 } add @whole_icmp { @th,32,16 }
		icmpv6 type { 128, 139 } add @whole_icmp { @th,32,16 }
	}
	chain behind {
		type filter hook input priority 500;
		meta l4proto { tcp, udp } add @behind_ports { meta l4proto . th sport . th dport }
		icmp type { 8, 15 } add @behind_icmp { @th,32,16 }
		icmpv6 type { 128, 139 } add @behind_icmp { @th,32,16 }
	}
}
"""
SETS = ("whole_ports", "behind_ports", "whole_icmp", "behind_icmp")
FLUSH = "".join(f"flush set inet arena {name}\n" for name in SETS)
SILENT = """
table inet silent {
	chain input {
		type filter hook input priority 0; policy drop;
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
	}
}
"""


@dataclass(frozen=True)
class Message:
    """What somebody wants to bring in: `kind` is tcp, udp or icmp, `port` OPEN or CLOSED."""

    kind: str
    port: int
    number: int
    sequence: int = 0x4000  # of ICMP

    @property
    def opens(self):
        return self.port == OPEN

    def __str__(self):
        return f"{self.kind} {'open' if self.opens else 'closed'} {self.number}"

    def protocol(self, side):
        return {"tcp": 6, "udp": 17, "icmp": {4: 1, 6: 58}[side.version]}[self.kind]

    def bytes(self, side):
        """The transport header and what follows, SIZE bytes, with a right checksum."""
        header, transport = ip(side, side.cli, side.srv), self._transport(side)
        length = len(bytes(header / transport)) - len(header)
        return bytes(header / transport / Raw(bytes(range(1, SIZE - length + 1))))[len(header):]

    def _transport(self, side):
        if self.kind == "tcp":
            return TCP(sport=self.number, dport=self.port, flags="S", seq=1000,
                       options=[("MSS", 1200), ("NOP", 0), ("WScale", 3)])
        if self.kind == "udp":
            return UDP(sport=self.number, dport=self.port)
        asks = {"type": TYPES[self.port][side.version], "id": self.number, "seq": self.sequence}
        return ICMP(**asks) if side.version == 4 else ICMPv6EchoRequest(**asks)

    def liar(self, side):
        """The same question to the other port under the next number, and with the same checksum: its first
        bytes laid over this one's make a packet that is right in everything."""
        port, step = (CLOSED, -1) if self.opens else (OPEN, 1)
        types = TYPES[port][side.version] - TYPES[self.port][side.version]
        return Message(self.kind, port, self.number + step, self.sequence - types * 256 - step)


KINDS = tuple((kind, port) for kind in ("tcp", "udp", "icmp") for port in (OPEN, CLOSED))


@dataclass
class Report:
    """What became of the messages, as text of `Message`."""

    whole: set
    behind: set
    answered: set
    counts: Counter


class Arena:
    """The network, the daemon and the notes, for all cases of a module."""

    def __init__(self, rules=RULES):
        self.net = Network()
        self.number = 10000
        self.known = {}
        self.servers = self.wire = self.daemon = None
        try:
            self.net.srv.sysctl("net/ipv4/tcp_synack_retries", 0)
            self.net.cli.run("nft", "-f", "-", input=SILENT)
            self.net.srv.run("nft", "-f", "-", input=TABLE)
            self.servers = Servers(self.net.srv).tcp(OPEN, CLOSED).udp(OPEN, CLOSED)
            self.daemon = Daemon(self.net.srv, rules).start()
            self.wire = Wire(self.net)
        except BaseException:
            self.close()
            raise

    def message(self, kind, port, side):
        """With a number that nobody else has, nor its liar."""
        self.number += 4
        made = Message(kind, port, self.number)
        for one in (made, made.liar(side)):
            self.known[one.kind, one.number] = one
        return made

    def messages(self, side, kinds=KINDS):
        return [self.message(kind, port, side) for kind, port in kinds]

    def judge(self, side, packets, answers=0):
        """Sends the packets in this order, and a fence behind them: when its echo is back all have been
        judged, for the queue keeps the order. `answers`: so many are waited for beside it."""
        self.net.srv.run("nft", "-f", "-", input=FLUSH)
        before = self._counts()
        fence = self.message("udp", OPEN, side)
        with one_processor():
            self.wire.send(*packets, self._whole(fence, side))
        answered = self._answers(str(fence), answers)
        whole, behind = self._notes()
        return Report(whole - {str(fence)}, behind - {str(fence)}, answered,
                      self._counts() - before - Counter(opened=1))

    @staticmethod
    def _whole(message, side):
        header = ip(side, side.cli, side.srv, **{"proto" if side.version == 4 else "nh": 17})
        return header / Raw(message.bytes(side))

    def _answers(self, fence, others):
        seen = set()

        def enough(packet):
            seen.add(self._answer(packet))
            return fence in seen and len(seen - {None, fence}) >= others
        self.wire.receive(enough)
        assert fence in seen, "the fence behind the packets was not answered"
        return seen - {None, fence}

    def _answer(self, packet):
        """The message that the packet answers; what an error quotes is no answer."""
        inner = packet.payload
        for kind, layer, number in (("tcp", TCP, "dport"), ("udp", UDP, "dport"), ("icmp", ICMP, "id"),
                                    ("icmp", ICMPv6EchoReply, "id")):
            if isinstance(inner, layer) and not (layer is ICMP and inner.type not in (0, 16)):
                assert kind != "tcp" or inner.flags == "SA"
                one = self.known.get((kind, getattr(inner, number)))
                return one and str(one)
        return None

    def _notes(self):
        """(whole, behind)"""
        listed = json.loads(self.net.srv.run("nft", "-j", "list", "table", "inet", "arena").stdout)
        notes = {"whole": set(), "behind": set()}
        for item in listed["nftables"]:
            place, _, what = item.get("set", {}).get("name", "").partition("_")
            for element in item.get("set", {}).get("elem", ()):
                notes[place].add(self._noted(what, element))
        return notes["whole"], notes["behind"]

    def _noted(self, what, element):
        """A piece that came through alone may show as ports what are none."""
        kind, number, port = "icmp", element, None
        if what == "ports":
            kind, number, port = element["concat"]
            kind = {6: "tcp", 17: "udp"}.get(kind, kind)
        one = self.known.get((kind, number))
        return str(one) if one and port in (None, one.port) else f"stray {kind} {number} to {port}"

    def _counts(self):
        """What the daemon has recorded: opened by a rule, refused by the default, malformed."""
        if not self.daemon.running:
            return Counter()
        stats = self.daemon.stats()
        reasons = stats["reasons"]
        counts = Counter({name: number for name, number in reasons.items()
                          if name.startswith("drop.") and name != "drop.default"})
        counts["refused"] = self.daemon.ask("rules")[0][-2]["packets"]
        counts["opened"] = reasons["pass.rule"]
        counts["bogus_flags"] = stats["kernel"]["bogus_flags"]
        return counts

    def close(self):
        try:
            if self.daemon:
                self.daemon.finish()
        finally:
            for part in (self.wire, self.servers, self.net):
                if part:
                    part.close()
            if self.daemon:
                shutil.rmtree(self.daemon.directory, ignore_errors=True)
