# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands on what is the daemon's own: its netlink sockets (by pidfd_getfd, without a debugger), so
that a test can answer its packets, break its queue or starve its buffer; and traffic that shows
whether the firewall is what it was."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
from contextlib import contextmanager

from clients import OPEN, SILENT, connect, echo, outcome, udp_outcome
from crowd import CLOSED, FLOW, SHORT, STEADY
from inject import Thread
from leases import key_of, own_key_of, wait_leased
from net import wait_for

NETLINK_NETFILTER = 12
SYS_PIDFD_GETFD = 438
QUEUE, LOG = 3, 4                    # NFNL_SUBSYS_QUEUE, _ULOG
VERDICT, CONFIG, VERDICT_BATCH = 1, 2, 3
LOG_CONFIG = 1
BIND, UNBIND = 1, 2
COPY_NONE, COPY_META, COPY_PACKET = 0, 1, 2
DROP, ACCEPT = 0, 1
NLM_F_REQUEST = 1
SO_RCVBUFFORCE = 33
LOG_GROUP = 5600                     # of queue 0: src/kernel/copies.c

_libc = ctypes.CDLL(None, use_errno=True)


# netlink

def attribute(kind, payload):
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(subsystem, kind, number, *attributes, flags=NLM_F_REQUEST):
    """One netlink message of nfqueue or nflog: `number` is the queue's or the group's."""
    body = struct.pack("!BBH", 0, 0, number) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), subsystem << 8 | kind, flags, 0, 0) + body


def queue_command(queue, command):
    return message(QUEUE, CONFIG, queue, attribute(1, struct.pack("!BxH", command, 0)))


def log_command(group, command):
    return message(LOG, LOG_CONFIG, group, attribute(1, struct.pack("B", command)))


def queue_copies(queue, mode, length):
    """How much of each packet the kernel shows the queue's owner."""
    return message(QUEUE, CONFIG, queue, attribute(2, struct.pack("!IB", length, mode)))


def verdict(queue, number, answer, kind=VERDICT):
    return message(QUEUE, kind, queue, attribute(2, struct.pack("!II", answer, number)))


def netfilter_socket(namespace):
    """A socket of this process: for the kernel, another program."""
    sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((0, 0))
    return sock


@contextmanager
def owned_by_another(namespace, command):
    """The queue or group is bound by this process for the length of the block."""
    with netfilter_socket(namespace) as sock:
        sock.sendto(command, (0, 0))
        yield sock


# the daemon's own sockets

def queue_line(namespace, queue=0):
    """[number, port id, waiting, copy mode, copy range, dropped, user dropped, last id, 1], or None"""
    for line in namespace.read("netfilter/nfnetlink_queue").splitlines():
        words = [int(word) for word in line.split()]
        if words[0] == queue:
            return words
    return None


def queue_owner(namespace, queue=0):
    return queue_line(namespace, queue)[1]


def waiting(namespace, queue=0):
    return queue_line(namespace, queue)[2]


def last_id(namespace, queue=0):
    return queue_line(namespace, queue)[7]


def log_owner(namespace, group=LOG_GROUP):
    for line in namespace.read("netfilter/nfnetlink_log").splitlines():
        words = [int(word) for word in line.split()]
        if words[0] == group:
            return words[1]
    return None


def _inode_of(namespace, port):
    for line in namespace.read("netlink").splitlines()[1:]:
        words = line.split()
        if int(words[1]) == NETLINK_NETFILTER and int(words[2]) == port:
            return int(words[9])
    raise AssertionError(f"no netfilter socket with port id {port}")


def _descriptor_of(pid, inode):
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}") == f"socket:[{inode}]":
            return int(name)
    raise AssertionError(f"process {pid} has no socket {inode}")


def descriptor_in(daemon, port):
    """The daemon's own number for its netlink socket with this port id."""
    return _descriptor_of(daemon.process.pid, _inode_of(daemon.namespace, port))


def nftables_socket(daemon, listens):
    """The port id of the daemon's socket for nftables: `listens`: that for its events, else for transactions,
    which it opens right behind its first for conntrack."""
    others = (queue_owner(daemon.namespace), log_owner(daemon.namespace))
    ports = [int(words[2]) for words in map(str.split, daemon.namespace.read("netlink").splitlines()[1:])
             if int(words[1]) == NETLINK_NETFILTER and int(words[2]) not in others
             and (int(words[3], 16) != 0) == listens]
    ours = sorted((port for port in ports if _is_of(daemon, port)), key=lambda port: descriptor_in(daemon, port))
    return ours[0 if listens else 1]


def _is_of(daemon, port):
    try:
        return descriptor_in(daemon, port) >= 0
    except AssertionError:
        return False


def close_under(daemon, port):
    """The daemon itself closes the socket, and does not know of it."""
    number = descriptor_in(daemon, port)
    with Thread(daemon.process.pid) as inside:
        assert inside.call("close", number) == 0


