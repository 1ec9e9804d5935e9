# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules in, rules out, and the replies: what each action and condition does to real packets."""

import errno
import socket
import time

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply
from scapy.packet import Raw

from clients import (OPEN, REFUSED, SILENCE, SILENT, connect, echo, outcome, ping, udp_outcome,
                     udp_socket)
from net import IPV6, wait_for
from wire import Wire, ip

DENY = "default in drop\ndefault out drop\n"
OUT = "default in drop\ndefault out allow\n"
# Neighbour discovery has to live where the essentials are off.
NEIGHBOURS = "".join(f"allow {way} icmpv6 {what}\n" for way in ("in", "out")
                   for what in ("nd-neighbor-solicit", "nd-neighbor-advert"))


# defaults

def test_default_denies_in(firewall, servers, witness, net, side):
    """With no rule for it, nothing that the wire delivers reaches a local server."""
    servers.tcp(80).udp(53)
    seen = witness(tcp="tcp dport 80", udp="udp dport 53")
    firewall(DENY)
    assert outcome(net.cli, side.srv, 80) == SILENT
    assert udp_outcome(net.cli, side.srv, 53) == SILENT
    assert seen.before("tcp") >= 1 and seen.before("udp") == 1
    assert seen.behind("tcp") == 0 and seen.behind("udp") == 0
    assert not servers.accepted and not servers.datagrams


def test_default_denies_out(firewall, servers_at, net, side):
    there = servers_at(net.cli).tcp(80).udp(53)
    firewall(DENY)
    assert outcome(net.srv, side.cli, 80) in (SILENT, "EPERM")
    assert udp_outcome(net.srv, side.cli, 53) in (SILENT, "EPERM")
    assert not there.accepted and not there.datagrams


def test_defaults_can_allow(firewall, servers, servers_at, net, side):
    servers.tcp(80)
    servers_at(net.cli).tcp(81)
    firewall("default in allow\ndefault out allow\n")
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.srv, side.cli, 81) == OPEN


def test_defaults_can_reject(firewall, servers, servers_at, net, side):
    servers.tcp(80).udp(80)
    servers_at(net.cli).tcp(81)
    firewall("default in reject\ndefault out reject\n")
    assert outcome(net.cli, side.srv, 80) == REFUSED
    assert udp_outcome(net.cli, side.srv, 80) == REFUSED
    assert outcome(net.srv, side.cli, 81) == REFUSED


def test_a_file_without_defaults_drops_in_and_allows_out(firewall, servers, servers_at, net, side):
    servers.tcp(80, 81)
    servers_at(net.cli).tcp(82)
    firewall("allow in tcp 80\n")
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT
    assert outcome(net.srv, side.cli, 82) == OPEN


# who opens, and the replies

def test_inbound_connection_and_its_replies(firewall, servers, net, side):
    """Rules say who may open; the replies go out although nothing may be opened outwards."""
    servers.tcp(80).udp(53)
    firewall(DENY + "allow in tcp 80\nallow in udp 53\n")
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock, b"x" * 100000)
    assert udp_outcome(net.cli, side.srv, 53) == OPEN


def test_outbound_connection_and_its_replies(firewall, servers_at, net, side):
    servers_at(net.cli).tcp(80).udp(53)
    firewall(DENY + "allow out tcp 80\nallow out udp 53\n")
    with connect(net.srv, side.cli, 80) as sock:
        assert echo(sock, b"x" * 100000)
    assert udp_outcome(net.srv, side.cli, 53) == OPEN


def test_a_port_is_open_one_way_only(firewall, servers, servers_at, net, side):
    servers.tcp(80, 81)
    servers_at(net.cli).tcp(80, 81)
    firewall(DENY + "allow in tcp 80\nallow out tcp 81\n")
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT
    assert outcome(net.srv, side.cli, 81) == OPEN
    assert outcome(net.srv, side.cli, 80) in (SILENT, "EPERM")


def test_a_source_port_opens_nothing(firewall, servers, net, side):
    """The classic mistake of packet filters without state: "from port 53" is not a reply."""
    servers.tcp(80).udp(81)
    firewall(DENY + "allow out tcp,udp 53\nallow out udp 1024-65535\n")
    with udp_socket(net.cli, side.srv, 81, side.cli, 53) as sock:
        sock.settimeout(SILENCE)
        sock.send(b"reply?")
        with pytest.raises(TimeoutError):
            sock.recv(100)
    with pytest.raises(TimeoutError):
        connect(net.cli, side.srv, 80, side.cli, SILENCE, 53)
    assert not servers.accepted and not servers.datagrams


