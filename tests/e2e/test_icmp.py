# SPDX-License-Identifier: GPL-2.0-or-later
"""ICMP under a file that drops it: errors pass only about what was sent, path MTU discovery works, the
ICMPv6 that RFC 4890 wants open stays open, echo replies pass by their identifier.

One daemon for all; each test has connections of its own."""

import shutil
import socket
import struct
from contextlib import contextmanager

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA,
                                ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, ICMPv6PacketTooBig, IPv6)
from scapy.packet import Raw

from clients import Servers, connect, echo, receive
from daemon import Daemon
from net import IPV4, IPV6, Namespace, Network, wait_for
from probes import DELIVERED, DROPPED, ICMPV6, SENTINEL_RULE, Probe, Range
from probes import ICMP as ICMPV4
from wire import Wire, ip
from witness import Witness

LEASED, STRICT = 80, 81
RULES = f"""default in drop
default out drop
{SENTINEL_RULE}allow in tcp {LEASED}
allow in tcp {STRICT} strict
allow out tcp {LEASED}
allow out tcp {STRICT} strict
allow out icmp echo-request
allow out icmpv6 echo-request
drop in icmp
drop out icmp
drop in icmpv6
drop out icmpv6
drop in any
drop out any
"""
FORGED_MTU = 1400


@pytest.fixture(scope="module")
def guarded(net):
    daemon = Daemon(net.srv, RULES).start()
    servers = Servers(net.srv).tcp(LEASED, STRICT)
    yield daemon
    servers.close()
    daemon.finish()
    shutil.rmtree(daemon.directory, ignore_errors=True)


@pytest.fixture
def daemon(request, guarded):
    request.node.daemons = [guarded]
    return guarded


@pytest.fixture
def wire(net):
    with Wire(net) as cable:
        yield cable


def fence(wire, side):
    """When an allowed SYN is answered, what was sent before it has been judged."""
    fence.port = fence.port % 30000 + 1
    port = 30000 + fence.port
    wire.send(ip(side, side.cli, side.srv) / TCP(sport=port, dport=STRICT, flags="S", seq=1))
    assert wire.receive(lambda packet: TCP in packet and packet[TCP].dport == port) is not None


fence.port = 0


NEEDED = {130: "MLD query", 131: "MLD report", 132: "MLD done", 133: "router solicitation",
          134: "router advertisement", 135: "neighbour solicitation", 136: "neighbour advertisement",
          141: "inverse solicitation", 142: "inverse advertisement", 143: "MLDv2 report",
          148: "certification path solicitation", 149: "certification path advertisement",
          151: "multicast router advertisement", 152: "multicast router solicitation",
          153: "multicast router termination"}
REFUSED = {128: "echo request", 137: "redirect", 138: "router renumbering", 139: "node information query",
           144: "home agent discovery", 150: "experimental mobility", 155: "RPL", 200: "private", 255: "reserved"}
REFUSED_IPV4 = {5: "redirect", 8: "echo request", 9: "router advertisement", 10: "router solicitation",
                13: "timestamp", 15: "information", 17: "address mask", 30: "traceroute", 255: "reserved"}


def icmp_probes():
    """{(version, type, inward): Probe}"""
    probes = {}
    for inward in (True, False):
        for version, protocol, types in ((6, ICMPV6, {**NEEDED, **REFUSED}), (4, ICMPV4, REFUSED_IPV4)):
            side = IPV4 if version == 4 else IPV6
            ends = (side.cli, side.srv) if inward else (side.srv, side.cli)
            for number, kind in enumerate(types):
                probes[version, kind, inward] = Probe(inward, version, protocol, *ends, 600 + number, kind)
    return probes


def outcomes_of_icmp(net):
    """What became of every type, each way, sent in one burst."""
    probes = icmp_probes()
    with Range(net) as place:
        outcomes = place.outcomes(place.send(probes.values()))
    return dict(zip(probes, outcomes.values()))


@pytest.fixture(scope="module")
def icmp_outcomes(net, guarded):
    return outcomes_of_icmp(net)


