# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the nfqueue and nflog sockets: overflow, answers that are wrong, packets that are cut or
very large, a queue with another owner. Nothing that is closed opens, what is open goes on, and when
the fault is over everything is as before. After the kernel's selftest nft_queue.sh, and beyond it.

A full queue and a stopped daemon are in test_failure.py, a second daemon in test_kernel_table.py."""

import socket
import struct

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from clients import OPEN, SILENT, connect, echo, outcome, ping, udp_outcome, udp_socket
from crowd import CLOSED, FLOW, RULES, SHORT, STEADY, wait_list_is_right
from faults import (ACCEPT, BIND, COPY_META, COPY_PACKET, DROP, LOG_GROUP, QUEUE, SO_RCVBUFFORCE, UNBIND,
                    VERDICT_BATCH, attribute, close_under, daemons_socket, last_id, log_command, log_owner,
                    message, netfilter_socket, nftables_socket, owned_by_another, queue_command, queue_copies, queue_line,
                    queue_owner, queue_socket, refused_to_start, send_all, stopped, switch, verdict, wait_log,
                    waiting)
from intruder import injecting
from net import wait_for
from wire import Wire, ip

UDP_SEGMENT = 103
UNKNOWN_IDS = range(1_000_000_000, 1_000_002_000)


# the socket's buffer

def test_a_receive_buffer_that_overflows_fails_open_to_the_guard(firewall, traffic, net, side):
    """ENOBUFS: what finds no room is judged by the guard, and the daemon says so afterwards."""
    daemon = firewall(RULES)
    flows = traffic()
    judged = daemon.status()["guard"]["packets"]
    with queue_socket(daemon) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with stopped(daemon):
            with Wire(net) as wire:
                frame = bytes(Ether(src=wire.mac, dst=wire.peer_mac) / ip(side, side.cli, side.srv) /
                              UDP(sport=7, dport=CLOSED) / b"flood")
                for _ in range(500):
                    wire.socket.send(frame)
            assert waiting(net.srv) < 100, "most of them found no room in the buffer"
            flows.check()
        wait_for(lambda: daemon.status()["guard"]["packets"] > judged, "status counts what the guard judged")
        wait_log(daemon, "the guard judged")
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    wait_list_is_right(daemon, net.srv, 3)
    flows.check()


def test_a_buffer_that_stays_small_slows_nothing_down_for_good(firewall, traffic, net):
    """The daemon reads what fits, packet by packet."""
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(20):
            assert outcome(net.cli, flows.side.srv, SHORT, patience=3) == OPEN
        flows.check()


# answers that are wrong

def test_answers_to_packets_that_nobody_has_asked_about(firewall, traffic):
    """The kernel's ENOENT for each comes to the daemon among its packets."""
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        send_all(sock, [verdict(0, number, ACCEPT) for number in UNKNOWN_IDS])
        flows.check()
        send_all(sock, [verdict(0, number, DROP) for number in UNKNOWN_IDS])
        flows.check()
    assert "did not take" not in daemon.log()


def test_every_packet_answered_twice(firewall, traffic, net):
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        flows.check_open()
        for answer in (ACCEPT, DROP):
            answered = range(1, last_id(net.srv) + 1)
            assert len(answered) > 3
            send_all(sock, [verdict(0, number, answer) for number in answered])
            flows.check()


def waiting_syns(net, side, count):
    """Connections to the open port under way, their SYNs in the queue of the stopped daemon."""
    before = waiting(net.srv)
    socks = []
    for number in range(count):
        sock = net.cli.socket(side.family)
        sock.setblocking(False)
        sock.connect_ex((side.srv, SHORT))
        socks.append(sock)
        wait_for(lambda wanted=before + number + 1: waiting(net.srv) >= wanted, "the SYN waits")
    return socks


def check_connected(socks):
    for sock in socks:
        sock.settimeout(5)
        assert echo(sock)
        sock.close()


@pytest.mark.parametrize("answered", ["the last", "all backwards", "a batch of all"])
def test_answers_out_of_order(firewall, traffic, net, side, answered):
    """Somebody answers before the daemon, in another order: with the mark that still says ASK the
    guard judges, and the daemon's own answers, which come too late, harm nobody."""
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        with stopped(daemon):
            socks = waiting_syns(net, side, 4)
            end = last_id(net.srv)
            ids = {"the last": [end], "all backwards": range(end, end - 4, -1), "a batch of all": [end]}[answered]
            kind = VERDICT_BATCH if answered == "a batch of all" else 1
            send_all(sock, [verdict(0, number, ACCEPT, kind) for number in ids])
            wait_for(lambda: waiting(net.srv) == (3 if answered == "the last" else 0), "they are answered")
            if answered != "the last":
                flows.check_established()
        check_connected(socks)
    flows.check()
    wait_list_is_right(daemon, net.srv, 3)


