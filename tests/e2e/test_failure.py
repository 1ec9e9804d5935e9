# SPDX-License-Identifier: GPL-2.0-or-later
"""Never worse than a static firewall: what a crash, an overload and a restart of the daemon do to
a busy host. Nothing that is open is cut, nothing closed is open, new connections are admitted by
the guard, and the daemon that comes back knows what there is.

SALLYPORT_KILLS=N: how often it is killed, for each family."""

import os
import random
import signal
import time

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import Ether

from clients import OPEN, SILENT, Stopwatch, connect, echo, outcome, udp_outcome, udp_socket
from crowd import CLOSED, FLOW, RULES, SHORT, STEADY, Crowd, listed, wait_list_is_right
from daemon import program
from leases import LEASES, key_of, own_key_of, wait_leased
from net import wait_for
from test_busy import flush
from test_nat import published  # noqa: F401  a fixture
from wire import Wire, ip

KILLS = int(os.environ.get("SALLYPORT_KILLS", "25"))
RESTARTS = 10
STOPPED_SECONDS = 5
QUEUE_LENGTH = 16384  # include/sallyport/kernel/queue.h
CLOSED_ON_FAILURE = "on-failure closed\n" + RULES


def check_guard_admits(net, side):
    """New connections and flows of both directions, with their answers; and nothing else."""
    assert outcome(net.cli, side.srv, SHORT, patience=3) == OPEN
    assert outcome(net.srv, side.cli, SHORT, patience=3) == OPEN
    assert udp_outcome(net.cli, side.srv, FLOW, patience=2) == OPEN
    assert udp_outcome(net.srv, side.cli, FLOW, patience=2) == OPEN


@pytest.mark.seconds(60 + 4 * KILLS)
def test_kill_9_at_random_moments(firewall, net, side):
    daemon = firewall(RULES)
    with Crowd(net, side) as crowd:
        crowd.wait_rounds()
        for number in range(KILLS):
            time.sleep(random.uniform(0, 0.1))  # the random moment
            before = connect(net.cli, side.srv, STEADY)
            daemon.kill()
            if number % 5 == 0:
                check_guard_admits(net, side)
                assert outcome(net.cli, side.srv, CLOSED) == SILENT
            before.close()  # the daemon that comes must not know it
            with connect(net.cli, side.srv, STEADY) as during:  # but this one
                crowd.wait_rounds(random.randrange(1, 3))
                crowd.check_nothing_closed_was_open()
                daemon.start()
                wait_list_is_right(daemon, net.srv)
                assert key_of(during) in listed(daemon)
                assert echo(during)
            crowd.wait_rounds(1)
            crowd.check_idle()


def of_others(daemon):
    """What goes through the host for others, by who opened it."""
    return {(row["proto"], row["direction"], row["remote_port"] if row["direction"] == "out" else row["local_port"])
            for row in daemon.connections()
            if row["state"] in ("ESTABLISHED", "NEW", "REPLIED")
            and (row["local_port"] in (8080, 5353) or row["remote_port"] in (80, 53))}


def test_others_behind_the_host_go_on_without_a_lease(firewall, published, servers_at, net, side):  # noqa: F811
    """No socket here tells of them, nothing was saved, and no lease is left: conntrack tells who opened what."""
    servers_at(net.cli).tcp(80).udp(53)
    daemon = firewall("default in drop\ndefault out drop\nallow in tcp 8080,32768-65535\nallow in udp 5353\n")
    with (connect(net.cli, side.srv, 8080) as coming, connect(net.ctr, side.cli, 80) as going,
          udp_socket(net.cli, side.srv, 5353) as question, udp_socket(net.ctr, side.cli, 53) as other):
        question.settimeout(3)
        other.settimeout(3)

        def answered():
            return echo(coming) and echo(going) and echo(question) and echo(other)
        assert answered()
        before = wait_for(lambda: len(of_others(daemon)) == 4 and of_others(daemon), "all four are known")
        daemon.kill()
        flush(net.srv, *LEASES)
        daemon.start()
        assert of_others(daemon) == before
        assert answered()


def queue_waits(namespace):
    """Packets in the kernel's queues."""
    return sum(int(line.split()[2]) for line in namespace.read("netfilter/nfnetlink_queue").splitlines())


