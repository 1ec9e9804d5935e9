# SPDX-License-Identifier: GPL-2.0-or-later
"""Scratch networks: namespaces joined by veth pairs. Nothing of the host is touched.

           cli 10.77.1.2, .3 ---- wan0 10.77.1.1
                                       srv: the host that the firewall guards
          cli2 10.77.2.2     ---- lan0 10.77.2.1
           ctr 10.77.3.2     ---- ctr0 10.77.3.1     ctr: stands for a container

IPv6 alike: fd77:0:0:N::H. The names begin with sp-PID-, so several runs can go on side by
side, and what a killed run has left is found and removed by the next one.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager

NETNS = "/run/netns"
FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, what, timeout=5.0, interval=0.01):
    """Calls `condition` until it answers something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout:g} s: {what}")
        time.sleep(interval)


def run(*command, check=True, timeout=60, **options):
    """A command to its end; its output is text, and part of the error where it fails."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """One network namespace. Sockets and processes made inside stay inside."""

    def __init__(self, name):
        self.name = name
        self.path = f"{NETNS}/{name}"
        self.processes = []
        run("ip", "netns", "add", name)
        self.sysctl("net/ipv6/conf/all/accept_dad", 0)
        self.sysctl("net/ipv6/conf/default/accept_dad", 0)
        self.sysctl("net/ipv6/conf/default/accept_ra", 0)
        self.sysctl("net/ipv6/conf/default/router_solicitations", 0)
        self.sysctl("net/ipv4/ping_group_range", "0 2147483647")
        self.sysctl("net/ipv4/icmp_ratelimit", 0)
        self.sysctl("net/ipv6/icmp/ratelimit", 0)
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def entered(self):
        """This thread is in the namespace for the length of the block."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            target = os.open(self.path, os.O_RDONLY)
            try:
                _setns(target)
            finally:
                os.close(target)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)

    def run(self, *command, **options):
        with self.entered():
            return run(*command, **options)

    def start(self, *command, **options):
        """A process that goes on in the namespace; killed with it at the latest."""
        with self.entered():
            process = subprocess.Popen([str(word) for word in command], **options)
        self.processes.append(process)
        return process

    def sysctl(self, name, value):
        with self.entered(), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, path):
        """A file of /proc/net as this namespace sees it: path without the /proc/net/."""
        with self.entered(), open(f"/proc/thread-self/net/{path}", encoding="ascii") as file:
            return file.read()

    def figure(self, name):
        """A counter of the namespace's TCP, by its name in /proc/net/netstat."""
        names, values = [line.split() for line in self.read("netstat").splitlines()
                         if line.startswith("TcpExt:")]
        return int(values[names.index(name)])

    def end_processes(self):
        """Kills what was started here, and what that has left behind in the namespace."""
        pids = run("ip", "netns", "pids", self.name, check=False).stdout.split()
        for pid in map(int, pids):
            if pid != os.getpid():
                _kill(pid)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self.processes.clear()

    def delete(self):
        self.end_processes()
        run("ip", "netns", "del", self.name, check=False)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Side:
    """The addresses of the scratch network in one family, as text."""

    def __init__(self, version):
        self.version = version
        self.family = socket.AF_INET if version == 4 else socket.AF_INET6
        self.name = f"IPv{version}"
        self.srv, self.cli, self.cli_b = self.at(1, 1), self.at(1, 2), self.at(1, 3)
        self.srv_lan, self.cli2 = self.at(2, 1), self.at(2, 2)
        self.srv_ctr, self.ctr = self.at(3, 1), self.at(3, 2)
        self.length = 24 if version == 4 else 64
        self.cli_net, self.cli2_net = self.net(1), self.net(2)
        self.icmp = "icmp" if version == 4 else "icmpv6"

    def at(self, net, host):
        return f"10.77.{net}.{host}" if self.version == 4 else f"fd77:0:0:{net}::{host}"

    def net(self, net):
        return f"10.77.{net}.0/24" if self.version == 4 else f"fd77:0:0:{net}::/64"

    def url(self, address, port, path="/"):
        host = address if self.version == 4 else f"[{address}]"
        return f"http://{host}:{port}{path}"

    def endpoint(self, address, port):
        """As probes are written."""
        return f"{address}:{port}" if self.version == 4 else f"[{address}]:{port}"


IPV4, IPV6 = Side(4), Side(6)
BOTH = (IPV4, IPV6)


class Network:
    """The network of the picture above; `with Network() as net:` removes it whatever happens."""

    _mutex = threading.Lock()
    _count = 0

    def __init__(self):
        with Network._mutex:
            Network._count += 1
            prefix = f"sp-{os.getpid()}-" + (f"{Network._count}-" if Network._count > 1 else "")
        self.namespaces = []
        self.first_of_host = not os.path.ismount(NETNS)
        try:
            self.srv = self._namespace(prefix + "srv")
            self.cli = self._namespace(prefix + "cli")
            self.cli2 = self._namespace(prefix + "cli2")
            self.ctr = self._namespace(prefix + "ctr")
            self._join("wan0", self.cli, 1)
            self._join("lan0", self.cli2, 2)
            self._join("ctr0", self.ctr, 3)
            for side in BOTH:  # preferred_lft 0: never chosen unless asked for
                self.cli.run("ip", "addr", "add", f"{side.cli_b}/{side.length}", "dev", "eth0",
                             "preferred_lft", "0")
            self.forward(True)
        except BaseException:
            self.close()
            raise

    def forward(self, does):
        """Whether srv sends on what is meant for others, of both families."""
        for sysctl in FORWARDING:
            self.srv.sysctl(sysctl, int(does))

    def _namespace(self, name):
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        return namespace

    def _join(self, interface, peer, net):
        """A veth pair from srv to `peer`, created inside, so that the host never sees it."""
        self.srv.run("ip", "link", "add", interface, "type", "veth",
                     "peer", "name", "eth0", "netns", peer.name)
        for side in BOTH:
            self.srv.run("ip", "addr", "add", f"{side.at(net, 1)}/{side.length}", "dev", interface)
            peer.run("ip", "addr", "add", f"{side.at(net, 2)}/{side.length}", "dev", "eth0")
        self.srv.run("ip", "link", "set", interface, "up")
        peer.run("ip", "link", "set", "eth0", "up")
        for side in BOTH:
            peer.run("ip", f"-{side.version}", "route", "add", "default", "via", side.at(net, 1))

    def close(self):
        while self.namespaces:
            self.namespaces.pop().delete()
        if self.first_of_host and os.path.ismount(NETNS) and not os.listdir(NETNS):
            run("umount", NETNS, check=False)  # `ip netns add` made it
            os.rmdir(NETNS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def scratch_directory(purpose):
    return tempfile.mkdtemp(prefix=f"sallyport-{purpose}-{os.getpid()}-")


def _orphans(directory, pattern):
    """Names in the directory that carry the id of a process that lives no more."""
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        match = re.fullmatch(pattern, name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            yield name


def sweep():
    """Removes what runs that were killed have left behind."""
    for name in _orphans(NETNS, r"sp-(\d+)-.*"):
        for pid in map(int, run("ip", "netns", "pids", name, check=False).stdout.split()):
            _kill(pid)
        run("ip", "netns", "del", name, check=False)
    for name in _orphans(tempfile.gettempdir(), r"sallyport-(?:e2e|demo|bench|soak)-(\d+)-.*"):
        shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def interrupt_on_signals():
    """SIGTERM and SIGHUP end a run as Ctrl-C does: through every `finally`."""
    def interrupt(number, _):
        raise KeyboardInterrupt(signal.Signals(number).name)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