def daemons_socket(daemon, port):
    """The daemon's netlink socket with this port id, as a socket of this process too."""
    wanted = descriptor_in(daemon, port)
    process = os.pidfd_open(daemon.process.pid)
    try:
        descriptor = _libc.syscall(SYS_PIDFD_GETFD, process, wanted, 0)
    finally:
        os.close(process)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER, fileno=descriptor)


def queue_socket(daemon, queue=0):
    return daemons_socket(daemon, queue_owner(daemon.namespace, queue))


def send_all(sock, messages):
    for one in messages:
        sock.sendto(one, (0, 0))


@contextmanager
def stopped(daemon):
    """All of its threads stand still within the block."""
    pid = daemon.process.pid

    def still():
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] != "T":
                    return False
        return True
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(still, "the daemon is stopped")
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


# what interfaces do for the stack

SIOCETHTOOL, SS_FEATURES = 0x8946, 4
GSTRINGS, GSSET_INFO, GFEATURES, SFEATURES = 0x1b, 0x37, 0x3a, 0x3b


def _ethtool(namespace, interface, request):
    """The kernel's answer, as long as the request."""
    buffer = ctypes.create_string_buffer(request, len(request))
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), ctypes.addressof(buffer)))
    return buffer.raw


def _features(namespace, interface):
    """Their names in the order of their bits."""
    request = struct.pack("=IIQI", GSSET_INFO, 0, 1 << SS_FEATURES, 0)
    count, = struct.unpack_from("=I", _ethtool(namespace, interface, request), 16)
    request = struct.pack("=III", GSTRINGS, SS_FEATURES, count) + bytes(32 * count)
    names = _ethtool(namespace, interface, request)[12:]
    return [names[at:at + 32].split(b"\0")[0].decode() for at in range(0, len(names), 32)]


def switch(namespace, interface, on, names):
    """`ethtool -K interface NAME on|off ...`; true where all of them are so then."""
    known = _features(namespace, interface)
    if not set(names) <= set(known):
        return False
    wanted = [sum(1 << bit for bit, name in enumerate(known[first:first + 32]) if name in names)
              for first in range(0, len(known), 32)]
    _ethtool(namespace, interface, struct.pack("=II", SFEATURES, len(wanted)) +
             b"".join(struct.pack("=II", bits, bits if on else 0) for bits in wanted))
    request = struct.pack("=II", GFEATURES, len(wanted)) + bytes(16 * len(wanted))
    active = struct.unpack(f"={4 * len(wanted)}I", _ethtool(namespace, interface, request)[8:])[2::4]
    return all(now & bits == (bits if on else 0) for now, bits in zip(active, wanted))


# traffic

class Traffic:
    """Under crowd.RULES: an established connection each way, and questions about all the rest."""

    def __init__(self, net, side, servers, outside, leased=True):
        self.net, self.side, self.servers, self.outside = net, side, servers, outside
        servers.tcp(SHORT, STEADY, CLOSED).udp(FLOW, CLOSED)
        outside.tcp(SHORT, STEADY, CLOSED).udp(FLOW)
        self.inward = connect(net.cli, side.srv, STEADY)
        self.outward = connect(net.srv, side.cli, STEADY)
        self.check_established()
        if leased:
            wait_leased(net.srv, key_of(self.inward))
            wait_leased(net.srv, own_key_of(self.outward))

    def check_established(self, size=100_000):
        assert echo(self.inward, b"i" * size) and echo(self.outward, b"o" * size), "cut"

    def check_open(self, patience=4):
        net, side = self.net, self.side
        assert outcome(net.cli, side.srv, SHORT, patience=patience) == OPEN
        assert outcome(net.srv, side.cli, SHORT, patience=patience) == OPEN
        assert udp_outcome(net.cli, side.srv, FLOW, patience=patience) == OPEN

    def check_closed(self):
        """What is dropped on its way out the sender is told."""
        net, side = self.net, self.side
        assert outcome(net.cli, side.srv, CLOSED, patience=0.15) == SILENT
        assert outcome(net.srv, side.cli, CLOSED, patience=0.15) != OPEN
        assert udp_outcome(net.cli, side.srv, CLOSED, patience=0.1) == SILENT
        assert not self.servers.accepted[CLOSED] and not self.servers.datagrams[CLOSED]

    def check(self, patience=4):
        self.check_established()
        self.check_open(patience)
        self.check_closed()

    def close(self):
        self.inward.close()
        self.outward.close()


def wait_log(daemon, text, timeout=5):
    """The line of the log that says so, once it is there."""
    def line():
        return next((line for line in daemon.log().splitlines() if text in line), None)
    return wait_for(line, f"the log says: {text}", timeout)


def refused_to_start(daemon, *texts, timeout=20, lines=3):
    """Exit 1, and one clear line with all of these in it."""
    before = len(daemon.log())
    daemon.launch()
    assert daemon.process.wait(timeout) == 1, daemon.log()
    said = daemon.log()[before:].strip().splitlines()
    assert 1 <= len(said) <= lines, said
    assert any(all(text in line for text in texts) for line in said), said
    return said