def test_a_udp_reply_comes_only_from_who_was_asked(firewall, net, side):
    """The socket is not connected: without the firewall it would take the stranger's datagram."""
    firewall(OUT)
    with net.srv.socket(side.family, socket.SOCK_DGRAM) as asker, \
            net.cli.socket(side.family, socket.SOCK_DGRAM) as asked, \
            net.cli.socket(side.family, socket.SOCK_DGRAM) as stranger:
        asker.bind((side.srv, 5000))
        asked.bind((side.cli, 5001))
        stranger.bind((side.cli_b, 5001))
        for sock in (asker, asked):
            sock.settimeout(5)
        asker.sendto(b"question", (side.cli, 5001))
        assert asked.recv(100) == b"question"
        stranger.sendto(b"lie", (side.srv, 5000))
        asked.sendto(b"answer", (side.srv, 5000))
        assert asker.recv(100) == b"answer"
        asker.setblocking(False)
        with pytest.raises(BlockingIOError):
            asker.recv(100)


# actions

def test_drop_is_silent(firewall, servers, witness, net, side):
    servers.tcp(80).udp(80)
    seen = witness(tcp="tcp dport 80", udp="udp dport 80")
    firewall("default in allow\ndrop in tcp,udp 80\n")
    assert outcome(net.cli, side.srv, 80) == SILENT
    assert udp_outcome(net.cli, side.srv, 80) == SILENT
    assert seen.before("tcp") and seen.before("udp")
    assert seen.behind("tcp") == 0 and seen.behind("udp") == 0


def test_reject_answers_at_once(firewall, servers, net, side):
    """TCP: an RST, seen as ECONNREFUSED. UDP: ICMP port unreachable, likewise."""
    servers.tcp(80).udp(80)
    firewall(DENY + "reject in tcp,udp 80\n")
    for ask in (outcome, udp_outcome):
        begin = time.monotonic()
        assert ask(net.cli, side.srv, 80, patience=5) == REFUSED
        assert time.monotonic() - begin < 0.5
    assert not servers.accepted and not servers.datagrams


def test_reject_out_fails_at_once(firewall, servers_at, net, side):
    """Local programs hear at once that they may not: no waiting for a timeout."""
    there = servers_at(net.cli).tcp(25).udp(25)
    firewall(OUT + "reject out tcp,udp 25\n")
    for ask in (outcome, udp_outcome):
        begin = time.monotonic()
        assert ask(net.srv, side.cli, 25, patience=5) == REFUSED
        assert time.monotonic() - begin < 0.5
    assert not there.accepted and not there.datagrams


def test_reject_out_to_not(firewall, servers_at, net, side):
    servers_at(net.cli).tcp(25)
    firewall(OUT + f"reject out tcp 25 to not {side.cli_b}\n")
    assert outcome(net.srv, side.cli, 25) == REFUSED
    assert outcome(net.srv, side.cli_b, 25) == OPEN


def test_first_match_wins(firewall, servers, net, side):
    servers.tcp(80)
    daemon = firewall(DENY + "reject in tcp 80\nallow in tcp 80\n")
    assert outcome(net.cli, side.srv, 80) == REFUSED
    daemon.reload(DENY + "allow in tcp 80\nreject in tcp 80\n")
    assert outcome(net.cli, side.srv, 80) == OPEN


# conditions

def both_sources(net, side, port):
    return outcome(net.cli, side.srv, port, side.cli), outcome(net.cli, side.srv, port, side.cli_b)


def test_from_address(firewall, servers, net, side):
    servers.tcp(80)
    firewall(DENY + f"allow in tcp 80 from {side.cli}\n")
    assert both_sources(net, side, 80) == (OPEN, SILENT)


def test_from_not(firewall, servers, net, side):
    servers.tcp(80)
    firewall(DENY + f"allow in tcp 80 from not {side.cli}\n")
    assert both_sources(net, side, 80) == (SILENT, OPEN)


def test_from_prefix_and_range(firewall, servers, net, side):
    servers.tcp(80, 81)
    firewall(DENY + f"allow in tcp 80 from {side.cli_net}\n"
             f"allow in tcp 81 from {side.at(1, 3)}-{side.at(1, 9)}\n")
    assert both_sources(net, side, 80) == (OPEN, OPEN)
    assert both_sources(net, side, 81) == (SILENT, OPEN)
    assert outcome(net.cli2, side.srv_lan, 80) == SILENT


def test_from_set(firewall, servers, net, side):
    servers.tcp(80, 81)
    firewall("set office = 192.0.2.0/24, 10.77.1.2, fd77:0:0:1::2\n" + DENY +
             "allow in tcp 80 from @office\nreject in tcp 81 from not @office\nallow in tcp 81\n")
    assert both_sources(net, side, 80) == (OPEN, SILENT)
    assert both_sources(net, side, 81) == (OPEN, REFUSED)