@pytest.fixture(scope="module")
def headless_outcomes():
    """In a network whose daemon has been killed: the guard judges."""
    with Network() as net:
        daemon = Daemon(net.srv, RULES).start()
        daemon.kill()
        yield outcomes_of_icmp(net)
        daemon.finish()
        shutil.rmtree(daemon.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def seen(net, icmp_outcomes):
    """Counts errors, and echo and what is like it, before and behind the firewall. Its table has the name of
    that which the burst has used, so it comes after."""
    one = Witness(net.srv, error4=f"ip saddr {IPV4.cli_b} icmp type destination-unreachable",
                  error6=f"ip6 saddr {IPV6.cli_b} icmpv6 type {{ 1, 2 }}",
                  answer4="meta l4proto icmp icmp type != destination-unreachable",
                  answer6="meta l4proto icmpv6 icmpv6 type { 128, 129, 140 }")
    yield one
    one.remove()


def arrives(wire, side, seen, packet, kind):
    """Whether the packet, of that kind, gets past the firewall."""
    name = kind + str(side.version)
    before, behind = seen.before(name), seen.behind(name)
    wire.send(packet)
    fence(wire, side)
    assert seen.before(name) == before + 1, "the packet was not on the wire, or not alone"
    return seen.behind(name) == behind + 1


# errors

class Conversation:
    """An open connection from cli, and the last segment that the host has sent on it."""

    def __init__(self, net, wire, side, port):
        self.side = side
        self.sock = connect(net.cli, side.srv, port)
        self.client_port = self.sock.getsockname()[1]
        assert echo(self.sock)
        self.segment = wire.receive(lambda packet: TCP in packet and packet[TCP].dport == self.client_port and
                                    bytes(packet[TCP].payload).startswith(b"sallyport"))

    def edited(self, **fields):
        """The segment with other fields: source, destination, sport, dport, seq."""
        packet = self.segment.copy()
        for name, value in fields.items():
            if name in ("src", "dst"):
                setattr(packet, name, value)
            else:
                setattr(packet[TCP], name, value)
        return packet

    def backwards(self):
        side = self.side
        return ip(side, side.cli, side.srv) / TCP(sport=self.client_port, dport=self.segment[TCP].sport,
                                                  flags="A", seq=self.segment[TCP].ack)

    def as_datagram(self):
        tcp = self.segment[TCP]
        return ip(self.side, self.side.srv, self.side.cli) / UDP(sport=tcp.sport, dport=tcp.dport) / Raw(b"data")


def quote(side, packet, behind=8):
    """The packet's IP header, and so many bytes behind it."""
    return bytes(packet)[:(20 if side.version == 4 else 40) + behind]


def too_big(side, quoted, target=None, mtu=FORGED_MTU):
    """From a router on the way that has a smaller link."""
    head = ip(side, side.cli_b, target or side.srv)
    if side.version == 4:
        return head / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(quoted)
    return head / ICMPv6PacketTooBig(mtu=mtu) / Raw(quoted)


def unreachable(side, quoted):
    head = ip(side, side.cli_b, side.srv)
    return head / (ICMP(type=3, code=1) if side.version == 4 else ICMPv6DestUnreach(code=3)) / Raw(quoted)


ERRORS = {
    "about what was sent": (True, lambda it: unreachable(it.side, quote(it.side, it.segment))),
    "all of the packet quoted": (True, lambda it: unreachable(it.side, bytes(it.segment))),
    "nothing quoted": (False, lambda it: unreachable(it.side, b"")),
    "half an IP header quoted": (False, lambda it: unreachable(it.side, quote(it.side, it.segment, -8))),
    "no ports quoted": (False, lambda it: unreachable(it.side, quote(it.side, it.segment, 0))),
    "ports cut off": (False, lambda it: unreachable(it.side, quote(it.side, it.segment, 3))),
    "less than 64 bits": (False, lambda it: unreachable(it.side, quote(it.side, it.segment, 7))),
    "another client's port": (False, lambda it: unreachable(it.side, quote(
        it.side, it.edited(dport=it.client_port ^ 1)))),
    "another server's port": (False, lambda it: unreachable(it.side, quote(it.side, it.edited(sport=443)))),
    "another client": (False, lambda it: unreachable(it.side, quote(it.side, it.edited(dst=it.side.cli_b)))),
    "another protocol": (False, lambda it: unreachable(it.side, quote(it.side, it.as_datagram()))),
    "about what came": (False, lambda it: unreachable(it.side, quote(it.side, it.backwards()))),
    "to another address of the host": (False, lambda it: too_big(
        it.side, quote(it.side, it.segment), it.side.srv_lan)),
}


@pytest.mark.parametrize("port", [LEASED, STRICT], ids=["leased", "strict"])
@pytest.mark.parametrize("case", ERRORS)
def test_an_error_passes_only_about_what_was_sent(daemon, net, wire, seen, side, port, case):
    """RFC 5508 REQ-3, 4; RFC 5927 2.1; conntrack_icmp_related.sh; an outer address that is not the
    quoted sender's: CVE-2019-5598. Whatever it says, the connection lives."""
    passes, build = ERRORS[case]
    talk = Conversation(net, wire, side, port)
    assert arrives(wire, side, seen, build(talk), "error") == passes
    assert echo(talk.sock)


def route_mtu(net, side, address):
    """What the host has learned of the path, or None."""
    words = net.srv.run("ip", f"-{side.version}", "route", "get", address).stdout.split()
    return int(words[words.index("mtu") + 1]) if "mtu" in words else None


@contextmanager
def forgotten_routes(net):
    """What is learned of paths in the block is forgotten at its end."""
    try:
        yield
    finally:
        for version in (4, 6):
            net.srv.run("ip", f"-{version}", "route", "flush", "cache")


OUT_OF_WINDOW = {"not sent yet": 1 << 20, "half the numbers away": 1 << 31, "of long ago": -(1 << 20)}


@pytest.mark.parametrize("case", OUT_OF_WINDOW)
def test_strict_drops_an_error_whose_sequence_number_was_not_sent(daemon, net, wire, seen, side, case):
    """RFC 5927 4.1. Seen every segment, the daemon knows the window."""
    talk = Conversation(net, wire, side, STRICT)
    forged = talk.edited(seq=(talk.segment[TCP].seq + OUT_OF_WINDOW[case]) % (1 << 32))
    assert not arrives(wire, side, seen, too_big(side, quote(side, forged)), "error")
    assert route_mtu(net, side, side.cli) is None
    assert echo(talk.sock)


@pytest.mark.parametrize("case", OUT_OF_WINDOW)
def test_on_a_lease_the_stack_ignores_such_an_error(daemon, net, wire, side, case):
    """What the daemon has not seen it cannot judge; the host's own stack does."""
    talk = Conversation(net, wire, side, LEASED)
    ignored = net.srv.figure("OutOfWindowIcmps")
    forged = talk.edited(seq=(talk.segment[TCP].seq + OUT_OF_WINDOW[case]) % (1 << 32))
    wire.send(too_big(side, quote(side, forged)))
    wait_for(lambda: net.srv.figure("OutOfWindowIcmps") == ignored + 1, "the stack ignores the error")
    assert route_mtu(net, side, side.cli) is None
    assert echo(talk.sock)


def test_a_packet_too_big_about_nothing_sent_changes_no_route(daemon, net, wire, side):
    """RFC 8201 4, RFC 1191 8: a host that believed it would send dwarfs to everybody."""
    never = ip(side, side.srv, side.cli) / TCP(sport=LEASED, dport=4999, flags="A", seq=1)
    before = daemon.reason("drop.stray-error")
    wire.send(too_big(side, quote(side, never)))
    fence(wire, side)
    assert daemon.reason("drop.stray-error") == before + 1
    assert route_mtu(net, side, side.cli) is None


# path MTU

NARROW = 1300
FAR = {4: ("10.77.9.1", "10.77.9.2", "10.77.9.0/24"),
       6: ("fd77:0:0:9::1", "fd77:0:0:9::2", "fd77:0:0:9::/64")}


@pytest.fixture(scope="module")
def far(net):
    """A host behind cli, on the last link of which only small packets fit; none but cli knows that."""
    there = Namespace(net.cli.name + "-far")
    net.namespaces.append(there)
    net.cli.run("ip", "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", there.name)
    net.cli.sysctl("net/ipv4/ip_forward", 1)
    net.cli.sysctl("net/ipv6/conf/all/forwarding", 1)
    for side in (IPV4, IPV6):
        router, host, prefix = FAR[side.version]
        net.cli.run("ip", "addr", "add", f"{router}/{side.length}", "dev", "far0")
        there.run("ip", "addr", "add", f"{host}/{side.length}", "dev", "eth0")
        net.srv.run("ip", f"-{side.version}", "route", "add", prefix, "via", side.cli)
    net.cli.run("ip", "link", "set", "far0", "up")
    there.run("ip", "link", "set", "eth0", "up")
    for side in (IPV4, IPV6):
        router, host, _ = FAR[side.version]
        there.run("ip", f"-{side.version}", "route", "add", "default", "via", router)
        net.cli.run("ip", f"-{side.version}", "route", "add", host, "dev", "far0", "mtu", "lock", NARROW)
    yield there
    net.cli.run("ip", "link", "del", "far0")
    for side in (IPV4, IPV6):
        net.srv.run("ip", f"-{side.version}", "route", "del", FAR[side.version][2])


@pytest.fixture(scope="module")
def far_servers(far):
    servers = Servers(far).tcp(LEASED, STRICT)
    yield servers
    servers.close()


@pytest.mark.parametrize("port", [LEASED, STRICT], ids=["leased", "strict"])
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_transfer_finds_the_path_mtu(daemon, net, far, far_servers, side, way, port):
    """RFC 1191, 8201: half a megabyte over a path that is narrower than both ends know. Without the
    router's errors nothing but the handshake would get through."""
    host = FAR[side.version][1]
    payload = bytes(range(256)) * 2048
    with forgotten_routes(net):
        assert route_mtu(net, side, host) is None
        sock = connect(far, side.srv, port) if way == "in" else connect(net.srv, host, port)
        with sock:
            for start in range(0, len(payload), 65536):
                piece = payload[start:start + 65536]
                sock.sendall(piece)
                assert receive(sock, len(piece)) == piece
        assert route_mtu(net, side, host) == NARROW


# RFC 4890, and what else the file refuses

@pytest.mark.parametrize("inward", [True, False], ids=["in", "out"])
@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: NEEDED[kind].replace(" ", "-"))
def test_icmpv6_that_rfc4890_wants_open_stays_open(daemon, icmp_outcomes, headless_outcomes, kind, inward):
    """RFC 4890 4.4.1, under defaults and rules that drop all of it, and with the daemon dead too."""
    assert icmp_outcomes[6, kind, inward] == headless_outcomes[6, kind, inward] == DELIVERED


