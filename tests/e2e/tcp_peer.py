# SPDX-License-Identifier: GPL-2.0-or-later
"""One end of a TCP connection, made by hand: it sends whatever a test wants, and no kernel answers
for it. The other end is the guarded host's own stack."""

import itertools

from scapy.layers.inet import TCP
from scapy.packet import Raw

from wire import ip

PORTS = range(20000, 30000)  # whose segments the client's kernel does not see
MUTE = f"""table inet mute {{
	chain mute {{
		type filter hook input priority -300;
		tcp dport {PORTS[0]}-{PORTS[-1]} drop
	}}
}}
"""
ISN = 1_000_000
NUMBERS = 1 << 32


def mute(namespace):
    namespace.run("nft", "-f", "-", input=MUTE)


def challenge_of(segment):
    return str(segment.flags), segment.seq, segment.ack


class Peer:
    """`next` is the number that it sends next, `theirs` the one that the host sends next."""

    def __init__(self, wire, side, port, host_port, isn=ISN):
        self.wire, self.side, self.port, self.host_port = wire, side, port, host_port
        self.isn = self.next = isn
        self.theirs = 0

    def send(self, flags, data=b"", seq=None, ack=None, hops=64, window=60000):
        """Numbers are those that come next unless given."""
        seq = self.next if seq is None else seq
        ack = (self.theirs if ack is None else ack) if "A" in flags else 0
        field = {"ttl" if self.side.version == 4 else "hlim": hops}
        segment = TCP(sport=self.port, dport=self.host_port, flags=flags, window=window,
                      seq=seq % NUMBERS, ack=ack % NUMBERS)
        packet = ip(self.side, self.side.cli, self.side.srv, **field) / segment
        self.wire.send(packet / Raw(data) if data else packet)

    def mine(self, packet):
        return TCP in packet and (packet[TCP].sport, packet[TCP].dport) == (self.host_port, self.port)

    def hear(self, flags, timeout=3.0, **fields):
        """The next segment of the host's with these flags and fields."""
        def wanted(packet):
            return self.mine(packet) and packet[TCP].flags == flags and \
                all(getattr(packet[TCP], name) == value % NUMBERS for name, value in fields.items())
        packet = self.wire.receive(wanted, timeout)
        assert packet, f"the host sends no {flags} {fields}"
        return packet[TCP]

    # steps that most conversations have

    def take(self, syn):
        """Its sequence numbers are known from now on."""
        self.theirs = (syn.seq + 1) % NUMBERS
        return syn

    def shake_hands(self):
        """Opens a connection to the host."""
        self.send("S")
        self.next += 1
        self.take(self.hear("SA", ack=self.next))
        self.send("A")
        return self

    def say(self, data):
        """Data that the host acknowledges; returns what it said before that."""
        self.send("PA", data)
        self.next += len(data)
        return self._heard_before(self.next)

    def _heard_before(self, acknowledged):
        heard = []
        for _ in itertools.repeat(None, 50):
            packet = self.wire.receive(self.mine, 3)
            assert packet, "the host does not acknowledge"
            if packet[TCP].ack == acknowledged % NUMBERS:
                return heard
            heard.append(packet[TCP])
        raise AssertionError("the host talks, but does not acknowledge")

    def challenge(self):
        """RFC 5961: the ACK that says where the host is, as challenge_of() has it."""
        return "A", self.theirs, self.next % NUMBERS