def test_from_set_in_a_file(firewall, servers, net, side):
    servers.tcp(80)
    firewall('set blocked from file "blocked.txt"\n' + DENY +
             "drop in any from @blocked\nallow in tcp 80\n",
             files={"blocked.txt": "# two of them\n10.77.1.3\nfd77:0:0:1::3\n"})
    assert both_sources(net, side, 80) == (OPEN, SILENT)


def test_to_address(firewall, servers, net, side):
    """One server, two addresses of the host: the rule opens one."""
    servers.tcp(80)
    firewall(DENY + f"allow in tcp 80 to {side.srv}\n")
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv_lan, 80) == SILENT


def test_on_interface(firewall, servers, net, side):
    servers.tcp(80, 81)
    firewall(DENY + "allow in tcp 80 on lan0\nallow in tcp 81 on not lan*\n")
    assert outcome(net.cli2, side.srv_lan, 80) == OPEN
    assert outcome(net.cli, side.srv, 80) == SILENT
    assert outcome(net.cli2, side.srv_lan, 81) == SILENT
    assert outcome(net.cli, side.srv, 81) == OPEN


def test_on_interface_out(firewall, servers_at, net, side):
    servers_at(net.cli).tcp(80)
    servers_at(net.cli2).tcp(80)
    firewall("default in drop\ndefault out reject\nallow out tcp 80 on wan0\n")
    assert outcome(net.srv, side.cli, 80) == OPEN
    assert outcome(net.srv, side.cli2, 80) == REFUSED


def test_port_ranges_and_lists(firewall, servers, net, side):
    servers.tcp(7999, 8000, 8499, 8999, 9000, 9090)
    firewall(DENY + "allow in tcp 8000-8999,9090\n")
    seen = {port: outcome(net.cli, side.srv, port) for port in (7999, 8000, 8499, 8999, 9000, 9090)}
    assert seen == {7999: SILENT, 8000: OPEN, 8499: OPEN, 8999: OPEN, 9000: SILENT, 9090: OPEN}


def test_port_classes(firewall, servers, net, side):
    servers.tcp(1023, 1024, 49151, 49152)
    firewall(DENY + "allow in tcp registered\n")
    seen = {port: outcome(net.cli, side.srv, port) for port in (1023, 1024, 49151, 49152)}
    assert seen == {1023: SILENT, 1024: OPEN, 49151: OPEN, 49152: SILENT}


def test_service_names(firewall, servers, net, side):
    servers.tcp(80, 443, 7000, 81).udp(7000)
    firewall("service game = tcp 7000, udp 7000\n" + DENY + "allow in http,https\nallow in game\n")
    seen = {port: outcome(net.cli, side.srv, port) for port in (80, 443, 7000, 81)}
    assert seen == {80: OPEN, 443: OPEN, 7000: OPEN, 81: SILENT}
    assert udp_outcome(net.cli, side.srv, 7000) == OPEN


def test_protocols_are_apart(firewall, servers, net, side):
    servers.tcp(53, 54).udp(53, 54)
    firewall(DENY + "allow in tcp 53\nallow in udp 54\n")
    assert outcome(net.cli, side.srv, 53) == OPEN and udp_outcome(net.cli, side.srv, 53) == SILENT
    assert outcome(net.cli, side.srv, 54) == SILENT and udp_outcome(net.cli, side.srv, 54) == OPEN


def test_a_protocol_without_ports(firewall, witness, net, side):
    """GRE by name, by its number, and not at all."""
    seen = witness(gre="meta l4proto 47")
    daemon = firewall(DENY)
    packet = ip(side, side.cli, side.srv, **{"proto" if side.version == 4 else "nh": 47}) / Raw(b"\0" * 8)
    with Wire(net) as wire:
        wire.send(packet)
        seen.wait_before("gre", 1)
        daemon.reload(DENY + "allow in gre\n")
        assert seen.behind("gre") == 0
        wire.send(packet)
        wait_for(lambda: seen.behind("gre") == 1, "GRE passes by name")
        daemon.reload(DENY + "allow in 47\n")
        wire.send(packet)
        wait_for(lambda: seen.behind("gre") == 2, "GRE passes by number")


def test_log_names_the_packet(firewall, servers, net, side):
    daemon = firewall(DENY + "drop in log tcp 23\n")
    assert outcome(net.cli, side.srv, 23) == SILENT
    line = wait_for(lambda: next((line for line in daemon.log().splitlines() if side.cli in line), None),
                    "a log line for the dropped packet")
    assert side.srv in line and "23" in line and "sallyport.rules:3" in line


