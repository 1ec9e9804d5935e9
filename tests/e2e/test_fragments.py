# SPDX-License-Identifier: GPL-2.0-or-later
"""Fragments: whole, tiny, overlapping. They neither bypass a rule nor break an allowed flow."""

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from clients import connect, receive, udp_socket
from net import IPV4, IPV6, wait_for
from wire import Wire, ip

STRICT = "default in drop\ndefault out drop\n"
RULES = STRICT + "allow in tcp 80\nallow in udp 80\n"


@pytest.fixture(params=[1500, 1280])
def mtu(request, net):
    for namespace, interface in ((net.cli, "eth0"), (net.srv, "wan0")):
        namespace.run("ip", "link", "set", interface, "mtu", request.param)
    yield request.param
    for namespace, interface in ((net.cli, "eth0"), (net.srv, "wan0")):
        namespace.run("ip", "link", "set", interface, "mtu", 1500)


@pytest.mark.parametrize("size", [1600, 8000, 60000])
def test_large_datagrams_arrive(firewall, servers, net, side, mtu, size):
    """Both ways: the question and its echo travel in pieces."""
    servers.udp(80)
    firewall(RULES)
    with udp_socket(net.cli, side.srv, 80) as sock:
        sock.settimeout(5)
        payload = bytes(range(256)) * (size // 256 + 1)
        for _ in range(5):
            sock.send(payload[:size])
            assert sock.recv(65535) == payload[:size]


def test_large_datagrams_to_a_denied_port_do_not(firewall, servers, witness, net, side):
    servers.udp(80, 81)
    daemon = firewall(RULES)
    with udp_socket(net.cli, side.srv, 81) as denied, udp_socket(net.cli, side.srv, 80) as allowed:
        denied.send(b"x" * 8000)
        allowed.settimeout(5)
        allowed.send(b"x" * 8000)
        assert len(allowed.recv(65535)) == 8000
    assert servers.datagrams == {80: 1}
    assert daemon.running


def pieces(side, transport, cuts, overlap=None, source=None):
    """The packet with `transport` as payload, cut at the given offsets (multiples of 8).

    overlap: (offset, bytes) is one more piece that lies over the others."""
    payload = bytes(transport)[40 if side.version == 6 else 20:]
    bounds = [0, *cuts, len(payload)]
    parts = [(begin, payload[begin:end], end < len(payload))
             for begin, end in zip(bounds, bounds[1:]) if begin < end]
    if overlap:
        parts.insert(overlap[2], (overlap[0], overlap[1], overlap[0] + len(overlap[1]) < len(payload)))
    number = 6 if TCP in transport else 17
    source = source or side.cli
    made = []
    for offset, data, more in parts:
        if side.version == 4:
            made.append(IP(src=source, dst=side.srv, id=pieces.ident, flags="MF" if more else 0,
                           frag=offset // 8, proto=number) / Raw(data))
        else:
            made.append(IPv6(src=source, dst=side.srv) /
                        IPv6ExtHdrFragment(nh=number, offset=offset // 8, m=int(more), id=pieces.ident) /
                        Raw(data))
    pieces.ident += 1
    return made


pieces.ident = 1000


def syn(side, port, sport, payload=b""):
    return ip(side, side.cli, side.srv) / TCP(sport=sport, dport=port, flags="S", seq=1000,
                                             options=[("MSS", 1200), ("NOP", 0), ("WScale", 3)]) / payload


def datagram(side, port, sport, payload=b"0123456789abcdef" * 8):
    return ip(side, side.cli, side.srv) / UDP(sport=sport, dport=port) / Raw(payload)


def answer_to(wire, sport, timeout=5.0):
    return wire.receive(lambda packet: any(layer in packet and packet[layer].dport == sport
                                           for layer in (TCP, UDP)), timeout)


def fence(wire, side):
    """An allowed SYN after the others: when it is answered, they have been judged."""
    wire.send(syn(side, 80, 5999))
    return answer_to(wire, 5999)


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_fragments_are_put_together(firewall, servers, net, side, order):
    """Whole fragments in either order: allowed ports hear them, denied ones do not."""
    servers.udp(80, 81)
    firewall(RULES)
    with Wire(net) as wire:
        for port, sport in ((81, 5001), (80, 5000)):
            parts = pieces(side, datagram(side, port, sport), [32, 64])
            wire.send(*(parts if order == "forward" else parts[::-1]))
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams == {80: 1}


def test_fragments_made_by_scapy(firewall, servers, net):
    """IPv4, cut by somebody else's hand."""
    side = IPV4
    servers.udp(80, 81)
    firewall(RULES)
    with Wire(net) as wire:
        for port, sport in ((81, 5001), (80, 5000)):
            wire.send(*fragment(datagram(side, port, sport), fragsize=48))
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams == {80: 1}


@pytest.mark.parametrize("cut", [8, 16, 24])
def test_tiny_first_fragment(firewall, servers, witness, net, side, cut):
    """RFC 1858: a first piece that ends before the flags, so that a filter without reassembly
    never sees a SYN. IPv6 itself forbids a first piece without the whole TCP header (RFC 8200
    4.5); where it is legal, an allowed SYN must get through."""
    servers.tcp(80, 81)
    seen = witness(denied="tcp dport 81")
    firewall(RULES)
    with Wire(net) as wire:
        wire.send(*pieces(side, syn(side, 81, 5001), [cut]))
        wire.send(*pieces(side, syn(side, 80, 5000), [cut]))
        if side.version == 4 or cut == 24:
            answer = answer_to(wire, 5000)
            assert answer is not None and answer[TCP].flags == "SA" and answer[TCP].sport == 80
        assert fence(wire, side) is not None
    assert seen.behind("denied") == 0


def test_tiny_fragments_of_a_datagram(firewall, servers, net, side):
    servers.udp(80, 81)
    firewall(RULES)
    with Wire(net) as wire:
        for port, sport in ((81, 5001), (80, 5000)):
            parts = pieces(side, datagram(side, port, sport), range(8, 136, 8))
            assert len(parts) == 17
            wire.send(*parts)
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams == {80: 1}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_overlap_cannot_rewrite_the_port(firewall, servers, witness, net, side, position):
    """RFC 1858, 5722: an allowed port in one piece, a denied one written over it by another."""
    servers.udp(80, 81)
    seen = witness(denied="udp dport 81")
    firewall(RULES)
    liar = bytes(datagram(side, 81, 5001))[40 if side.version == 6 else 20:][:16]
    with Wire(net) as wire:
        wire.send(*pieces(side, datagram(side, 80, 5001), [16, 64], overlap=(0, liar, position)))
        wire.send(datagram(side, 80, 5000))
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams[81] == 0
    assert seen.behind("denied") == 0


def test_overlap_cannot_add_a_syn(firewall, servers, net, side):
    """The flags rewritten: an ACK that becomes a SYN to a denied port in the overlap."""
    servers.tcp(80, 81)
    firewall(RULES)
    first = syn(side, 80, 5001)
    second = bytes(syn(side, 81, 5001))[40 if side.version == 6 else 20:]
    with Wire(net) as wire:
        for position in (0, 1):
            wire.send(*pieces(side, first, [16], overlap=(0, second[:16], position)))
        assert fence(wire, side) is not None
        late = answer_to(wire, 5001, 0.2)
    assert late is None or late[TCP].sport == 80
    assert servers.accepted[81] == 0


def test_atomic_fragments(firewall, servers, net):
    """RFC 6946: a fragment header on a packet that is whole. Judged as any other packet."""
    side = IPV6
    servers.udp(80, 81)
    firewall(RULES)
    with Wire(net) as wire:
        for port, sport in ((81, 5001), (80, 5000)):
            wire.send(*pieces(side, datagram(side, port, sport), []))
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams == {80: 1}


def test_a_fragment_alone_goes_nowhere(firewall, servers, witness, net, side):
    """A later piece without its first one is never delivered, and wakes nobody up."""
    servers.udp(80)
    firewall(RULES)
    with Wire(net) as wire:
        wire.send(*pieces(side, datagram(side, 80, 5001), [32, 64])[1:])
        wire.send(datagram(side, 80, 5000))
        assert answer_to(wire, 5000) is not None
    assert servers.datagrams == {80: 1}


def test_no_conntrack_for_fragments(firewall, servers, net, side):
    """Reassembly happens without connection tracking being started for it."""
    servers.udp(80)
    firewall(RULES)
    with udp_socket(net.cli, side.srv, 80) as sock:
        sock.settimeout(5)
        sock.send(b"x" * 8000)
        assert len(sock.recv(65535)) == 8000
    assert net.srv.read("nf_conntrack") == ""


def test_bulk_tcp_with_small_segments(firewall, servers, net, side, mtu):
    servers.tcp(80)
    firewall(RULES)
    with connect(net.cli, side.srv, 80) as sock:
        sock.sendall(b"a" * 60000)
        assert receive(sock, 60000) == b"a" * 60000
    wait_for(lambda: servers.accepted[80] == 1, "the connection")
