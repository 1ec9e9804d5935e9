# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand: sent from, and seen at, one interface of a namespace."""

import socket
import time

from scapy.config import conf
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

ETH_P_ALL = 3
PACKET_OUTGOING = 4
PACKET_IGNORE_OUTGOING = 23
conf.verb = 0


def mac_of(namespace, interface):
    with namespace.entered():
        return socket_mac(interface)


def socket_mac(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        return ":".join(f"{byte:02x}" for byte in sock.getsockname()[4])


class Wire:
    """The client's end of the cable to the guarded host."""

    def __init__(self, net, namespace=None, interface="eth0", peer_interface="wan0"):
        namespace = namespace or net.cli
        self.mac = mac_of(namespace, interface)
        self.peer_mac = mac_of(net.srv, peer_interface)
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(263, PACKET_IGNORE_OUTGOING, 1)  # SOL_PACKET
        self.socket.bind((interface, ETH_P_ALL))

    def send(self, *packets):
        for packet in packets:
            self.socket.send(bytes(Ether(src=self.mac, dst=self.peer_mac) / packet))

    def receive(self, wanted, timeout=5.0):
        """The first arriving packet (from the IP header on) for which `wanted` is true, or None."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                frame = Ether(self.socket.recv(65535))
            except TimeoutError:
                return None
            packet = frame.payload
            if isinstance(packet, (IP, IPv6)) and wanted(packet):
                return packet

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ip(side, source, destination, **fields):
    """An IP header of the side's family, as scapy writes it."""
    header = IP if side.version == 4 else IPv6
    return header(src=source, dst=destination, **fields)
