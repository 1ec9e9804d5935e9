# SPDX-License-Identifier: GPL-2.0-or-later
"""Another program that sets the whole mark where programs do so, at `raw` and beside it: our bits are read
before it comes by, with the daemon and without, whoever was there first."""

import pytest

from clients import OPEN, SILENT, outcome, udp_outcome

CLOSED, OPENED, SOME, FLOW = 6666, 8000, 7000, 5300
RULES = f"default in drop\ndefault out drop\nallow in tcp {OPENED}\nallow in tcp {SOME} from 192.0.2.1\n" \
        f"allow in udp {FLOW}\nallow out tcp {OPENED}\nallow out udp {FLOW}\n"
MARKER = """table inet marker {{
	chain c {{ type filter hook {hook} priority {priority}; {interface} wan0 meta mark set {mark}; }}
}}
"""
INTERFACE = {"prerouting": "iifname", "output": "oifname", "postrouting": "oifname"}
PLACES = [("prerouting", -300), ("prerouting", -305), ("output", -300), ("postrouting", 305)]


def mark_all(namespace, hook, priority, mark):
    namespace.run("nft", "-f", "-", input=MARKER.format(
        hook=hook, priority=priority, interface=INTERFACE[hook], mark=mark))


@pytest.mark.parametrize("mark", ["1", "0xf0000000"])
@pytest.mark.parametrize("first", ["marker", "daemon"])
@pytest.mark.parametrize("alive", [True, False], ids=["alive", "dead"])
@pytest.mark.parametrize("hook, priority", PLACES)
def test_a_mark_set_behind_us_answers_nothing(firewall, servers, servers_at, net, side, alive, first, mark,
                                              hook, priority):
    if first == "marker":
        mark_all(net.srv, hook, priority, mark)
    daemon = firewall(RULES)
    if first == "daemon":
        mark_all(net.srv, hook, priority, mark)
    if not alive:
        daemon.kill()
    servers.tcp(CLOSED, OPENED, SOME).udp(CLOSED, FLOW)
    outside = servers_at(net.cli).tcp(CLOSED, OPENED).udp(CLOSED, FLOW)
    assert outcome(net.cli, side.srv, OPENED, patience=3) == OPEN
    assert udp_outcome(net.cli, side.srv, FLOW, patience=3) == OPEN
    assert outcome(net.srv, side.cli, OPENED, patience=3) == OPEN
    assert udp_outcome(net.srv, side.cli, FLOW, patience=3) == OPEN
    for port in (CLOSED, SOME):
        assert outcome(net.cli, side.srv, port, patience=0.1) == SILENT
    assert udp_outcome(net.cli, side.srv, CLOSED, patience=0.1) == SILENT
    assert udp_outcome(net.srv, side.cli, CLOSED, patience=0.1) in (SILENT, "EPERM")
    assert not any(servers.accepted[port] for port in (CLOSED, SOME)) and not servers.datagrams[CLOSED]
    assert not outside.datagrams[CLOSED]