@pytest.mark.parametrize("version,kind", [(6, kind) for kind in REFUSED] + [(4, kind) for kind in REFUSED_IPV4],
                         ids=[f"IPv6-{name.replace(' ', '-')}" for name in REFUSED.values()] +
                         [f"IPv4-{name.replace(' ', '-')}" for name in REFUSED_IPV4.values()])
def test_icmp_that_the_file_refuses_is_dropped(daemon, icmp_outcomes, headless_outcomes, version, kind):
    """Redirects above all: they are no errors about a connection, and nobody needs them. The guard does so too."""
    assert icmp_outcomes[version, kind, True] == headless_outcomes[version, kind, True] == DROPPED


LINK_LOCAL = "fe80::77"


def test_neighbour_discovery_from_beyond_the_link_is_ignored(daemon, net, wire):
    """RFC 4861 7.1.1, RFC 4890 4.4.1: the firewall lets it in, the stack wants hop limit 255."""
    def solicitation(hops, target):
        return (IPv6(src=IPV6.cli_b, dst=IPV6.srv, hlim=hops) / ICMPv6ND_NS(tgt=target))
    wire.send(solicitation(64, IPV6.srv), solicitation(255, IPV6.srv))
    first = wire.receive(lambda packet: ICMPv6ND_NA in packet and packet.dst == IPV6.cli_b)
    assert first is not None and first[ICMPv6ND_NA].tgt == IPV6.srv
    fence(wire, IPV6)
    assert wire.receive(lambda packet: ICMPv6ND_NA in packet and packet.dst == IPV6.cli_b, 0.05) is None


