# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports that address translation leads to other ports of the host itself (REDIRECT): rules, list and leases
go by what the wire shows, and what the server sends under its own port belongs to that."""

import socket
from dataclasses import replace

import pytest

from clients import OPEN, SILENT, connect, echo, outcome, receive, udp_outcome, udp_socket
from leases import end_leases, key_of, wait_leased
from net import wait_for
from test_busy import crowd, is_cut
from test_forwarding import at_home  # noqa: F401  a fixture
from test_leases import asked, shift

STRICT = "default in drop\ndefault out drop\n"
RULES = STRICT + "allow in tcp 80,81\nallow in udp 53\n"
REDIRECT = """
table {family} turned {{
	chain prerouting {{
		type nat hook prerouting priority dstnat;
		tcp dport 80 redirect to :8080
		tcp dport 81 redirect to :8081
		udp dport 53 redirect to :5353
		udp dport 54 redirect to :5454
	}}
}}
"""


@pytest.fixture
def redirected(net, servers, side):
    family = "ip" if side.version == 4 else "ip6"
    net.srv.run("nft", "-f", "-", input=REDIRECT.format(family=family))
    yield servers.tcp(8080).udp(5353)
    net.srv.run("nft", "delete", "table", family, "turned")


@pytest.fixture(params=["forwards", "at home"])
def host(request):
    """One that forwards sees what leaves a second time, behind the translation."""
    if request.param == "at home":
        request.getfixturevalue("at_home")


def state_of(daemon, sock):
    """As the list has it, or None."""
    rows = daemon.connections("tcp", "local-port", "80-81", "remote-port", str(sock.getsockname()[1]))
    return rows[0]["state"] if rows else None


def wait_state(daemon, sock, *states):
    wait_for(lambda: state_of(daemon, sock) in states, f"its state is {' or '.join(states)}")


def test_the_wires_port_is_the_one_that_counts(firewall, host, redirected, net, side):
    daemon = firewall(RULES)
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock, b"z" * 200000)
        wait_state(daemon, sock, "ESTABLISHED")
        assert not daemon.connections("port", "8080")
    assert udp_outcome(net.cli, side.srv, 53) == OPEN
    assert outcome(net.cli, side.srv, 8080) == SILENT
    assert udp_outcome(net.cli, side.srv, 5353) == SILENT
    daemon.reload(STRICT + "allow in tcp 8080\nallow in udp 5353\n")
    assert outcome(net.cli, side.srv, 80) == SILENT
    assert udp_outcome(net.cli, side.srv, 53) == SILENT


def test_data_passes_unasked(firewall, host, redirected, net, side):
    daemon = firewall(RULES)
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        wait_leased(net.srv, key_of(sock))
        before = asked(daemon)
        shift(sock, 4)
        assert asked(daemon) <= before + 1


def test_its_end_is_seen(firewall, host, redirected, net, side):
    """The server closes first, then the client."""
    daemon = firewall(RULES)
    with net.srv.socket(side.family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((side.srv, 8081))
        listener.listen()
        listener.settimeout(5)
        with connect(net.cli, side.srv, 81) as client:
            with listener.accept()[0] as server:
                server.sendall(b"hello")
                assert receive(client, 5) == b"hello"
                wait_state(daemon, client, "ESTABLISHED")
            assert client.recv(1) == b""
            wait_state(daemon, client, "CLOSE_WAIT")
            client.shutdown(socket.SHUT_WR)
            wait_state(daemon, client, "LAST_ACK", "TIME_WAIT")


@pytest.mark.parametrize("how", ["kill", "reload"])
def test_it_is_cut(firewall, host, redirected, net, side, how):
    daemon = firewall(RULES)
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        wait_state(daemon, sock, "ESTABLISHED")
        if how == "kill":
            daemon.sallyport("kill", "local-port", "80")
        else:
            daemon.reload(STRICT)
        assert is_cut(sock)


@pytest.mark.parametrize("how", ["restart", "kill -9"])
def test_it_goes_on_when_the_daemon_comes_back(firewall, host, redirected, net, side, how):
    """Without a lease even: it is known from conntrack. And while the daemon is away, new ones are opened."""
    daemon = firewall(RULES)
    with connect(net.cli, side.srv, 80) as before:
        assert echo(before)
        daemon.stop_for_restart() if how == "restart" else daemon.kill()
        with connect(net.cli, side.srv, 80) as during:
            assert echo(before) and echo(during)
            daemon.start()
            end_leases(net.srv, [key_of(before), key_of(during)])
            assert echo(before) and echo(during)
            wait_state(daemon, before, "ESTABLISHED")
            wait_state(daemon, during, "ESTABLISHED")


def test_strict_rules_hold(firewall, host, redirected, net, side):
    daemon = firewall(STRICT + "allow in tcp 80 strict\n")
    with connect(net.cli, side.srv, 80) as sock:
        before = asked(daemon)
        assert echo(sock, b"z" * 20000)
        assert asked(daemon) > before
        assert state_of(daemon, sock) == "ESTABLISHED"


def test_a_redirected_port_can_be_busy(firewall, host, redirected, net, side):
    daemon = firewall(STRICT + "busy above 1/s\nallow in tcp 80\n")
    with crowd(daemon, net.cli, side.srv) as socks:
        assert all(echo(sock) for sock in socks)


def test_a_flow_goes_on(firewall, host, redirected, net, side):
    firewall(RULES)
    with udp_socket(net.cli, side.srv, 53) as sock:
        sock.settimeout(2)
        assert all(echo(sock) for _ in range(5))


def test_what_the_host_sends_to_strangers_is_still_refused(firewall, host, redirected, net, side):
    """conntrack is asked, and knows nothing of it."""
    daemon = firewall(RULES)
    with udp_socket(net.srv, side.cli, 7, source_port=5354) as sock:
        sock.send(b"hello")
        wait_for(lambda: daemon.reason("drop.default") == 1, "it is refused")


def test_a_flow_that_is_killed_is_cut_both_ways(firewall, host, redirected, net, side):
    """What the host's own socket sends has a lease of its own, under the port that it has."""
    daemon = firewall(RULES + "allow in udp 54\n")
    with net.srv.socket(side.family, socket.SOCK_DGRAM) as server, udp_socket(net.cli, side.srv, 54) as client:
        server.bind((side.srv, 5454))
        server.settimeout(5)
        client.settimeout(5)
        for _ in range(3):
            client.send(b"question")
            _, sender = server.recvfrom(100)
            server.sendto(b"answer", sender)
            assert client.recv(100) == b"answer"
        wait_leased(net.srv, replace(key_of(client, "udp"), local_port=5454))
        daemon.sallyport("kill", "local-port", "54")
        client.settimeout(1)
        with pytest.raises(OSError):
            server.sendto(b"answer", sender)
            client.recv(100)