def overflow(net, side):
    """Datagrams to a closed port are asked about, each: enough of them and the queue is full."""
    with Wire(net) as wire:
        frame = bytes(Ether(src=wire.mac, dst=wire.peer_mac) / ip(side, side.cli, side.srv) /
                      UDP(sport=7, dport=CLOSED) / b"flood")
        for _ in range(QUEUE_LENGTH + 1000):
            wire.socket.send(frame)
    wait_for(lambda: outcome(net.cli, side.srv, SHORT) == OPEN, "a full queue fails open to the guard")
    assert queue_waits(net.srv) >= QUEUE_LENGTH


def test_a_stopped_daemon_whose_queue_overflows(firewall, net, side):
    daemon = firewall(RULES)
    with Crowd(net, side) as crowd:
        crowd.wait_rounds()
        judged = daemon.status()["guard"]["packets"]
        begin = time.monotonic()
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            overflow(net, side)
            check_guard_admits(net, side)
            with connect(net.cli, side.srv, STEADY) as inward, connect(net.srv, side.cli, STEADY) as outward:
                while time.monotonic() < begin + STOPPED_SECONDS:
                    # A SYN of this host is sent once only while it waits in the queue.
                    crowd.wait_rounds(1, but=("short connections out",))
                    crowd.check_idle()
                    assert echo(inward) and echo(outward)
                crowd.check_nothing_closed_was_open()
                daemon.process.send_signal(signal.SIGCONT)
                wait_list_is_right(daemon, net.srv, 1.5)
                assert {key_of(inward), own_key_of(outward)} <= listed(daemon)
                assert echo(inward) and echo(outward)
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: daemon.status()["guard"]["packets"] > judged, "status counts what the guard judged")
        wait_for(lambda: "guard" in daemon.log(), "the log says that the guard judged")
        crowd.wait_rounds(5)


def test_clean_restarts_under_load(firewall, net, side):
    """SIGUSR1, and another daemon: what `systemctl restart` does. No SYN has to be sent twice."""
    daemon = firewall(RULES)
    repeated = [namespace.figure("TCPSynRetrans") for namespace in (net.cli, net.srv)]
    with Crowd(net, side) as crowd:
        crowd.wait_rounds()
        for _ in range(RESTARTS):
            daemon.stop_for_restart()
            check_guard_admits(net, side)
            daemon.start()
            wait_list_is_right(daemon, net.srv)
            crowd.wait_rounds(2)
            crowd.check_idle()
        assert [flow.lost for flow in crowd.flows] == [0, 0]
    assert [namespace.figure("TCPSynRetrans") for namespace in (net.cli, net.srv)] == repeated


def test_a_restart_takes_milliseconds(firewall, net):
    """With nothing to do, so that the time in which the guard stands in is short."""
    daemon = firewall(RULES)
    with Stopwatch() as watch:
        daemon.restart()
    assert watch.seconds < 2


def test_what_new_rules_forbid_is_not_adopted(firewall, servers, net, side):
    """The rules have changed while the daemon was dead: leases of what they no longer allow are
    removed, the others stay."""
    servers.tcp(SHORT, STEADY)
    daemon = firewall(RULES)
    with connect(net.cli, side.srv, SHORT) as stays, connect(net.cli, side.srv, STEADY) as goes:
        assert echo(stays) and echo(goes)
        wait_leased(net.srv, key_of(goes))
        daemon.kill()
        assert echo(stays) and echo(goes)
        daemon.write("sallyport.rules", f"default in drop\nallow in tcp {SHORT}\n")
        daemon.start()
        goes.settimeout(0.6)
        with pytest.raises(OSError):
            echo(goes)
        assert echo(stays)
        assert listed(daemon) == {key_of(stays)}


def test_a_crash_is_no_cut_for_containers(firewall, servers_at, net, side):
    """Translated connections have no socket on this host: only their leases tell of them."""
    servers_at(net.cli).tcp(STEADY)
    family = "ip" if side.version == 4 else "ip6"
    net.srv.run("nft", "-f", "-", input=f'table {family} engine {{ chain out {{ type nat hook postrouting '
                'priority srcnat; iifname "ctr0" oifname "wan0" masquerade; }; }')
    daemon = firewall(RULES)
    with connect(net.ctr, side.cli, STEADY) as sock:
        assert echo(sock)
        for _ in range(3):
            daemon.kill()
            assert echo(sock, b"q" * 100000)
            with connect(net.ctr, side.cli, STEADY, timeout=3) as during:
                assert echo(during)
                daemon.start()
                assert echo(sock, b"q" * 100000) and echo(during, b"q" * 100000)


