# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that forwards nothing has no hook for what others send through it; as soon as it forwards, it
has."""

import pytest

from clients import OPEN, SILENT, outcome
from net import FORWARDING, wait_for
from test_nat import published  # noqa: F401  a fixture

STRICT = "default in drop\ndefault out drop\n"


@pytest.fixture
def at_home(net):
    """The guarded host does not forward; afterwards it does again."""
    net.forward(False)
    yield
    net.srv.run("ip", "link", "delete", "br-test", check=False)
    net.forward(True)


def learns(namespace):
    return "learn_dispatch" in namespace.run("nft", "list", "table", "inet", "sallyport").stdout


def test_a_host_that_forwards_nothing_has_no_hook_for_it(firewall, at_home, servers, net, side):
    daemon = firewall(STRICT + "allow in tcp 80\nallow out tcp 80\n")
    servers.tcp(80, 81)
    assert not learns(net.srv)
    assert not daemon.status()["forwards"]
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT


@pytest.mark.parametrize("sysctl", FORWARDING)
def test_forwarding_that_is_turned_on_is_noticed(firewall, at_home, net, sysctl):
    daemon = firewall(STRICT)
    assert not learns(net.srv)
    net.srv.sysctl(sysctl, 1)
    wait_for(lambda: learns(net.srv), "what leaves is learned", 5)
    net.srv.sysctl(sysctl, 0)
    wait_for(lambda: not learns(net.srv), "nothing is learned any more", 5)
    assert "this host forwards packets now" in daemon.log()


def test_a_bridge_counts_as_forwarding(firewall, at_home, net):
    firewall(STRICT)
    net.srv.run("ip", "link", "add", "br-test", "type", "bridge")
    wait_for(lambda: learns(net.srv), "what leaves is learned", 5)
    net.srv.run("ip", "link", "delete", "br-test")
    wait_for(lambda: not learns(net.srv), "nothing is learned any more", 5)


def test_a_container_that_comes_later_is_served(firewall, at_home, published, net, side):  # noqa: F811
    firewall(STRICT + "allow in tcp 8080\n")
    net.forward(True)
    wait_for(lambda: learns(net.srv), "what leaves is learned", 5)
    assert outcome(net.cli, side.srv, 8080) == OPEN


def test_a_restart_follows_what_has_changed_meanwhile(firewall, at_home, servers, net, side):
    daemon = firewall(STRICT + "allow in tcp 80\n")
    servers.tcp(80)
    daemon.stop_for_restart()
    net.forward(True)
    daemon.start()
    assert learns(net.srv)
    daemon.stop_for_restart()
    net.forward(False)
    daemon.start()
    assert not learns(net.srv)
    assert outcome(net.cli, side.srv, 80) == OPEN
