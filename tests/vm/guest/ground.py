# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest's tests stand on: results, programs, and a client in a network namespace.

    guest (h0) 198.51.100.1, 2001:db8:f::1 ---- 198.51.100.2, 2001:db8:f::2 (c0) client
"""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

HOST = {4: "198.51.100.1", 6: "2001:db8:f::1"}
CLIENT = {4: "198.51.100.2", 6: "2001:db8:f::2"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
RULES = pathlib.Path("/etc/sallyport/sallyport.rules")
SILENCE = 2.2  # seconds without an answer: dropped; a SYN is repeated after one
CLONE_NEWNET = 0x40000000


class Failed(Exception):
    pass


def need(condition, problem):
    if not condition:
        raise Failed(problem)


def equal(found, expected, what):
    need(found == expected, f"{what}: {found!r}, expected {expected!r}")


def run(*command, timeout=90):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout)


def succeed(*command):
    done = run(*command)
    need(done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stdout.strip()[-400:]}")
    return done.stdout


def wait_for(condition, what, seconds=60):
    """The condition's first true value. Generous: an emulated guest on a busy host is slow."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise Failed(f"waited {seconds} s for {what}")


# ---- the service ----

def systemctl(*arguments):
    return run("systemctl", *arguments)


def unit_property(name, unit="sallyport.service"):
    return succeed("systemctl", "show", "--value", "-p", name, unit).strip()


def main_pid():
    return int(unit_property("MainPID"))


def is_active():
    return unit_property("ActiveState") == "active"


def sallyport(*arguments):
    """The answer as objects, one a line."""
    return [json.loads(line) for line in succeed("sallyport", "--json", *arguments).splitlines()]


def status():
    return sallyport("status")[0]


def ruleset():
    return succeed("nft", "list", "ruleset")


def journal(*matches):
    lines = succeed("journalctl", "-u", "sallyport.service", "-o", "json", "--no-pager", *matches).splitlines()
    return [json.loads(line) for line in lines]


def write_rules(text):
    """In place by rename, as an editor does."""
    part = RULES.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o644)
    part.rename(RULES)


# ---- the client's network ----

def ip(*arguments):
    succeed("ip", *arguments)


def build_network():
    ip("netns", "add", "client")
    ip("link", "add", "h0", "type", "veth", "peer", "name", "c0", "netns", "client")
    ip("link", "set", "lo", "up")
    for name, addresses, where in (("h0", HOST, []), ("c0", CLIENT, ["-n", "client"])):
        ip(*where, "address", "add", f"{addresses[4]}/24", "dev", name)
        ip(*where, "address", "add", f"{addresses[6]}/64", "dev", name, "nodad")
        ip(*where, "link", "set", name, "up")
    ip("-n", "client", "link", "set", "lo", "up")


def _enter_client():
    handle = os.open("/run/netns/client", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)


class Client:
    """Runs functions in the client's namespace; sockets made there stay there."""

    def __init__(self):
        self.thread = concurrent.futures.ThreadPoolExecutor(1, initializer=_enter_client)

    def call(self, function, *arguments):
        return self.thread.submit(function, *arguments).result(60)

    def socket(self, version, kind=socket.SOCK_STREAM):
        return self.call(socket.socket, FAMILY[version], kind)

    def connect(self, version, port, timeout=10):
        opened = self.socket(version)
        opened.settimeout(timeout)
        try:
            opened.connect((HOST[version], port))
        except OSError:
            opened.close()
            raise
        return opened

    def knock(self, version, port):
        """What a client sees of a TCP port: open, closed (and after how long), or filtered."""
        start = time.monotonic()
        try:
            self.connect(version, port, SILENCE).close()
            return "open", time.monotonic() - start
        except ConnectionRefusedError:
            return "closed", time.monotonic() - start
        except TimeoutError:
            return "filtered", time.monotonic() - start

    def sees(self, port, expected):
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            answers = list(both.map(lambda version: self.knock(version, port), (4, 6)))
        for version, (seen, seconds) in zip((4, 6), answers):
            equal(seen, expected, f"IPv{version} port {port}")
            need(seen != "closed" or seconds < 1, f"IPv{version} port {port} refused only after {seconds:.1f} s")

    def ask_udp(self, version, port):
        with self.socket(version, socket.SOCK_DGRAM) as asking:
            asking.settimeout(SILENCE)
            asking.connect((HOST[version], port))
            try:
                asking.send(b"ping")
                return asking.recv(16) == b"ping"
            except TimeoutError:
                return False


# ---- servers of the guest ----

def _echo(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def _accept(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_quietly, args=(_echo, connection), daemon=True).start()


def _quietly(function, argument):
    try:
        function(argument)
    except OSError:
        pass


def _answer(bound):
    while True:
        data, sender = bound.recvfrom(2048)
        bound.sendto(data, sender)


def serve_tcp(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()


def serve_udp(port):
    """One socket an address, so that an answer leaves from where the question went."""
    for version in (4, 6):
        bound = socket.socket(FAMILY[version], socket.SOCK_DGRAM)
        bound.bind((HOST[version], port))
        threading.Thread(target=_answer, args=(bound,), daemon=True).start()


class Hammer:
    """Tries a port every few milliseconds, and knows how many tries came through."""

    def __init__(self, client, version, port):
        self.client, self.address = client, (HOST[version], port)
        self.tries, self.stopping = [client.socket(version) for _ in range(400)], False
        self.used = 0
        self.thread = threading.Thread(target=self._go, daemon=True)
        self.thread.start()

    def _go(self):
        for attempt in self.tries:
            if self.stopping:
                return
            attempt.setblocking(False)
            attempt.connect_ex(self.address)
            self.used += 1
            time.sleep(0.02)

    def finish(self):
        self.stopping = True
        self.thread.join(15)
        time.sleep(0.2)
        through = sum(map(_is_connected, self.tries[:self.used]))
        for attempt in self.tries:
            attempt.close()
        return through


def _is_connected(attempt):
    try:
        attempt.getpeername()
        return True
    except OSError:
        return False


class Transfer:
    """A connection that keeps echoing; a broken or stalled one is noticed."""

    def __init__(self, client, version, port):
        self.socket = client.connect(version, port)
        self.rounds, self.error, self.stopping = 0, None, False
        self.thread = threading.Thread(target=self._go, daemon=True)
        self.thread.start()

    def _go(self):
        block = bytes(range(256)) * 16
        try:
            while not self.stopping:
                self.socket.sendall(block)
                got = b""
                while len(got) < len(block):
                    more = self.socket.recv(len(block) - len(got))
                    need(more, "the other side closed")
                    got += more
                need(got == block, "bytes came back changed")
                self.rounds += 1
                time.sleep(0.01)  # it is to be noticed when it stops, not to fill the machine
        except (OSError, Failed) as problem:
            self.error = repr(problem)

    def moves(self):
        """It is whole, and it gets on from here."""
        before = self.rounds
        wait_for(lambda: self.error or self.rounds > before + 2, "the transfer to move")
        need(not self.error, f"the transfer broke: {self.error}")

    def abandon(self):
        """For one that is cut on purpose."""
        self.stopping = True
        self.socket.settimeout(0.1)
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(15)
        self.socket.close()

    def finish(self):
        self.stopping = True
        self.thread.join(15)
        self.socket.close()
        need(not self.error, f"the transfer broke: {self.error}")