# on-failure closed

def test_closed_on_failure_admits_nothing_new(firewall, servers, servers_at, witness, net, side):
    """While the daemon is dead nothing new comes in or goes out, and no segment without a lease;
    what has a lease goes on."""
    servers.tcp(SHORT, STEADY).udp(FLOW)
    outside = servers_at(net.cli).tcp(SHORT, STEADY).udp(FLOW)
    daemon = firewall(CLOSED_ON_FAILURE)
    seen = witness(stray=f"tcp dport {SHORT}")
    with connect(net.cli, side.srv, STEADY) as inward, connect(net.srv, side.cli, STEADY) as outward, \
            udp_socket(net.cli, side.srv, FLOW) as flow, Wire(net) as wire:
        flow.settimeout(2)
        assert echo(inward) and echo(outward) and echo(flow) and echo(flow)
        for key in (key_of(inward), own_key_of(outward), key_of(flow, "udp")):
            wait_leased(net.srv, key)
        daemon.kill()
        assert echo(inward, b"q" * 100000) and echo(outward, b"q" * 100000) and echo(flow)
        assert outcome(net.cli, side.srv, SHORT) == SILENT
        assert udp_outcome(net.cli, side.srv, FLOW) == SILENT
        assert outcome(net.srv, side.cli, SHORT) != OPEN
        assert udp_outcome(net.srv, side.cli, FLOW) != OPEN
        for flags in ("A", "PA", "SA", "FA", "R"):
            wire.send(ip(side, side.cli, side.srv) / TCP(sport=4444, dport=SHORT, flags=flags))
        seen.wait_before("stray", 6)  # with the SYN
        assert seen.behind("stray") == 0
        assert echo(inward) and echo(outward) and echo(flow)
        assert not servers.accepted[SHORT] and servers.datagrams[FLOW] == 4  # those of the leased flow
        assert not outside.accepted[SHORT] and not outside.datagrams[FLOW]
        daemon.start()
        assert outcome(net.cli, side.srv, SHORT, patience=3) == OPEN
        assert outcome(net.srv, side.cli, SHORT, patience=3) == OPEN
        assert udp_outcome(net.cli, side.srv, FLOW) == OPEN
        assert echo(inward) and echo(outward) and echo(flow)


def test_closed_on_failure_while_the_queue_is_full(firewall, servers, net, side):
    servers.tcp(SHORT, STEADY)
    daemon = firewall(CLOSED_ON_FAILURE)
    with connect(net.cli, side.srv, STEADY) as sock:
        assert echo(sock)
        wait_leased(net.srv, key_of(sock))
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            with Wire(net) as wire:
                frame = bytes(Ether(src=wire.mac, dst=wire.peer_mac) / ip(side, side.cli, side.srv) /
                              UDP(sport=7, dport=CLOSED) / b"flood")
                for _ in range(QUEUE_LENGTH + 1000):
                    wire.socket.send(frame)
            wait_for(lambda: queue_waits(net.srv) >= QUEUE_LENGTH, "the queue is full")
            assert outcome(net.cli, side.srv, SHORT) == SILENT
            assert echo(sock, b"q" * 100000)
            assert not servers.accepted[SHORT]
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert outcome(net.cli, side.srv, SHORT, patience=3) == OPEN


@pytest.mark.parametrize("rules", [RULES, CLOSED_ON_FAILURE], ids=["guard", "closed"])
def test_what_a_dead_daemon_left_can_be_removed(firewall, servers, net, side, rules):
    """The way out: refused while a daemon answers, and the host is open afterwards."""
    daemon = firewall(rules)
    servers.tcp(CLOSED)
    command = (program("sallyportd"), "--remove", "--socket", daemon.socket)
    refused = net.srv.run(*command, check=False)
    assert refused.returncode == 1 and "another sallyportd answers" in refused.stderr
    assert outcome(net.cli, side.srv, CLOSED) == SILENT
    daemon.kill()
    assert outcome(net.cli, side.srv, CLOSED) == SILENT
    for _ in range(2):  # that nothing is there is no error
        assert net.srv.run(*command).stdout.startswith("no rules of sallyport are in the kernel")
        assert "sallyport" not in net.srv.run("nft", "list", "tables").stdout
    assert outcome(net.cli, side.srv, CLOSED) == OPEN
