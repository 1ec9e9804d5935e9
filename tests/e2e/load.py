# SPDX-License-Identifier: GPL-2.0-or-later
"""Load that goes on while a test does something else, and says afterwards what went wrong."""

import hashlib
import threading
import time

from clients import connect, echo, udp_socket
from net import wait_for

# A server's kernel (Linux 6.18) resets a connection when its data comes in the moment in which the handshake's
# socket gives way to the connection's, which then stands as if nothing had been (net/ipv4/inet_hashtables.c,
# inet_ehash_insert). It needs no firewall for it; seen once in about 100,000.
SELDOM = 50000  # short connections, for each of which one is the kernel's, and one; more are ours


class Load(threading.Thread):
    """A loop of `step` until stopped; errors are kept, not raised."""

    def __init__(self, step, pause=0.0):
        super().__init__(daemon=True)
        self.step, self.pause = step, pause
        self.rounds, self.errors = 0, []
        self.halt = threading.Event()
        self.start()

    def run(self):
        while not self.halt.is_set():
            try:
                self.step()
                self.rounds += 1
            except (OSError, AssertionError) as error:
                self.errors.append(f"{time.strftime('%T')} {error!r}")
            if self.pause:
                self.halt.wait(self.pause)

    def wait_rounds(self, count, timeout=10):
        """Until it has gone round `count` times more."""
        target = self.rounds + count
        wait_for(lambda: self.rounds >= target or not self.is_alive(), "the load goes on", timeout)

    def stop(self):
        self.halt.set()
        self.join(30)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class ShortConnections(Load):
    """One connection after the other, each with a question and its answer. A reset is excused, and counted,
    where the server's own socket still stands, which is closed then: nobody else would. `server`: its namespace."""

    def __init__(self, namespace, address, port, server, pause=0.005, timeout=5.0):
        self.server, self.resets = server, 0
        self.connect = lambda: connect(namespace, address, port, timeout=timeout)
        super().__init__(self.ask, pause)

    def ask(self):
        with self.connect() as sock:
            own_port = sock.getsockname()[1]
            try:
                assert echo(sock), "the connection ended early"
            except ConnectionResetError:
                stood = self.server.run("ss", "-HKtn", "state", "established", "dport", "=", f":{own_port}").stdout
                if not stood or self.resets > self.rounds // SELDOM:
                    raise
                self.resets += 1


def knocking(namespace, address, port, pause=0.002):
    """Datagrams and SYNs to a port that is denied; nobody waits for an answer."""
    sock = udp_socket(namespace, address, port)

    def step():
        sock.send(b"let me in")
        knock = namespace.socket(sock.family)
        knock.setblocking(False)
        knock.connect_ex((address, port))
        knock.close()
    return Load(step, pause)


class Transfer(Load):
    """One connection for the whole time: data goes to the echo server and comes back, and both
    ends' sums must agree."""

    def __init__(self, namespace, address, port, chunk=16384, pause=0.002):
        self.sock = connect(namespace, address, port)
        self.sock.settimeout(10)
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.bytes = 0
        self.block = bytes(range(256)) * (chunk // 256)
        super().__init__(self.exchange, pause)

    def exchange(self):
        stamp = time.monotonic_ns().to_bytes(8, "big") + self.block
        self.sock.sendall(stamp)
        self.sent.update(stamp)
        left = len(stamp)
        while left:
            data = self.sock.recv(left)
            if not data:
                self.halt.set()
                raise ConnectionError("the transfer was cut")
            self.received.update(data)
            left -= len(data)
        self.bytes += len(stamp)

    def whole(self):
        return self.bytes > 0 and self.sent.digest() == self.received.digest()
