# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared: each system firewalls the server of one BenchNetwork, with the same open ports."""

import os
import shutil
import signal
import subprocess

from daemon import BUILD, Daemon
from net import wait_for
from network import CLOSED, HTTP, SERVER, connects, end

TCP_PORTS, UDP_PORTS = (22, 80, 443, 5201), (53, 5201)
LIMIT = 30000  # new connections a second: more than nginx serves on this class of machine


class Failed(Exception):
    """A measurement that is no figure; says why."""


def listing(ports):
    return ",".join(map(str, ports))


def denied_sources(count):
    """Addresses that have nothing in common, and none of which takes part."""
    for number in range(count):
        spread = number * 9973 % (1 << 24)
        yield f"11.{spread >> 16}.{spread >> 8 & 255}.{spread & 255}"


class System:
    """No firewall, and what the others share. The rules that a scene wants beyond those for the open
    ports are about the port that is measured, and match nobody."""

    name = "none"
    closes_ports = tracks = False

    def __init__(self, net, scene):
        self.net, self.scene = net, scene

    def start(self):
        """Puts it in force."""

    def stop(self):
        """Ends its processes; the rest goes with the namespace."""

    def check(self):
        """Raises Failed unless it is in force: asked before and after a measurement. Neither need it be quick
        to answer after a flood, nor wait long for an answer that must not come."""
        if not connects(self.net.cli, SERVER, HTTP, 3):
            raise Failed("an open port does not answer")
        if connects(self.net.cli, SERVER, CLOSED) == self.closes_ports:
            raise Failed(f"port {CLOSED} is {'open' if self.closes_ports else 'closed'}")
        if (self.tracked() > 0) != self.tracks:
            raise Failed("conntrack is on" if not self.tracks else "conntrack is off")

    def tracked(self):
        try:
            with self.net.srv.entered(), open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as file:
                return int(file.read())
        except FileNotFoundError:
            return 0

    def connections(self):
        """How many it holds."""
        return self.tracked()


class Conntrack(System):
    """nftables with conntrack, as short as one writes it by hand."""

    name = "conntrack"
    closes_ports = tracks = True
    new = "accept"

    def start(self):
        self.net.srv.run("nft", "-f", "-", input=f"""
            table inet fw {{
                chain input {{
                    type filter hook input priority 0; policy drop;
                    iif lo accept
                    ct state established,related accept
                    ct state invalid drop
                    tcp dport {{ {listing(TCP_PORTS)} }} ct state new {self.new}
                    udp dport {{ {listing(UDP_PORTS)} }} accept
                }}
            }}""")


class ConntrackLimit(Conntrack):
    """The same with the remedy against floods that one finds in every guide."""

    name = "conntrack-limit"
    new = f"limit rate {LIMIT}/second burst {LIMIT // 10} packets accept"


class Ufw(System):
    """What ufw itself writes when it is enabled; run with a copy of /etc/ufw over the host's."""

    name = "ufw"
    closes_ports = tracks = True

    def start(self):
        self.configure()
        self.ufw("ufw --force enable")
        if "ufw-user-input" not in self.net.srv.run("iptables-save").stdout:
            raise Failed("ufw wrote no rules")
        if self.scene.rules:
            more = self.scene.rules - len(TCP_PORTS) - len(UDP_PORTS)
            lines = [f"-I ufw-user-input -p tcp --dport {HTTP} -s {source} -j DROP\n"
                     for source in denied_sources(more)]
            self.net.srv.run("iptables-restore", "--noflush", input="*filter\n" + "".join(lines) + "COMMIT\n",
                             timeout=120)

    def configure(self):
        self.etc = os.path.join(self.net.scratch, "ufw")
        shutil.rmtree(self.etc, ignore_errors=True)
        shutil.copytree("/etc/ufw", self.etc)
        with open("/etc/default/ufw", encoding="utf-8") as given, \
                open(os.path.join(self.etc, "default"), "w", encoding="utf-8") as ours:
            ours.write(given.read().replace("IPV6=yes", "IPV6=no"))
        self.ufw(f"ufw allow {listing(TCP_PORTS)}/tcp; ufw allow {listing(UDP_PORTS)}/udp")

    def ufw(self, commands):
        """In a mount namespace of its own (ip netns exec makes one), so nothing of this is seen outside."""
        self.net.srv.run("ip", "netns", "exec", self.net.srv.name, "sh", "-ec",
                         f"mount --bind {self.etc} /etc/ufw; mount --bind {self.etc}/default /etc/default/ufw; "
                         f"mount -t tmpfs none /run; {commands}")  # its lock is in /run


class Queue(System):
    """Every packet to a process that accepts it, both ways: what a queue costs by itself."""

    name = "queue"

    def start(self):
        for chain in ("PREROUTING", "OUTPUT"):
            self.net.srv.run("iptables", "-t", "raw", "-A", chain, "-j", "NFQUEUE",
                             "--queue-num", "0", "--queue-bypass")
        self.process = self.net.srv.start(os.path.join(BUILD, "bench/accept_all"), 0, "batched",
                                          stdout=subprocess.PIPE, text=True)
        wait_for(lambda: self.queued() is not None, "the queue is bound")

    def queued(self):
        """Packets that have been handed to the process; None before it is there."""
        lines = self.net.srv.read("netfilter/nfnetlink_queue").splitlines()
        return int(lines[0].split()[7]) if lines else None

    def check(self):
        super().check()
        if self.process.poll() is not None or not self.queued():
            raise Failed("the queue's reader saw nothing")

    def stop(self):
        end(self.process)


class Sallyport(System):
    name = "sallyport"
    closes_ports = True

    def start(self):
        self.daemon = Daemon(self.net.srv, self.text(), directory=os.path.join(self.net.scratch, "sallyport"))
        self.daemon.patience = 120  # it may be reading a million leases
        self.daemon.start(timeout=120)

    def text(self, more=""):
        denied = max(0, self.scene.rules - 2)
        return ("default in drop\n" + ("" if self.scene.busy else "busy never\n") + (f"connections {self.scene.connections}\n" if self.scene.connections else "")
                + "".join(f"drop in tcp {HTTP} from {source}\n" for source in denied_sources(denied))
                + f"allow in tcp {listing(TCP_PORTS)}\nallow in udp {listing(UDP_PORTS)}\n{more}")

    def check(self):
        super().check()
        if not self.daemon.running or not self.daemon.stats()["daemon"]["packets"]:
            raise Failed("the daemon judged nothing")

    def connections(self):
        return self.daemon.status()["connections"]["count"]

    def memory(self):
        """Resident bytes of the daemon."""
        with open(f"/proc/{self.daemon.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        if self.daemon.running and self.daemon.stop() != 0:
            raise Failed("the daemon ended badly:\n" + self.daemon.log()[-500:])


ALL = {system.name: system for system in (System, Conntrack, ConntrackLimit, Ufw, Queue, Sallyport)}