def test_an_open_answer_to_a_closed_port_opens_nothing(firewall, traffic, net, side):
    """Accepted by somebody else without a mark: the guard judges, and the port stays closed."""
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock, udp_socket(net.cli, side.srv, CLOSED) as knock:
        with stopped(daemon):
            knock.send(b"knock")
            wait_for(lambda: waiting(net.srv) == 1, "it waits")
            send_all(sock, [verdict(0, last_id(net.srv), ACCEPT)])
            wait_for(lambda: waiting(net.srv) == 0, "it is answered")
            flows.check_established()
            assert not flows.servers.datagrams[CLOSED]
    flows.check()


def test_a_syn_that_somebody_else_drops_is_sent_again(firewall, traffic, net, side):
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        with stopped(daemon):
            socks = waiting_syns(net, side, 1)
            send_all(sock, [verdict(0, last_id(net.srv), DROP)])
            wait_for(lambda: waiting(net.srv) == 0, "it is answered")
        check_connected(socks)
    flows.check()


def garbage(queue):
    """Messages that no kernel sends, and that end at every byte of one that it might."""
    packet = message(QUEUE, 0, queue, attribute(1, struct.pack("!IHB", 0xfffffff0, 0x0800, 0) + b"\0"),
                     attribute(10, b"\x45" + bytes(39)))
    yield from (packet[:end] for end in range(1, len(packet)))
    yield struct.pack("=I", 1 << 30) + packet[4:]
    yield b"\xff" * 300
    yield from (message(QUEUE, kind, queue) for kind in range(8))


@pytest.mark.parametrize("owner", [queue_owner, log_owner], ids=["queue", "log"])
def test_garbage_on_the_daemons_socket(firewall, traffic, net, owner):
    """From another program with the right to send it."""
    daemon = firewall(RULES)
    flows = traffic()
    port = owner(net.srv)
    with netfilter_socket(net.srv) as sock:
        for one in garbage(0):
            sock.sendto(one, (port, 0))
        flows.check()
    assert daemon.running


# packets that are cut, packets that are large

def test_packets_cut_within_their_headers_are_dropped(firewall, traffic, net, side):
    """What cannot be read is not let in, not even to an open port; leases do not care."""
    daemon = firewall(RULES)
    flows = traffic()
    with queue_socket(daemon) as sock:
        for mode, length in ((COPY_META, 0), *((COPY_PACKET, length) for length in (1, 19, 20, 30, 39, 45))):
            send_all(sock, [queue_copies(0, mode, length)])
            assert queue_line(net.srv)[3:5] == [mode, length]
            assert outcome(net.cli, side.srv, SHORT, patience=0.15) == SILENT
            assert udp_outcome(net.cli, side.srv, CLOSED, patience=0.1) == SILENT
        flows.check_closed()
        flows.check_established()
        send_all(sock, [queue_copies(0, COPY_PACKET, 256)])
    flows.check()