def test_loopback_is_always_open(firewall, servers, net, side):
    servers.tcp(80).udp(53)
    firewall(DENY)
    address = "127.0.0.1" if side.version == 4 else "::1"
    assert outcome(net.srv, address, 80) == OPEN
    assert udp_outcome(net.srv, address, 53) == OPEN
    assert outcome(net.srv, side.srv, 80) == OPEN  # its own address: loopback too


def test_neighbours_are_found_under_default_deny(firewall, servers, net, side):
    """Neighbour discovery passes (RFC 4890), so IPv6 lives on under default deny."""
    servers.tcp(80)
    firewall(DENY + "allow in tcp 80\n")
    for namespace in (net.srv, net.cli):
        namespace.run("ip", "neigh", "flush", "all")
    assert outcome(net.cli, side.srv, 80, patience=3) == OPEN


def test_forwarded_packets_are_not_ours(firewall, servers_at, net, side):
    """What is not for this host passes; other tables judge it."""
    servers_at(net.cli2).tcp(80)
    firewall(DENY)
    with connect(net.cli, side.cli2, 80) as sock:
        assert echo(sock)


# ICMP

def test_echo_request_by_rule(firewall, net, side):
    daemon = firewall("essentials off\n" + DENY + NEIGHBOURS)
    assert not ping(net.cli, side.srv)
    daemon.reload("essentials off\n" + DENY + NEIGHBOURS + f"allow in {side.icmp} echo-request\n")
    assert ping(net.cli, side.srv, patience=3)


def test_a_rule_of_the_file_overrules_the_echo_that_ipv6_allows(firewall, net):
    """RFC 4890 wants ICMPv6 echo open, so it is, until a line says otherwise."""
    daemon = firewall(DENY)
    assert ping(net.cli, IPV6.srv, patience=3) and ping(net.srv, IPV6.cli, patience=3)
    daemon.reload(DENY + "drop in icmpv6 echo-request\ndrop out icmpv6 echo-request\n")
    assert not ping(net.cli, IPV6.srv) and not ping(net.srv, IPV6.cli)
    daemon.reload(DENY + f"drop in any from {IPV6.cli_b}\n")
    assert ping(net.cli, IPV6.srv, IPV6.cli, patience=3) and not ping(net.cli, IPV6.srv, IPV6.cli_b)


def test_echo_out_and_its_reply(firewall, net, side):
    firewall(DENY + f"allow out {side.icmp} echo-request\n")
    assert ping(net.srv, side.cli, patience=3)


def test_a_stray_echo_reply_is_dropped(firewall, witness, net, side):
    icmp = "icmp type echo-reply" if side.version == 4 else "icmpv6 type echo-reply"
    seen = witness(reply=icmp)
    daemon = firewall("essentials off\n" + OUT + NEIGHBOURS)
    reply = ICMP(type=0, id=77) if side.version == 4 else ICMPv6EchoReply(id=77)
    with Wire(net) as wire:
        wire.send(ip(side, side.cli, side.srv) / reply)
    seen.wait_before("reply", 1)
    wait_for(lambda: daemon.reason("drop.no-connection") >= 1, "the reply is dropped as a stray")
    assert seen.behind("reply") == 0


def unreachable(side, source, inner):
    """An ICMP port unreachable from `source` to the host, about the packet `inner`."""
    head = ip(side, source, side.srv)
    if side.version == 4:
        return head / ICMP(type=3, code=3) / inner
    return head / ICMPv6DestUnreach(code=4) / inner


def test_a_related_error_reaches_the_socket(firewall, net, side):
    """UDP to a closed port of the peer: its port unreachable is let in and ends the wait."""
    firewall(OUT)
    assert udp_outcome(net.srv, side.cli, 9, patience=3) == REFUSED


def test_a_stray_error_is_dropped(firewall, witness, net, side):
    """An error about a packet that nobody sent does not reach the socket it names."""
    match = ("icmp" if side.version == 4 else "icmpv6") + " type destination-unreachable"
    seen = witness(error=match)
    daemon = firewall(OUT)
    with udp_socket(net.srv, side.cli, 5001, side.srv, 5000) as victim, Wire(net) as wire:
        inner = ip(side, side.srv, side.cli) / UDP(sport=5000, dport=5001) / Raw(b"never sent")
        wire.send(unreachable(side, side.cli, inner))
        seen.wait_before("error", 1)
        wait_for(lambda: daemon.reason("drop.stray-error") >= 1, "the error is dropped as a stray")
        assert victim.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert seen.behind("error") == 0


