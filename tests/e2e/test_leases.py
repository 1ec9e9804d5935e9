# SPDX-License-Identifier: GPL-2.0-or-later
"""Leases: what the daemon has accepted goes on in the kernel without it, and no further than it
has accepted it."""

import socket
import struct
import threading
import time
from contextlib import contextmanager

import pytest
from scapy.layers.inet import TCP

from clients import OPEN, connect, echo, udp_outcome, udp_socket
from leases import (Key, elements, end_lease, key_of, lease_left, leases, own_key_of,
                    wait_leased, wait_not_leased)
from load import Transfer
from net import BOTH, wait_for
from test_nat import published  # noqa: F401  a fixture
from wire import Wire, ip

STRICT = "default in drop\ndefault out drop\n"
RULES = STRICT + "allow in tcp 80\nallow in tcp 9000-9001\nallow in udp 53\nallow out tcp,udp 80,53\n"
MEGABYTE = 1 << 20
LEASE, UDP_LEASE, CLOSING_LEASE = 60, 30, 10  # seconds, at most


def asked(daemon):
    """Packets that the kernel did not settle alone."""
    return daemon.stats()["daemon"]["packets"]


def lost(*namespaces):
    """TCP segments that had to be sent again because they, and not only their acknowledgment, were lost or
    late: for one that came twice the receiver says so (RFC 2883)."""
    total = 0
    for namespace in namespaces:
        names, values = [line.split() for line in namespace.read("snmp").splitlines()
                         if line.startswith("Tcp:")]
        total += int(values[names.index("RetransSegs")]) - namespace.figure("TCPDSACKRecv")
    return total


def wait_nothing_lost(before, *namespaces):
    """A probe that was sent because the machine is slow (RFC 8985 7) is no loss: its receiver will say so."""
    wait_for(lambda: lost(*namespaces) <= before, "what was sent twice has come twice", 2)


def renew(namespace, sock, key):
    """Data over a connection without a lease: a full one comes of it."""
    end_lease(namespace, key)
    assert echo(sock)
    wait_for(lambda: (lease_left(namespace, key) or 0) > CLOSING_LEASE, f"a full lease for {key}")


def converse(sock):
    """A UDP flow to this host is leased once it has been answered and goes on."""
    return echo(sock) and echo(sock)


