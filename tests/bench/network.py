# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of a measurement: two namespaces and what is measured with, nothing of the host.

    cli 10.99.1.1 ---- eth0 == eth0 ---- 10.99.0.1 .. .8  srv: nginx, iperf3, and the firewall
        10.100.0.0/16 lies behind cli: addresses that generators play

A measurement gets a network of its own, so that nothing of the one before (conntrack entries,
hooks, TIME_WAIT sockets) is left in it. Eight server addresses times 64,511 client ports are more
than any measurement opens.
"""

import ctypes
import os
import signal
import socket
import struct
import subprocess
import time

from net import Namespace, wait_for

SERVER, CLIENT = "10.99.0.1", "10.99.1.1"
ADDRESSES = [f"10.99.0.{host}" for host in range(1, 9)]
SERVER_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PLAYED = "10.100.0.0/16"
HTTP, IPERF, SINK = 80, 5201, 53
UNUSED = 4444  # nobody listens, no rule allows it
CLOSED = 8081  # nginx listens, no rule allows it

NGINX = """
worker_processes 1; daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {scratch}/body;
  server {{ listen 80 backlog=8192; listen 8081; return 200 "ok\\n"; }}
}}
"""

# A server at the end of the line: it forwards nothing.
SYSCTLS = {"net/ipv4/ip_forward": 0, "net/ipv4/ip_local_port_range": "1024 65535", "net/ipv4/tcp_tw_reuse": 1,
           "net/ipv4/tcp_max_tw_buckets": 100, "net/core/somaxconn": 8192,
           "net/ipv4/tcp_max_syn_backlog": 8192, "net/ipv6/conf/all/disable_ipv6": 1}


class BenchNetwork:
    """`with BenchNetwork(scratch) as net:` removes it whatever happens."""

    _count = 0

    def __init__(self, scratch):
        BenchNetwork._count += 1
        prefix = f"sp-{os.getpid()}-b{BenchNetwork._count}"
        self.scratch, self.namespaces = scratch, []
        try:
            self.srv, self.cli = self._namespace(prefix + "srv"), self._namespace(prefix + "cli")
            self._join()
            self._serve()
        except BaseException:
            self.close()
            raise

    def _namespace(self, name):
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        for sysctl, value in SYSCTLS.items():
            namespace.sysctl(sysctl, value)
        return namespace

    def _join(self):
        self.srv.run("ip", "link", "add", "eth0", "address", SERVER_MAC, "type", "veth",
                     "peer", "name", "eth0", "address", CLIENT_MAC, "netns", self.cli.name)
        orders = "".join(f"addr add {address}/16 dev eth0\n" for address in ADDRESSES)
        self.srv.run("ip", "-batch", "-", input=orders + "link set eth0 up\n")
        self.cli.run("ip", "-batch", "-", input=f"addr add {CLIENT}/16 dev eth0\nlink set eth0 up\n")
        self.srv.run("ip", "route", "add", PLAYED, "via", CLIENT)

    def _serve(self):
        config = os.path.join(self.scratch, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(scratch=self.scratch))
        nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.srv.start("nginx", "-c", config, **nothing)
        wait_for(lambda: connects(self.srv, SERVER, HTTP), "nginx answers", 10)

    def serve_iperf(self):
        nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.srv.start("iperf3", "-s", "-p", IPERF, **nothing)
        wait_for(lambda: f":{IPERF:04X} " in self.srv.read("tcp") + self.srv.read("tcp6"), "iperf3 listens")

    def count(self, protocol, name, namespace=None):
        """A counter of the server's /proc/net/snmp, as count("Tcp", "OutRsts")."""
        names, values = [line.split() for line in (namespace or self.srv).read("snmp").splitlines()
                         if line.startswith(protocol + ":")]
        return int(values[names.index(name)])

    def close(self):
        while self.namespaces:
            self.namespaces.pop().delete()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connects(namespace, address, port, timeout=0.1):
    with namespace.socket() as sock:
        sock.settimeout(timeout)
        return sock.connect_ex((address, port)) == 0


def _busy_and_all():
    with open("/proc/stat", encoding="ascii") as file:
        ticks = list(map(int, file.readline().split()[1:9]))  # without guest time, which is in user
    idle, stolen = ticks[3] + ticks[4], ticks[7]
    return sum(ticks) - idle - stolen, sum(ticks)


def busy_seconds():
    """CPU time of the whole machine since boot, all kinds but stolen time."""
    return _busy_and_all()[0] / os.sysconf("SC_CLK_TCK")


def settle(patience, quiet=0.08):
    """Waits until the machine idles, `patience` seconds at most. Returns the share that was busy last."""
    deadline = time.monotonic() + patience
    while True:
        busy, total = _busy_and_all()
        time.sleep(0.15 if patience else 0.05)
        busy_after, total_after = _busy_and_all()
        share = (busy_after - busy) / max(1, total_after - total)
        if share <= quiet or time.monotonic() > deadline:
            return share


def at_rest(read, slack=0, patience=15, step=0.3, readings=3):
    """What `read` returns once it has stopped to change by more than `slack`."""
    deadline, seen = time.monotonic() + patience, [read()]
    while len(seen) < readings or max(seen[-readings:]) - min(seen[-readings:]) > slack:
        if time.monotonic() > deadline:
            raise AssertionError(f"{read.__name__} does not come to rest: something else goes on")
        time.sleep(step)
        seen.append(read())
    return seen[-1]


def end(process, timeout=10):
    """SIGTERM, and what it then says."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def quiet_listener(namespace, address, port):
    """A socket whose host answers every SYN and keeps no state of it: the answer is a SYN cookie, and
    the ACK that would make a connection of it is discarded by the socket's filter, behind all hooks.
    So the firewall sees whole handshakes, and the kernel holds no connection but the firewall's."""
    namespace.sysctl("net/ipv4/tcp_syncookies", 2)  # always, not only under pressure
    # A classic BPF program over the TCP header: pass what has SYN and no ACK.
    code = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0xffffffff), (0x06, 0, 0, 0)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    sock = namespace.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    attach_filter = 26  # SO_ATTACH_FILTER
    sock.setsockopt(socket.SOL_SOCKET, attach_filter, struct.pack("HL", len(code), ctypes.addressof(program)))
    sock.bind((address, port))
    sock.listen(8192)
    return sock