@pytest.mark.parametrize("size", [256, 300, 1400, 60000])
def test_datagrams_longer_than_their_copy_pass_whole(firewall, servers, net, side, size):
    """Only the headers are copied to the daemon; 60,000 bytes come in fragments."""
    servers.udp(FLOW)
    firewall(RULES)
    with udp_socket(net.cli, side.srv, FLOW) as sock:
        sock.settimeout(3)
        for _ in range(3):
            assert echo(sock, bytes(range(256)) * (size // 256) + b"e" * (size % 256))


CUT = ("tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation")
JOIN = ("rx-gro", "rx-udp-gro-forwarding")


@pytest.fixture(params=["left whole", "put together"])
def super_packets(request, net):
    """The sender's interface leaves them whole (TSO, UDP GSO), or it cuts them, and the receiver's puts them
    together again (GRO)."""
    if request.param == "left whole":
        yield
        return
    try:
        if not (switch(net.cli, "eth0", False, CUT) and switch(net.srv, "wan0", True, JOIN)):
            pytest.skip("this kernel's veth puts nothing together")
        yield
    finally:
        switch(net.srv, "wan0", False, JOIN)
        switch(net.cli, "eth0", True, CUT)


def test_tcp_super_packets_through_the_queue(firewall, servers, witness, net, side, super_packets):
    """`inspect all`: segments of many thousand bytes are judged whole."""
    servers.tcp(SHORT)
    firewall("inspect all\n" + RULES)
    seen = witness(large=f"tcp dport {SHORT} meta length > 3000")
    with connect(net.cli, side.srv, SHORT) as sock:
        sock.settimeout(10)
        block = bytes(range(256)) * 1024
        for _ in range(8):
            assert echo(sock, block)
    assert seen.behind("large") > 5


def test_udp_super_packets_through_the_queue(firewall, servers, witness, net, side, super_packets):
    """Twenty datagrams are one packet in the queue, and twenty behind it."""
    servers.udp(FLOW, CLOSED)
    firewall(RULES)
    seen = witness(large=f"udp dport {FLOW} meta length > 3000", closed=f"udp dport {CLOSED} meta length > 3000")
    for port in (FLOW, CLOSED):
        with udp_socket(net.cli, side.srv, port) as sock:
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
            sock.settimeout(3)
            sock.send(b"".join(bytes([number]) * 1000 for number in range(20)))
            if port == FLOW:
                assert sorted(sock.recv(1500)[0] for _ in range(20)) == list(range(20))
    seen.wait_before("closed", 1)
    assert seen.behind("large") >= 1 and seen.behind("closed") == 0
    assert servers.datagrams[FLOW] == 20 and not servers.datagrams[CLOSED]


# who owns the queue

@pytest.mark.parametrize("options, taken", [([], 0), (["--queue", "4-5"], 5)], ids=["the only", "the second"])
def test_a_queue_that_another_program_owns(firewall, net, options, taken):
    """One line, exit 1, nothing left in the kernel; when it is free again the daemon starts."""
    daemon = firewall(RULES, options=options, started=False)
    with owned_by_another(net.srv, queue_command(taken, BIND)) as other:
        port = queue_owner(net.srv, taken)
        refused_to_start(daemon, f"nfqueue {taken}", "owned by another program", "--queue")
        assert "sallyport" not in net.srv.run("nft", "list", "ruleset").stdout
        assert queue_owner(net.srv, taken) == port == other.getsockname()[0]
    daemon.start()


def test_a_log_group_that_another_program_owns(firewall, net):
    daemon = firewall(RULES, started=False)
    with owned_by_another(net.srv, log_command(LOG_GROUP, BIND)):
        refused_to_start(daemon, f"nflog group {LOG_GROUP}", "another program", "--queue")
        assert "sallyport" not in net.srv.run("nft", "list", "ruleset").stdout
    daemon.start()


def test_a_queue_in_use_cannot_be_taken(firewall, traffic, net):
    """Another program's bind, unbind and verdicts are refused by the kernel, not noticed by us."""
    daemon = firewall(RULES)
    flows = traffic()
    port = queue_owner(net.srv)
    with netfilter_socket(net.srv) as other:
        send_all(other, [queue_command(0, BIND), queue_command(0, UNBIND), queue_copies(0, COPY_META, 0)])
        send_all(other, [verdict(0, number, ACCEPT) for number in range(1, last_id(net.srv) + 50)])
        assert queue_owner(net.srv) == port
        flows.check()
    assert daemon.running


LOSSES = {
    "queue": (queue_owner, queue_command(0, UNBIND), "nfqueue 0 "),
    "log": (log_owner, log_command(LOG_GROUP, UNBIND), f"nflog group {LOG_GROUP} "),
}


@pytest.mark.parametrize("what", LOSSES)
def test_a_queue_taken_away_while_running(firewall, traffic, net, what):
    """As by `modprobe -r nfnetlink_queue`: nobody will ever be asked again. The daemon says so and
    ends with 1, for systemd to start it again; until then the guard stands."""
    owner, loss, name = LOSSES[what]
    daemon = firewall(RULES)
    flows = traffic()
    with daemons_socket(daemon, owner(net.srv)) as sock:
        send_all(sock, [loss])
    flows.check_established()
    assert daemon.process.wait(10) == 1
    assert "the kernel's rules stay" in wait_log(daemon, name)
    flows.check()
    daemon.start()
    flows.check()
    wait_list_is_right(daemon, net.srv, 3)


@injecting
@pytest.mark.parametrize("what", LOSSES)
def test_a_netlink_socket_closed_under_the_running_daemon(firewall, traffic, net, what):
    """By a mistake within it, as a number closed twice is: the same end as above."""
    owner, _, name = LOSSES[what]
    daemon = firewall(RULES)
    flows = traffic()
    close_under(daemon, owner(net.srv))
    flows.check_established()
    assert daemon.process.wait(10) == 1
    assert "the kernel's rules stay" in wait_log(daemon, name.strip())
    assert queue_line(net.srv) is None and log_owner(net.srv) is None
    flows.check()
    daemon.start()
    flows.check()
    wait_list_is_right(daemon, net.srv, 3)


@injecting
@pytest.mark.parametrize("listens", (True, False), ids=["events", "transactions"])
def test_a_socket_to_nftables_closed_under_the_running_daemon(firewall, traffic, net, listens):
    """Deaf, it would not see its table go; without the other it could not put that back."""
    daemon = firewall(RULES)
    flows = traffic()
    close_under(daemon, nftables_socket(daemon, listens))
    assert daemon.process.wait(10) == 1
    wait_log(daemon, "a socket to nftables was closed")
    flows.check()
    daemon.start()
    flows.check()
    wait_list_is_right(daemon, net.srv, 3)


def test_packets_that_others_send_to_our_queue_pass(firewall, net, side):
    """A rule of somebody else for what is forwarded: not ours to judge, so not ours to hold."""
    firewall(RULES)
    tables = "iptables-nft" if side.version == 4 else "ip6tables-nft"
    words = ("FORWARD", "-j", "NFQUEUE", "--queue-num", "0")
    before = last_id(net.srv)
    net.srv.run(tables, "-A", *words)
    try:
        assert ping(net.cli, side.cli2, patience=2)
    finally:
        net.srv.run(tables, "-D", *words)
    assert last_id(net.srv) >= before + 2, "request and reply were in the queue"
