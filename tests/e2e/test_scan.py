# SPDX-License-Identifier: GPL-2.0-or-later
"""What a port scanner sees: exactly the allowed ports open, dropped ones filtered, rejected
ones closed."""

import xml.etree.ElementTree as xml

import pytest

RULES = """
default in drop
default out allow
allow  in ssh
allow  in http,https
allow  in tcp 8000-8003,65535 from 10.77.1.0/24, fd77:0:0:1::/64
allow  in tcp 1 from 192.0.2.0/24          # not the scanner
reject in tcp 113
reject in tcp 6000-6009
allow  in udp 53
reject in udp 54,500-502
drop   in udp 55
"""
OPEN_TCP = {22, 80, 443, 8000, 8001, 8002, 65535}
UNUSED = {8003}  # allowed, but nobody listens: the host itself answers with an RST
CLOSED_TCP = {113, *range(6000, 6010)} | UNUSED


def scan(net, side, *options):
    """{port: state} where it differs from the rest, and {state: count} of the rest."""
    done = net.cli.run("nmap", *(["-6"] if side.version == 6 else []), "-Pn", "-n", "-oX", "-",
                       *options, side.srv, timeout=110)
    ports = xml.fromstring(done.stdout).find("host").find("ports")
    single = {int(port.get("portid")): port.find("state").get("state") for port in ports.iter("port")}
    rest = {extra.get("state"): int(extra.get("count")) for extra in ports.iter("extraports")}
    return single, rest


def states(single, rest, count):
    """The ports of each state; the largest group is only counted, as nmap tells it."""
    groups = {}
    for port, state in single.items():
        groups.setdefault(state, set()).add(port)
    assert len(single) + sum(rest.values()) == count
    return groups


@pytest.mark.seconds(120)
def test_all_tcp_ports(firewall, servers, net, side):
    servers.tcp(*OPEN_TCP, 1, 113, 6000, 9999)
    firewall(RULES)
    single, rest = scan(net, side, "-sS", "-p-", "-T5", "--max-retries", "1", "--min-rate", "15000",
                        "--max-rtt-timeout", "100ms")
    groups = states(single, rest, 65535)
    assert groups == {"open": OPEN_TCP, "closed": CLOSED_TCP}
    assert rest == {"filtered": 65535 - len(OPEN_TCP) - len(CLOSED_TCP)}


def test_a_sample_of_udp_ports(firewall, servers, net, side):
    servers.udp(53, 54, 55, 500, 9999)
    firewall(RULES)
    single, rest = scan(net, side, "-sU", "-p", "53-60,500-502,9999", "-T5", "--max-retries", "2",
                        "--max-rtt-timeout", "100ms")
    assert not rest
    assert {port for port, state in single.items() if state == "open"} == {53}
    assert {port for port, state in single.items() if state == "closed"} == {54, 500, 501, 502}
    assert {port for port, state in single.items() if state == "open|filtered"} == \
        {55, 56, 57, 58, 59, 60, 9999}


@pytest.mark.parametrize("kind", ["-sN", "-sF", "-sX", "-sA", "-sM"])
def test_scans_that_open_nothing_learn_nothing(firewall, servers, net, side, kind):
    """Null, FIN, Xmas, ACK and Maimon scans: every port looks the same, allowed or not."""
    servers.tcp(22, 9999)
    firewall(RULES)
    single, rest = scan(net, side, kind, "-p", "22,80,8003,9999", "-T5", "--max-retries", "1",
                        "--max-rtt-timeout", "100ms")
    assert set(single.values()) | set(rest) <= {"open|filtered", "filtered"}
    assert len(set(single.values()) | set(rest)) == 1
