# SPDX-License-Identifier: GPL-2.0-or-later
"""A container behind address translation: its published port obeys the rules file like any
other port, and its own way out works.

ctr stands for the container: its server listens on port 80, and nftables publishes that as port
8080 of the host, the way container engines do."""

import pytest

from clients import OPEN, REFUSED, SILENT, connect, echo, outcome, ping, udp_outcome
from net import wait_for

STRICT = "default in drop\ndefault out drop\n"

PUBLISH = """
table {family} engine {{
	chain prerouting {{
		type nat hook prerouting priority dstnat;
		iifname != "ctr0" {family} daddr {{ {srv}, {srv_lan} }} tcp dport 8080 dnat to {target}:80
		iifname != "ctr0" {family} daddr {{ {srv}, {srv_lan} }} udp dport 5353 dnat to {target}:53
	}}
	chain output {{
		type nat hook output priority -100;
		{family} daddr {{ {srv}, {srv_lan} }} tcp dport 8080 dnat to {target}:80
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		iifname "ctr0" oifname "wan0" masquerade
	}}
}}
"""


@pytest.fixture
def published(net, servers_at, side):
    """The container's servers run and are published by another table."""
    target = side.ctr if side.version == 4 else f"[{side.ctr}]"
    text = PUBLISH.format(family="ip" if side.version == 4 else "ip6", srv=side.srv,
                          srv_lan=side.srv_lan, target=target)
    net.srv.run("nft", "-f", "-", input=text)
    return servers_at(net.ctr).tcp(80).udp(53)


def test_published_port_without_a_rule_is_shut(firewall, published, net, side):
    firewall(STRICT)
    assert outcome(net.cli, side.srv, 8080) == SILENT
    assert udp_outcome(net.cli, side.srv, 5353) == SILENT
    assert not published.accepted and not published.datagrams


def test_published_port_with_a_rule_is_open(firewall, published, net, side):
    firewall(STRICT + "allow in tcp 8080\nallow in udp 5353\n")
    with connect(net.cli, side.srv, 8080) as sock:
        assert echo(sock, b"z" * 200000)
    assert udp_outcome(net.cli, side.srv, 5353) == OPEN
    assert published.accepted[80] == 1 and published.datagrams[53] == 1


def test_the_containers_port_number_is_not_the_published_one(firewall, published, net, side):
    """Rules see the packet as the wire shows it: port 80 is not 8080."""
    firewall(STRICT + "allow in tcp 80\n")
    assert outcome(net.cli, side.srv, 8080) == SILENT
    assert not published.accepted


def test_published_port_by_source(firewall, published, net, side):
    firewall(STRICT + f"reject in tcp 8080 from {side.cli_b}\nallow in tcp 8080\n")
    assert outcome(net.cli, side.srv, 8080, side.cli) == OPEN
    assert outcome(net.cli, side.srv, 8080, side.cli_b) == REFUSED


def test_published_connection_is_listed_and_killed(firewall, published, net, side):
    daemon = firewall(STRICT + "allow in tcp 8080\n")
    with connect(net.cli, side.srv, 8080) as sock:
        assert echo(sock)
        # The handshake's copies may still be on their way when the client has its answer.
        row, = wait_for(lambda: daemon.connections("in", "tcp", "local-port", "8080", "state", "ESTABLISHED"),
                        "the connection is known to be established")
        assert (row["local"], row["remote"]) == (side.srv, side.cli)
        assert row["rule"]["line"] == 3
        daemon.reload(STRICT)
        assert not daemon.connections("tcp", "port", "8080")
        sock.settimeout(0.5)
        with pytest.raises(OSError):
            echo(sock)
            echo(sock)


def test_container_reaches_out(firewall, published, servers_at, net, side):
    """Masqueraded traffic is forwarded, not ours; but its replies come to the host's own
    address, and must pass under default deny."""
    servers_at(net.cli).tcp(80).udp(53)
    firewall(STRICT)
    with connect(net.ctr, side.cli, 80) as sock:
        assert sock.getsockname()[0] == side.ctr
        assert echo(sock, b"z" * 200000)
    assert udp_outcome(net.ctr, side.cli, 53) == OPEN
    assert ping(net.ctr, side.cli, patience=2)


def test_masquerade_opens_no_way_in(firewall, published, servers, servers_at, net, side):
    """What the container's connection taught is that one 4-tuple and no more."""
    servers.tcp(80)
    servers_at(net.cli).tcp(80)
    daemon = firewall(STRICT)
    with connect(net.ctr, side.cli, 80) as sock:
        assert echo(sock)
        row = wait_for(lambda: daemon.connections("tcp", "remote-port", "80"), "the learned row")[0]
        assert row["local"] == side.srv and row["remote"] == side.cli and row["rule"] is None
        assert outcome(net.cli, side.srv, row["local_port"]) == SILENT
        assert outcome(net.cli, side.srv, 80) == SILENT
        assert echo(sock)


def test_learned_connections_outlive_a_reload(firewall, published, servers_at, net, side):
    servers_at(net.cli).tcp(80)
    daemon = firewall(STRICT)
    with connect(net.ctr, side.cli, 80) as sock:
        assert echo(sock)
        daemon.reload(STRICT + "allow in tcp 1\n")
        assert echo(sock)


def test_host_reaches_its_published_port(firewall, published, net, side):
    """By its own address, rewritten at output."""
    firewall("default in drop\ndefault out allow\n")
    with connect(net.srv, side.srv, 8080) as sock:
        assert echo(sock, b"z" * 50000)
    assert published.accepted[80] == 1


def test_host_reaches_the_container_itself(firewall, published, net, side):
    firewall(STRICT + f"allow out tcp 80 to {side.ctr}\n")
    with connect(net.srv, side.ctr, 80) as sock:
        assert echo(sock)


def test_container_reaches_the_host_by_rule_only(firewall, servers, net, side):
    """The container is a remote like any other."""
    servers.tcp(5432)
    daemon = firewall(STRICT)
    assert outcome(net.ctr, side.srv_ctr, 5432) == SILENT
    daemon.reload(STRICT + "allow in tcp 5432 on ctr0\n")
    assert outcome(net.ctr, side.srv_ctr, 5432) == OPEN
    assert outcome(net.cli, side.srv, 5432) == SILENT