def test_an_error_from_a_router_on_the_way_is_related(firewall, net, side):
    """Who sends the error does not matter, only what it is about (path MTU discovery needs this)."""
    firewall(OUT)
    with udp_socket(net.srv, side.cli, 5001, side.srv, 5000) as asker, Wire(net) as wire, \
            net.cli.socket(side.family, socket.SOCK_DGRAM) as peer:
        peer.bind((side.cli, 5001))
        peer.settimeout(5)
        asker.send(b"sent")
        assert peer.recv(100) == b"sent"
        inner = ip(side, side.srv, side.cli) / UDP(sport=5000, dport=5001) / Raw(b"sent")
        wire.send(unreachable(side, side.cli_b, inner))
        wait_for(lambda: asker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED,
                 "the error reaches the socket")


# segments that open nothing

@pytest.mark.parametrize("flags", ["A", "PA", "SA", "FA", "R", "RA"])
def test_a_segment_of_no_connection_gets_no_answer(firewall, servers, witness, net, side, flags):
    """Without the firewall the host answers an ACK with an RST, and so tells that it is there."""
    servers.tcp(80)
    seen = witness(old="tcp sport 4001", new="tcp sport 4002")
    firewall(DENY + "allow in tcp 80\n")
    with Wire(net) as wire:
        for port in (80, 81):
            wire.send(ip(side, side.cli, side.srv) / TCP(sport=4001, dport=port, flags=flags, seq=1, ack=1))
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=4002, dport=80, flags="S", seq=1))
        answer = wire.receive(lambda packet: TCP in packet and packet[TCP].dport in (4001, 4002))
    assert answer is not None and answer[TCP].dport == 4002 and answer[TCP].flags == "SA"
    assert seen.before("old") == 2 and seen.behind("old") == 0


@pytest.mark.parametrize("flags", ["", "F", "FPU", "SF", "SR", "FSRPAU"])
def test_flags_that_no_tcp_sends_are_dropped(firewall, servers, witness, net, side, flags):
    """Null, FIN, Xmas and their kin: the tricks of port scanners."""
    servers.tcp(80)
    seen = witness(old="tcp sport 4001", new="tcp sport 4002")
    firewall("default in allow\nallow in tcp 80\n")
    with Wire(net) as wire:
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=4001, dport=80, flags=flags, seq=1))
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=4002, dport=80, flags="S", seq=1))
        answer = wire.receive(lambda packet: TCP in packet and packet[TCP].dport in (4001, 4002))
    assert answer is not None and answer[TCP].dport == 4002
    assert seen.before("old") == 1 and seen.behind("old") == 0


def test_a_segment_outside_the_window_is_dropped(firewall, servers, net, side):
    """A blind attacker's segment into an open connection does not pass, the connection goes on."""
    servers.tcp(80)
    daemon = firewall(DENY + "allow in tcp 80 strict\n")
    with connect(net.cli, side.srv, 80) as sock, Wire(net) as wire:
        assert echo(sock)
        wire.send(ip(side, side.cli, side.srv) /
                  TCP(sport=sock.getsockname()[1], dport=80, flags="PA", seq=0, ack=0) / Raw(b"lie"))
        wait_for(lambda: daemon.reason("drop.window") >= 1, "the segment is dropped for its window")
        assert echo(sock)


def test_a_blind_reset_does_not_cut(firewall, servers, net, side):
    """RFC 5961: an RST in the window that misses the exact sequence number ends nothing, and
    what follows the host's challenge ACK still passes."""
    servers.tcp(80)
    daemon = firewall(DENY + "allow in tcp 80\n")
    with Wire(net) as wire, connect(net.cli, side.srv, 80) as sock:
        port = sock.getsockname()[1]
        assert echo(sock)
        reply = wire.receive(lambda packet: TCP in packet and packet[TCP].dport == port
                             and packet[TCP].payload and packet[TCP].flags & 0x08)
        for off in (100, 5000, 1 << 31):
            wire.send(ip(side, side.cli, side.srv) /
                      TCP(sport=port, dport=80, flags="R", seq=(reply[TCP].ack + off) % (1 << 32)))
        assert echo(sock)
        assert len(daemon.connections("tcp", "port", "80")) == 1
        assert echo(sock, b"y" * 5000)


def test_ports_are_reused(firewall, servers, net, side):
    """The same 4-tuple again and again, as load balancers do it."""
    servers.tcp(80)
    firewall(DENY + "allow in tcp 80\n")
    for _ in range(5):
        sock = connect(net.cli, side.srv, 80, side.cli, 5, 40123)
        assert echo(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
