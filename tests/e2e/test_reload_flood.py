# SPDX-License-Identifier: GPL-2.0-or-later
"""Reload after reload under a flood: nothing leaks, in the daemon or in the kernel, and no open
connection loses its lease.

SALLYPORT_RELOADS=N: how many."""

import json
import os
import threading
from collections import Counter

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Ether

from clients import connect, echo
from daemon import BUILD
from leases import end_leases, key_of, leases
from load import Transfer
from net import BOTH, wait_for
from wire import Wire, ip

OPEN_CONNECTIONS = 50  # of each family
FLOOD_PACKETS = 64     # a burst
DAEMON_KIB = 512       # growth that is no leak: what the allocator keeps
KERNEL_KIB = 8192      # the whole machine's, which others use too
SANITIZED = "debug" in BUILD or "tsan" in BUILD  # frees nothing at once, and looks for leaks itself
RELOADS = int(os.environ.get("SALLYPORT_RELOADS", "100" if SANITIZED else "1000"))
RULES = [f"""default in drop
set others = {members}
allow in tcp 9000
{extra}
allow in udp 8080 from not @others
default out drop
""" for members, extra in (
    ("192.0.2.0/24", "allow in tcp 8080\nreject in tcp 113"),
    ("198.51.100.0/25, 2001:db8::/64", "drop in tcp 7000-7999\nallow in tcp 8080-8090"))]


class Flood(threading.Thread):
    """SYNs and datagrams to an open and a closed port, in both families, as fast as Python can."""

    def __init__(self, net):
        super().__init__(daemon=True)
        self.wire = Wire(net)
        self.frames = [bytes(Ether(src=self.wire.mac, dst=self.wire.peer_mac) /
                             ip(side, side.cli_b, side.srv) / transport)
                       for side in BOTH
                       for port in (8080, 7777)
                       for number in range(FLOOD_PACKETS // 8)
                       for transport in (TCP(sport=20000 + number, dport=port, flags="S"),
                                         UDP(sport=20000 + number, dport=port))]
        self.sent, self.halt = 0, threading.Event()
        self.start()

    def run(self):
        while not self.halt.is_set():
            for frame in self.frames:
                self.wire.socket.send(frame)
            self.sent += len(self.frames)
            self.halt.wait(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.halt.set()
        self.join(10)
        self.wire.close()


def resident(daemon):
    """KiB of the daemon's memory."""
    with open(f"/proc/{daemon.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def kernel_memory():
    """KiB of the kernel's own."""
    with open("/proc/meminfo", encoding="ascii") as file:
        figures = dict(line.split()[:2] for line in file)
    return int(figures["SUnreclaim:"])


def objects(namespace):
    """How many of each kind stand in the kernel for us."""
    listing = json.loads(namespace.run("nft", "-j", "-t", "list", "ruleset").stdout)["nftables"]
    return Counter(kind for item in listing for kind in item
                   if "sallyport" in (item[kind].get("table"), item[kind].get("name")))


class Leased:
    """Connections that lie idle; their leases must be there at every look."""

    def __init__(self, net):
        self.net = net
        self.by_key = {}
        for side in BOTH:
            for _ in range(OPEN_CONNECTIONS):
                sock = connect(net.cli, side.srv, 9000)
                assert echo(sock)
                self.by_key[key_of(sock)] = sock
        wait_for(lambda: set(self.by_key) <= set(leases(net.srv)), "all are leased")
        self._renew(self.by_key)

    def check(self):
        left = leases(self.net.srv)
        assert not set(self.by_key) - set(left), "leases were lost"
        self._renew([key for key in self.by_key if left[key] < 20])

    def _renew(self, keys):
        end_leases(self.net.srv, keys)
        for key in keys:
            assert echo(self.by_key[key])
        wait_for(lambda: all(leases(self.net.srv).get(key, 0) > 20 for key in keys), "full leases")

    def close(self):
        for sock in self.by_key.values():
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.mark.seconds(60 + RELOADS)
def test_reloads_under_a_flood_leak_nothing(firewall, servers, net):
    servers.tcp(9000)
    daemon = firewall(RULES[0])
    warm = max(2, RELOADS // 10)
    with Leased(net) as leased, Flood(net) as flood, Transfer(net.cli, BOTH[0].srv, 9000) as four, \
            Transfer(net.cli, BOTH[1].srv, 9000) as six:
        for number in range(1, RELOADS + 1):
            daemon.reload(RULES[number % 2])
            if number % 10 == 0:
                leased.check()
            if number == warm // 2 * 2:
                memory, kernel, made = resident(daemon), kernel_memory(), objects(net.srv)
        daemon.reload(RULES[0])
        leased.check()
        assert objects(net.srv) == made
        assert SANITIZED or resident(daemon) - memory < DAEMON_KIB
        wait_for(lambda: kernel_memory() - kernel < KERNEL_KIB, "the kernel's memory is as before", 20)
        assert flood.sent > 10 * RELOADS
    for transfer in (four, six):
        assert transfer.errors == [] and transfer.whole() and transfer.rounds > RELOADS