def shift(sock, megabytes):
    for _ in range(16 * megabytes):
        assert echo(sock, bytes(MEGABYTE // 16))


@contextmanager
def accepted(net, side, port, source_port=0):
    """A connection from the client with both its ends: (client's, server's)."""
    with net.srv.socket(side.family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((side.srv, port))
        listener.listen()
        listener.settimeout(5)
        with connect(net.cli, side.srv, port, source_port=source_port) as client, \
                listener.accept()[0] as server:
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"
            yield client, server


def state_of(daemon, key):
    """As `list` shows it; None where it does not."""
    rows = [row["state"] for row in daemon.connections("tcp")
            if (row["local"], row["local_port"], row["remote"], row["remote_port"]) ==
            (key.local, key.local_port, key.remote, key.remote_port)]
    return rows[0] if rows else None


# what rides on a lease

@pytest.mark.parametrize("way", ["in", "out"])
def test_data_does_not_reach_the_daemon(firewall, servers, servers_at, net, side, way):
    servers.tcp(80)
    servers_at(net.cli).tcp(80)
    daemon = firewall(RULES)
    client, address = (net.cli, side.srv) if way == "in" else (net.srv, side.cli)
    with connect(client, address, 80) as sock:
        assert echo(sock)
        key = key_of(sock) if way == "in" else own_key_of(sock)
        assert wait_leased(net.srv, key) <= LEASE
        before = asked(daemon)
        shift(sock, 8)
        assert asked(daemon) == before
        wait_for(lambda: state_of(daemon, key) == "ESTABLISHED", "list shows it open", 1)


@pytest.mark.parametrize("way", ["in", "out"])
def test_datagrams_of_a_leased_flow_do_not_reach_the_daemon(firewall, servers, servers_at, net, side, way):
    servers.udp(53)
    servers_at(net.cli).udp(53)
    daemon = firewall(RULES)
    client, address = (net.cli, side.srv) if way == "in" else (net.srv, side.cli)
    with udp_socket(client, address, 53) as sock:
        sock.settimeout(2)
        assert converse(sock)
        key = key_of(sock, "udp") if way == "in" else own_key_of(sock, "udp")
        assert wait_leased(net.srv, key) <= UDP_LEASE
        before = asked(daemon)
        for _ in range(500):
            assert echo(sock)
        assert asked(daemon) == before


def test_a_containers_connection_is_leased(firewall, published, servers_at, net, side):  # noqa: F811
    """Learned behind SNAT: neither the replies nor what it sends has to be asked about."""
    servers_at(net.cli).tcp(80)
    daemon = firewall(STRICT)
    with connect(net.ctr, side.cli, 80) as sock:
        assert echo(sock)
        key, = wait_for(lambda: [key for key in leases(net.srv) if key.remote_port == 80],
                        "a lease for the translated connection")
        assert (key.local, key.remote) == (side.srv, side.cli)
        before = asked(daemon)
        shift(sock, 4)
        assert asked(daemon) == before


def test_a_published_ports_connection_is_leased(firewall, published, net, side):  # noqa: F811
    """Under the address and port that the client sees."""
    daemon = firewall(STRICT + "allow in tcp 8080\n")
    with connect(net.cli, side.srv, 8080) as sock:
        assert echo(sock)
        key = key_of(sock)
        assert wait_leased(net.srv, key)
        assert (key.local, key.local_port) == (side.srv, 8080)
        before = asked(daemon)
        shift(sock, 4)
        assert asked(daemon) == before


# what does not

def test_a_datagram_does_not_ride_on_a_tcp_lease(firewall, servers, net, side):
    servers.tcp(80).udp(80)
    firewall(STRICT + "allow in tcp 80\n")
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        key = key_of(sock)
        wait_leased(net.srv, key)
        with udp_socket(net.cli, side.srv, 80, side.cli, key.remote_port) as udp:
            udp.settimeout(0.4)
            udp.send(b"let me in")
            with pytest.raises(TimeoutError):
                udp.recv(100)
        assert not servers.datagrams[80]
        assert lease_left(net.srv, key)


def test_a_segment_does_not_ride_on_a_udp_lease(firewall, servers, witness, net, side):
    servers.udp(53)
    firewall(RULES)
    seen = witness(tcp="tcp dport 53")
    with udp_socket(net.cli, side.srv, 53) as sock, Wire(net) as wire:
        sock.settimeout(2)
        assert converse(sock)
        key = key_of(sock, "udp")
        wait_leased(net.srv, key)
        for flags in ("S", "A", "PA", "FA", "R"):
            wire.send(ip(side, side.cli, side.srv) / TCP(sport=key.remote_port, dport=53, flags=flags))
        seen.wait_before("tcp", 5)
        assert echo(sock)
    assert udp_outcome(net.cli, side.srv, 53) == OPEN  # a new flow, asked about after the segments
    assert seen.behind("tcp") == 0


def test_a_syn_is_asked_about_although_a_lease_stands(firewall, servers, witness, net, side):
    """Whether a port may be used again the daemon decides."""
    servers.tcp(80)
    daemon = firewall(RULES)
    seen = witness(syn="tcp dport 80 tcp flags & (syn | ack) == syn")
    with connect(net.cli, side.srv, 80) as sock, Wire(net) as wire:
        assert echo(sock)
        key = key_of(sock)
        wait_leased(net.srv, key)
        before, arrived = asked(daemon), seen.before("syn")
        for number in range(10):
            wire.send(ip(side, side.cli, side.srv) /
                      TCP(sport=key.remote_port, dport=80, flags="S", seq=number * 400000000))
        seen.wait_before("syn", arrived + 10)
        wait_for(lambda: asked(daemon) >= before + 10, "all SYNs are asked about")


@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_port_can_be_used_again_at_once(firewall, net, side, closer):
    """The same 4-tuple over and over, ended by the client's RST or by the server's FIN: every new
    connection works and none is delayed, whatever lease the one before has left; and what the
    handshakes needed is gone."""
    firewall(RULES)
    repeated = net.cli.figure("TCPSynRetrans")
    for _ in range(20):
        with accepted(net, side, 9000, source_port=45678) as (client, server):
            key = key_of(client)
            if closer == "client":
                abort_on_close(client)
            else:
                server.close()
                assert client.recv(1) == b""
        wait_for(lambda: not socket_on(net.cli, 45678), "the client's last ACK")
    assert net.cli.figure("TCPSynRetrans") == repeated
    wait_for(lambda: lease_left(net.srv, key, "half_in") is None, "half has it no more", 1)


def socket_on(namespace, port):
    """True where a TCP socket, whatever its state, has this local port."""
    return any(int(line.split()[1].rsplit(":", 1)[1], 16) == port
               for table in ("tcp", "tcp6") for line in namespace.read(table).splitlines()[1:])


def abort_on_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("rules", ["allow in tcp 80 strict\n", "inspect all\nallow in tcp 80\n"],
                         ids=["strict", "inspect all"])
def test_strict_grants_no_lease_and_checks_the_window(firewall, servers, witness, net, side, rules):
    servers.tcp(80)
    daemon = firewall(STRICT + rules)
    odd = f"tcp dport 80 {'ip ttl' if side.version == 4 else 'ip6 hoplimit'} 77"
    seen = witness(odd=odd)
    hops = {"ttl" if side.version == 4 else "hlim": 77}
    with connect(net.cli, side.srv, 80) as sock, Wire(net) as wire:
        for _ in range(20):
            assert echo(sock)
        key, before = key_of(sock), asked(daemon)
        assert not leases(net.srv) and not leases(net.srv, "half_in")
        wrong = daemon.reason("drop.window")
        for number in range(4):
            wire.send(ip(side, side.cli, side.srv, **hops) /
                      TCP(sport=key.remote_port, dport=80, flags="PA", seq=number << 30, ack=number << 30) /
                      b"not mine")
        seen.wait_before("odd", 4)
        assert echo(sock)  # asked about behind them
        assert seen.behind("odd") <= 1  # a quarter of all numbers may be near the right one
        assert daemon.reason("drop.window") >= wrong + 3
        assert asked(daemon) > before + 4
        assert not leases(net.srv) and not leases(net.srv, "half_in")


# how a lease ends

@pytest.mark.parametrize("way", ["in", "out"])
def test_an_expired_lease_is_renewed_without_a_retransmission(firewall, servers, servers_at, net, side, way):
    servers.tcp(80)
    servers_at(net.cli).tcp(80)
    daemon = firewall(RULES)
    client, address = (net.cli, side.srv) if way == "in" else (net.srv, side.cli)
    with connect(client, address, 80) as sock:
        assert echo(sock)
        key = key_of(sock) if way == "in" else own_key_of(sock)
        wait_leased(net.srv, key)
        again, before = lost(net.srv, net.cli), asked(daemon)
        for _ in range(20):
            end_lease(net.srv, key)
            assert echo(sock)
            assert wait_leased(net.srv, key) <= LEASE
        wait_nothing_lost(again, net.srv, net.cli)
        assert asked(daemon) >= before + 20


def test_leases_of_a_busy_connection_expire_and_are_renewed(firewall, servers, net, side):
    """Under a steady transfer, whichever packet comes first."""
    servers.tcp(9000)
    firewall(RULES)
    with Transfer(net.cli, side.srv, 9000, pause=0) as transfer:
        key = key_of(transfer.sock)
        transfer.wait_rounds(10)
        again = lost(net.srv, net.cli)
        for _ in range(30):
            wait_leased(net.srv, key)
            end_lease(net.srv, key)
            transfer.wait_rounds(2)
    assert transfer.errors == [] and transfer.whole()
    wait_nothing_lost(again, net.srv, net.cli)


def test_expired_udp_leases_are_renewed(firewall, servers, net, side):
    servers.udp(53)
    firewall(RULES)
    with udp_socket(net.cli, side.srv, 53) as sock:
        sock.settimeout(2)
        assert converse(sock)
        key = key_of(sock, "udp")
        for _ in range(10):
            wait_leased(net.srv, key)
            end_lease(net.srv, key)
            assert echo(sock)


def test_a_killed_connection_stops_at_its_next_packet(firewall, servers, witness, net, side):
    """When `kill` has answered nothing of it passes any more; its neighbour goes on."""
    servers.tcp(9000, 9001)
    daemon = firewall(RULES)
    seen = witness(doomed="tcp dport 9000")
    with Transfer(net.cli, side.srv, 9000) as doomed, Transfer(net.cli, side.srv, 9001) as other:
        key = key_of(doomed.sock)
        wait_leased(net.srv, key)
        doomed.wait_rounds(20)
        daemon.sallyport("kill", "tcp", "local-port", "9000")
        passed, arrived = seen.behind("doomed"), seen.before("doomed")
        assert lease_left(net.srv, key) is None
        doomed.sock.send(b"anybody?")  # it may be the client's turn to listen
        seen.wait_before("doomed", arrived + 2)  # it is sent again, and again
        other.wait_rounds(20)
        assert seen.behind("doomed") == passed
        assert state_of(daemon, key) is None
        doomed.sock.shutdown(socket.SHUT_RDWR)
    assert other.errors == [] and other.whole()


def test_a_forbidden_connection_stops_within_the_reload(firewall, servers, witness, net, side):
    """Its lease goes with the rules; those of all others stay as they are."""
    servers.tcp(80, 9000, 9001).udp(53)
    daemon = firewall(RULES)
    seen = witness(doomed="tcp dport 9000")
    with Transfer(net.cli, side.srv, 9000) as doomed, Transfer(net.cli, side.srv, 9001) as other, \
            connect(net.cli, side.srv, 80) as idle, udp_socket(net.cli, side.srv, 53) as flow:
        flow.settimeout(2)
        assert echo(idle) and converse(flow)
        stay = {key_of(other.sock), key_of(idle), key_of(flow, "udp")}
        for key in stay | {key_of(doomed.sock)}:
            wait_leased(net.srv, key)
        doomed.wait_rounds(20)
        before = leases(net.srv)
        daemon.reload(STRICT + "allow in tcp 80\nallow in tcp 9001\nallow in udp 53\n")
        passed, arrived = seen.behind("doomed"), seen.before("doomed")
        after = leases(net.srv)
        assert set(before) - set(after) == {key_of(doomed.sock)}
        assert all(after[key] <= before[key] for key in stay - {key_of(other.sock)})  # not made anew
        doomed.sock.send(b"anybody?")
        seen.wait_before("doomed", arrived + 2)
        other.wait_rounds(20)
        assert seen.behind("doomed") == passed
        count = asked(daemon)
        assert echo(idle) and echo(flow) and asked(daemon) == count
        doomed.sock.shutdown(socket.SHUT_RDWR)
    assert other.errors == [] and other.whole()


@pytest.mark.parametrize("closer", ["client", "server"])
def test_fin_shortens_the_lease(firewall, net, side, closer):
    daemon = firewall(RULES)
    with accepted(net, side, 9000) as (client, server):
        key = key_of(client)
        wait_leased(net.srv, key)
        end_lease(net.srv, key)
        client.sendall(b"again")
        assert server.recv(5) == b"again"
        wait_for(lambda: (lease_left(net.srv, key) or 0) > CLOSING_LEASE, "a full lease")
        closing, open_end = (client, server) if closer == "client" else (server, client)
        closing.shutdown(socket.SHUT_WR)
        assert open_end.recv(1) == b""
        assert (lease_left(net.srv, key) or 0) <= CLOSING_LEASE
        wait_for(lambda: state_of(daemon, key) not in (None, "ESTABLISHED"), "list shows it closing", 1)
        open_end.sendall(b"half-closed is not closed")
        assert closing.recv(100) == b"half-closed is not closed"


@pytest.mark.parametrize("closer", ["client", "server"])
def test_rst_shortens_the_lease(firewall, net, side, closer):
    daemon = firewall(RULES)
    with accepted(net, side, 9000) as (client, server):
        key = key_of(client)
        wait_leased(net.srv, key)
        end_lease(net.srv, key)
        client.sendall(b"again")
        assert server.recv(5) == b"again"
        wait_for(lambda: (lease_left(net.srv, key) or 0) > CLOSING_LEASE, "a full lease")
        closing, other = (client, server) if closer == "client" else (server, client)
        abort_on_close(closing)
        closing.close()
        with pytest.raises(ConnectionResetError):
            other.recv(1)
        assert (lease_left(net.srv, key) or 0) <= CLOSING_LEASE
        wait_for(lambda: state_of(daemon, key) in (None, "CLOSED"), "list shows the reset", 1)


def test_a_forged_reset_does_not_cut_an_idle_connection(firewall, servers, net):
    """Its sequence number is wrong, the receiver does not believe it, and nor does the daemon:
    long after the shortened lease and the time of a reset connection are over, data passes."""
    servers.tcp(80)
    daemon = firewall(RULES)
    open_connections = []
    with Wire(net) as wire:
        for side in BOTH:
            sock = connect(net.cli, side.srv, 80)
            key = key_of(sock)
            assert echo(sock)
            wait_leased(net.srv, key)
            renew(net.srv, sock, key)
            for seq in (1, 1 << 30, 2 << 30, 3 << 30):
                wire.send(ip(side, side.cli, side.srv) /
                          TCP(sport=key.remote_port, dport=80, flags="R", seq=seq))
            wait_for(lambda: (lease_left(net.srv, key) or 0) <= CLOSING_LEASE, "the lease is shortened")
            open_connections.append((sock, key))
    begin = time.monotonic()
    for sock, key in open_connections:
        wait_not_leased(net.srv, key, CLOSING_LEASE + 2)
    wait_for(lambda: time.monotonic() > begin + 15, "15 s of silence", 20)
    again = lost(net.srv, net.cli)
    for sock, key in open_connections:
        with sock:
            assert echo(sock)
            assert wait_leased(net.srv, key)
            wait_for(lambda: state_of(daemon, key) == "ESTABLISHED", "list shows it open", 1)
    wait_nothing_lost(again, net.srv, net.cli)


# the handshakes' set

HANDSHAKES = 20_000


class Acceptor(threading.Thread):
    """Takes connections and closes them when the other end has."""

    def __init__(self, namespace, family, port):
        super().__init__(daemon=True)
        self.listener = namespace.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", port))
        namespace.sysctl("net/core/somaxconn", 32768)
        self.listener.listen(32768)
        self.count = 0
        self.start()

    def run(self):
        try:
            while True:
                self.listener.accept()[0].close()
                self.count += 1
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(10)
        self.listener.close()


def test_completed_handshakes_leave_half(firewall, net, side):
    """More of them in a row than the set has places: none is delayed, and it is empty again."""
    firewall(RULES)
    acceptor = Acceptor(net.srv, side.family, 9000)
    repeated = net.cli.figure("TCPSynRetrans")
    try:
        with net.cli.entered():
            for number in range(HANDSHAKES):  # no port twice
                with socket.socket(side.family) as sock:
                    abort_on_close(sock)
                    sock.settimeout(5)
                    sock.bind((side.cli if number % 2 else side.cli_b, 10000 + number // 2))
                    sock.connect((side.srv, 9000))
    finally:
        acceptor.close()
    assert net.cli.figure("TCPSynRetrans") == repeated
    name = f"half_in{side.version}"
    wait_for(lambda: len(elements(net.srv, name)) <= HANDSHAKES // 200, "half is nearly empty", 2)


def test_an_unfinished_handshake_has_a_place_in_half(firewall, servers, net, side):
    """And no lease: it is not open."""
    servers.tcp(80)
    firewall(RULES)
    with Wire(net) as wire:
        net.cli.run("nft", "-f", "-", input="table inet mute { chain c { type filter hook output priority 0; "
                    "tcp flags rst drop; }; }")
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=5555, dport=80, flags="S", seq=1000))
        answer = wire.receive(lambda packet: TCP in packet and packet[TCP].sport == 80)
        assert answer[TCP].flags == "SA"
    key = Key(side.srv, 80, side.cli, 5555)
    assert lease_left(net.srv, key, "half_in") <= CLOSING_LEASE
    assert lease_left(net.srv, key) is None
