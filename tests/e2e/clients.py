# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends of the traffic: small servers in a thread, and clients that say what they saw."""

import errno
import os
import selectors
import socket
import struct
import threading
import time
from collections import Counter

from net import wait_for

OPEN, REFUSED, SILENT = "open", "refused", "silent"
SILENCE = 0.4  # how long no answer counts as none; a SYN is sent again after one second


def _target(address, port):
    """Scope and flow label stay 0: every address of the scratch network is global."""
    return (address, port)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect(namespace, address, port, source=None, timeout=5.0, source_port=0):
    """A connected TCP socket. Raises ConnectionRefusedError, TimeoutError, ..."""
    sock = namespace.socket(family_of(address))
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source or source_port:
            sock.bind((source or "", source_port))
        sock.settimeout(timeout)
        sock.connect(_target(address, port))
        return sock
    except BaseException:
        sock.close()
        raise


def _seen(attempt):
    """OPEN where the attempt comes through; otherwise what stopped it."""
    try:
        attempt()
        return OPEN
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return SILENT
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def outcome(namespace, address, port, source=None, patience=SILENCE):
    """What a TCP client sees: OPEN, REFUSED (an RST), SILENT, or the name of another error."""
    return _seen(lambda: connect(namespace, address, port, source, patience).close())


def udp_socket(namespace, address, port, source=None, source_port=0):
    sock = namespace.socket(family_of(address), socket.SOCK_DGRAM)
    if source or source_port:
        sock.bind((source or "", source_port))
    sock.connect(_target(address, port))
    return sock


def udp_outcome(namespace, address, port, source=None, patience=SILENCE, payload=b"hello"):
    """OPEN: an answer came; REFUSED: port unreachable came; SILENT."""
    with udp_socket(namespace, address, port, source) as sock:
        sock.settimeout(patience)
        return _seen(lambda: (sock.send(payload), sock.recv(65535)))


def ping(namespace, address, source=None, patience=SILENCE):
    """One ICMP echo; true where the reply came."""
    six = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with namespace.socket(family_of(address), socket.SOCK_DGRAM, protocol) as sock:
        if source:
            sock.bind((source, 0))
        sock.connect((address, 0))
        sock.settimeout(patience)
        try:
            sock.send(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1) + b"sallyport")
            return sock.recv(1500)[0] == (129 if six else 0)
        except (TimeoutError, PermissionError, ConnectionRefusedError):
            return False


def echo(sock, payload=b"sallyport\n"):
    """Sends on a connected socket and reads as much back; true where it is the same."""
    sock.sendall(payload)
    return receive(sock, len(payload)) == payload


def receive(sock, length):
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            break
        data += piece
    return data


class Servers:
    """Echo servers on any number of ports of one namespace, both families, in one thread.

    They count what reached them, so that a test can prove that something did not."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.accepted = Counter()   # TCP connections by local port
        self.datagrams = Counter()  # by local port
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = os.pipe()
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        self.mutex = threading.Lock()
        self.sockets = set()
        self.closing = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _add(self, sock, handler):
        sock.setblocking(False)
        with self.mutex:
            self.sockets.add(sock)
        self.selector.register(sock, selectors.EVENT_READ, handler)
        os.write(self.woken, b"+")

    def tcp(self, *ports):
        for port in ports:
            sock = self.namespace.socket(socket.AF_INET6)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(("::", port))
            sock.listen(512)
            self._add(sock, lambda listener, port=port: self._accept(listener, port))
        return self

    def udp(self, *ports):
        for port in ports:
            sock = self.namespace.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind(("::", port))
            self._add(sock, lambda sock, port=port: self._answer(sock, port))
        return self

    def _accept(self, listener, port):
        connection, _ = listener.accept()
        self.accepted[port] += 1
        self._add(connection, self._echo)

    def _echo(self, connection):
        try:
            data = connection.recv(65536)
            if data:
                connection.setblocking(True)
                connection.settimeout(5)
                connection.sendall(data)
                connection.setblocking(False)
                return
        except BlockingIOError:
            return  # readable a moment ago
        except OSError:
            pass
        self._drop(connection)

    def _answer(self, sock, port):
        data, sender = sock.recvfrom(65535)
        self.datagrams[port] += 1
        sock.sendto(data, sender)

    def _drop(self, sock):
        self.selector.unregister(sock)
        with self.mutex:
            self.sockets.discard(sock)
        sock.close()

    def _serve(self):
        while not self.closing:
            for key, _ in self.selector.select(0.5):
                if key.data is None:
                    os.read(self.wake, 64)
                    continue
                try:
                    key.data(key.fileobj)
                except OSError:
                    pass

    def close(self):
        self.closing = True
        os.write(self.woken, b"-")
        self.thread.join(10)
        self.selector.close()
        for sock in self.sockets:
            sock.close()
        os.close(self.wake)
        os.close(self.woken)


def listening(namespace, port, protocol="tcp"):
    """True where something in the namespace listens on the port."""
    tables = ("tcp", "tcp6") if protocol == "tcp" else ("udp", "udp6")
    for table in tables:
        for line in namespace.read(table).splitlines()[1:]:
            words = line.split()
            if int(words[1].rsplit(":", 1)[1], 16) == port and (protocol == "udp" or words[3] == "0A"):
                return True
    return False


def wait_listening(namespace, port, protocol="tcp", process=None, timeout=15):
    def ready():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the server for port {port} ended with {process.returncode}")
        return listening(namespace, port, protocol)
    wait_for(ready, f"a server on {protocol} {port}", timeout)


class Stopwatch:
    def __enter__(self):
        self.begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begin