def test_a_router_advertisement_is_heard_from_the_link_alone(daemon, net, wire):
    """RFC 4861 6.1.2."""
    def advertisement(hops, prefix):
        return (IPv6(src=LINK_LOCAL, dst="ff02::1", hlim=hops) / ICMPv6ND_RA(routerlifetime=0) /
                ICMPv6NDOptPrefixInfo(prefix=prefix, prefixlen=64, L=1, A=0))
    net.srv.sysctl("net/ipv6/conf/wan0/accept_ra", 2)
    try:
        wire.send(advertisement(64, "2001:db8:64::"), advertisement(255, "2001:db8:255::"))
        wait_for(lambda: "2001:db8:255::/64" in net.srv.run("ip", "-6", "route").stdout, "the prefix is learned")
        assert "2001:db8:64::/64" not in net.srv.run("ip", "-6", "route").stdout
    finally:
        net.srv.sysctl("net/ipv6/conf/wan0/accept_ra", 0)
        net.srv.run("ip", "-6", "route", "del", "2001:db8:255::/64", "dev", "wan0", check=False)


# echo by identifier

@pytest.fixture
def mute(net):
    """cli answers no echo by itself."""
    names = ("net/ipv4/icmp_echo_ignore_all", "net/ipv6/icmp/echo_ignore_all")
    for name in names:
        net.cli.sysctl(name, 1)
    yield
    for name in names:
        net.cli.sysctl(name, 0)


def reply(side, identifier, source=None, payload=b"sallyport"):
    head = ip(side, source or side.cli, side.srv)
    kind = ICMP(type=0, id=identifier, seq=1) if side.version == 4 else ICMPv6EchoReply(id=identifier, seq=1)
    return head / kind / Raw(payload)


def asker(net, side, identifier):
    """A socket of the host that has asked cli under this identifier."""
    protocol = socket.IPPROTO_ICMP if side.version == 4 else socket.IPPROTO_ICMPV6
    sock = net.srv.socket(side.family, socket.SOCK_DGRAM, protocol)
    sock.bind((side.srv, identifier))
    sock.connect((side.cli, 0))
    sock.settimeout(5)
    ask(side, sock)
    return sock


def ask(side, sock):
    sock.send(struct.pack("!BBHHH", 8 if side.version == 4 else 128, 0, 0, 0, 1) + b"sallyport")


IDENTIFIERS = iter(range(20000, 60000, 10))


def strange_request(side, identifier):
    head = ip(side, side.cli, side.srv)
    return head / (ICMP(type=8, id=identifier) if side.version == 4 else ICMPv6EchoRequest(id=identifier))


def other_answer(side, identifier):
    """Of another question: timestamp; IPv6 has none, there it is the reply of a node information query."""
    head = ip(side, side.cli, side.srv)
    if side.version == 4:
        return head / ICMP(type=14, id=identifier)
    head.nh = socket.IPPROTO_ICMPV6
    return head / Raw(struct.pack("!BBHHH", 140, 0, 0, identifier, 0) + bytes(8))


REPLIES = {  # name: (passes, the identifier that it carries, how it is made)
    "its own": (True, 0, reply),
    "another identifier": (False, 1, reply),
    "another sender": (False, 0, lambda side, number: reply(side, number, side.cli_b)),
    "a request of the peer": (False, 0, strange_request),
}


@pytest.mark.parametrize("case", REPLIES)
def test_an_echo_reply_passes_by_its_identifier(daemon, net, wire, seen, mute, side, case):
    """RFC 5508 REQ-1, 2: the identifier is to echo what ports are to the rest."""
    passes, shift, build = REPLIES[case]
    identifier = next(IDENTIFIERS)
    with asker(net, side, identifier):
        packet = build(side, identifier + shift)
        assert arrives(wire, side, seen, packet, "answer") == passes


def test_an_echo_reply_without_a_request_is_dropped(daemon, net, wire, seen, mute, side):
    assert not arrives(wire, side, seen, reply(side, next(IDENTIFIERS)), "answer")


def test_an_answer_to_another_question_is_no_echo_reply(daemon, net, wire, seen, mute, side):
    identifier = next(IDENTIFIERS)
    with asker(net, side, identifier):
        assert not arrives(wire, side, seen, other_answer(side, identifier), "answer")


def test_two_identifiers_stay_apart(daemon, net, wire, mute, side):
    """Each asker gets its own reply, and both are connections of their own."""
    first, second = next(IDENTIFIERS), next(IDENTIFIERS)
    with asker(net, side, first) as one, asker(net, side, second) as other:
        wire.send(reply(side, second, payload=b"second"), reply(side, first, payload=b"first"))
        assert one.recv(100)[8:] == b"first" and other.recv(100)[8:] == b"second"
        rows = daemon.connections(side.icmp, "state", "replied")
        assert {first, second} <= {row["local_port"] or row["remote_port"] for row in rows}


def test_a_request_asked_again_is_answered_again(daemon, net, wire, mute, side):
    with asker(net, side, next(IDENTIFIERS)) as sock:
        identifier = sock.getsockname()[1]
        for _ in range(3):
            wire.send(reply(side, identifier))
            assert sock.recv(100)[8:] == b"sallyport"
            ask(side, sock)
