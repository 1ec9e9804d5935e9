# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on at the guarded host all the time: web, DNS, ssh, bulk, ping, long and short connections
in both directions and through address translation, and somebody at a closed port."""

import os
import subprocess
from collections import Counter

from clients import Servers, connect, echo, ping, udp_socket, wait_listening
from crowd import Flow
from daemon import ROOT
from load import SELDOM, Load, ShortConnections, Transfer, knocking
from net import BOTH, IPV4, IPV6, wait_for
from witness import Witness

WEB, ECHO, FLOW, DNS, SSH, BULK, VICTIM, CLOSED = 8000, 9000, 9001, 5300, 22, 5201, 7070, 6666
PUBLISHED, PUBLISHED_FLOW = 8080, 5353  # of the container's 80 and 53
PATIENCE = 20  # seconds; a SYN that an accident has lost is repeated after 1, 3 and 7
CHURN = (500, 2000, 5000)  # connections a second, in turn
CHURN_SECONDS = 3
REACHED = 0.8  # of that, at least, over all

RULES = f"""default in drop
default out drop
timeout time-wait 5s
timeout last-ack 35s
timeout closed 5s
timeout udp 5s
timeout udp-stream 10s
timeout icmp 5s
drop in tcp,udp {CLOSED}
allow in tcp {WEB},{ECHO},{SSH},{BULK},{PUBLISHED}
allow in udp {FLOW},{DNS},{PUBLISHED_FLOW}
allow in tcp {DNS}
allow in icmp echo-request
allow out tcp {ECHO}
allow out udp {FLOW}
"""
VICTIMS = f"allow in tcp {VICTIM}\n"

NGINX = """
daemon off; pid {dir}/pid; error_log {dir}/error.log; user root; worker_processes 1;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off; client_header_timeout 3s; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
  fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen {web} backlog=4096; listen [::]:{web} backlog=4096; root {dir}/www;
    location = / {{ return 200 "ok\\n"; }} }}
}}
"""

PUBLISH = """
table {family} engine {{
	chain prerouting {{
		type nat hook prerouting priority dstnat;
		iifname != "ctr0" {family} daddr {srv} tcp dport {published} dnat to {target}:80
		iifname != "ctr0" {family} daddr {srv} udp dport {flow} dnat to {target}:53
	}}
}}
"""

SSHD = """
Port {port}
HostKey {dir}/host
AuthorizedKeysFile {dir}/client.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
PermitRootLogin yes
"""
# sshd wants /run/sshd: a /run of its own, seen by it alone.
SSHD_START = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f \"$1\""
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def dns_question(name):
    """A recursive question for an IPv4 address."""
    words = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    return b"\x51\x52\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + words + b"\0\0\x01\0\x01"


class Traffic:
    """`with Traffic(net, scratch, rate, forwards) as traffic:` runs all of it, or what needs no forwarding;
    `faults()` says what went wrong."""

    def __init__(self, net, scratch, rates, forwards):
        self.net, self.scratch, self.rates, self.forwards = net, scratch, rates, forwards
        self.loads, self.servers, self.done, self.wanted = {}, [], Counter(), 0

    def __enter__(self):
        self.net.cli.sysctl("net/ipv4/ip_local_port_range", "1024 65535")
        for namespace in (self.net.cli, self.net.srv):  # or the churn's client runs out of ports
            namespace.sysctl("net/ipv4/tcp_max_tw_buckets", 2000)
        self.net.srv.sysctl("net/core/somaxconn", 4096)
        self.net.srv.sysctl("net/ipv4/tcp_max_syn_backlog", 4096)
        self.witness = Witness(self.net.srv, closed=f"meta l4proto {{ tcp, udp }} th dport {CLOSED}")
        self._serve()
        self._load()
        return self

    def __exit__(self, *_):
        self.stop()
        for servers in self.servers:
            servers.close()

    # servers

    def _serve(self):
        net = self.net
        self.servers = [Servers(namespace) for namespace in (net.srv, net.cli, net.ctr)]
        self.servers[0].tcp(ECHO, VICTIM, CLOSED).udp(FLOW, CLOSED)
        self.servers[1].tcp(ECHO).udp(FLOW)
        self.servers[2].tcp(80).udp(53)
        if self.forwards:
            self._publish()
        self._serve_web()
        self._serve_ssh()
        net.srv.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                      f"--port={DNS}", "--address=/soak.test/192.0.2.1", "--pid-file", "--user=root", **QUIET)
        net.srv.start("iperf3", "-s", "-p", BULK, **QUIET)
        for port in (WEB, SSH, BULK, DNS):
            wait_listening(net.srv, port)

    def _publish(self):
        for side, family, target in ((IPV4, "ip", IPV4.ctr), (IPV6, "ip6", f"[{IPV6.ctr}]")):
            self.net.srv.run("nft", "-f", "-", input=PUBLISH.format(
                family=family, srv=side.srv, published=PUBLISHED, flow=PUBLISHED_FLOW, target=target))

    def _serve_web(self):
        os.makedirs(os.path.join(self.scratch, "www"))
        self.body = os.urandom(1 << 20)
        with open(os.path.join(self.scratch, "www", "file"), "wb") as file:
            file.write(self.body)
        config = os.path.join(self.scratch, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=self.scratch, web=WEB))
        self.net.srv.start("nginx", "-p", self.scratch, "-c", config, **QUIET)

    def _serve_ssh(self):
        for key in ("host", "client"):
            self.net.srv.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(self.scratch, key))
        config = os.path.join(self.scratch, "sshd.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(SSHD.format(dir=self.scratch, port=SSH))
        self.net.srv.start("unshare", "-m", "sh", "-c", SSHD_START, "sh", config, **QUIET)

    # loads

    def _load(self):
        net = self.net
        self.loads["churn"] = Load(self.churn)
        self.loads["ssh"] = Load(self.ssh, 1.0)
        self.loads["bulk"] = Load(self.bulk)
        for side in BOTH:
            ways = {"in": (net.cli, side.srv, ECHO, FLOW, net.srv), "out": (net.srv, side.cli, ECHO, FLOW, net.cli),
                    "translated": (net.cli, side.srv, PUBLISHED, PUBLISHED_FLOW, net.ctr)}
            if not self.forwards:
                del ways["translated"]
            for way, (namespace, address, port, flow, server) in ways.items():
                name = f"{side.name} {way}"
                self.loads[f"transfer {name}"] = Transfer(namespace, address, port, pause=0.02)
                self.loads[f"short {name}"] = ShortConnections(namespace, address, port, server, 0.05, PATIENCE)
                self.loads[f"flow {name}"] = Flow(namespace, address, flow, 0.02, PATIENCE)
            self.loads[f"fetch {side.name}"] = Load(lambda side=side: self.fetch(side), 0.5)
            self.loads[f"ping {side.name}"] = Load(lambda side=side: self.ping(side), 0.1)
            self.loads[f"dns {side.name}"] = Load(lambda side=side: self.dns(side), 0.05)
            self.loads[f"knocks {side.name}"] = knocking(net.cli, side.srv, CLOSED, 0.02)

    def churn(self):
        """HTTP, a connection a request, some thousand a second."""
        rate = self.rates[self.done["rounds of churn"] % len(self.rates)]
        program = os.path.join(ROOT, "build/bench/http_load")
        said = self.net.cli.run(program, IPV4.srv, 1, WEB, rate, CHURN_SECONDS)
        opened, answered, failed = map(int, said.stdout.split())
        self.wanted += rate * CHURN_SECONDS
        self.done.update({"rounds of churn": 1, "churned connections": opened, "of them answered": answered,
                          "of them lost": failed})

    def bulk(self):
        """One TCP stream, 100 Mbit/s, checked by its exit status."""
        def carried():
            done = self.net.cli2.run("iperf3", "-c", IPV4.srv_lan, "-p", BULK, "-b", "100M", "-t", 10, check=False)
            said = done.stdout + done.stderr
            # After each client the server closes its port and opens it again; until then it may say so, and
            # who was about to be accepted is reset.
            if any(words in said for words in ("Connection refused", "the server is busy",
                                               "unable to connect to server: Connection reset")):
                return False
            assert done.returncode == 0, said
            return True
        wait_for(carried, "iperf3's server listens", PATIENCE)

    def ssh(self):
        done = self.net.cli.run(
            "ssh", "-i", os.path.join(self.scratch, "client"), "-F", "none", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={PATIENCE}",
            "-o", "BatchMode=yes", f"root@{IPV6.srv}", "cat", input="through ssh\n", check=False)
        assert done.stdout == "through ssh\n", done.stderr

    def fetch(self, side):
        got = os.path.join(self.scratch, f"got-{side.version}")
        self.net.cli.run("curl", "-sS", "-m", PATIENCE, "-o", got, side.url(side.srv, WEB, "/file"))
        with open(got, "rb") as file:
            assert file.read() == self.body, "the file came through changed"

    def ping(self, side):
        """What an accident swallows is asked again."""
        assert any(ping(self.net.cli, side.srv, patience=2.0) for _ in range(5)), "no echo reply"

    def dns(self, side):
        question = dns_question("host.soak.test")
        with udp_socket(self.net.cli, side.srv, DNS) as sock:
            sock.settimeout(1)
            for _ in range(PATIENCE):
                sock.send(question)
                try:
                    assert sock.recv(512).endswith(bytes((192, 0, 2, 1))), "a wrong answer"
                    return
                except TimeoutError:
                    self.done["DNS questions asked again"] += 1
        raise AssertionError("no answer")

    # accidents to single connections

    def victim(self, side):
        """A connection that is going to be cut."""
        sock = connect(self.net.cli, side.srv, VICTIM, timeout=PATIENCE)
        assert echo(sock)
        return sock

    def bury(self, sock):
        """Cut on both sides, so that neither goes on asking; says whether data still came through."""
        sock.settimeout(0.3)
        try:
            alive = echo(sock)
        except OSError:
            alive = False
        self.net.cli.run("ss", "-K", "dport", "=", f":{VICTIM}")
        self.net.srv.run("ss", "-K", "sport", "=", f":{VICTIM}")
        sock.close()
        return alive

    # the end

    def stop(self):
        for load in self.loads.values():
            load.halt.set()
        for load in self.loads.values():
            load.stop()
            if hasattr(load, "sock"):
                load.sock.close()

    def faults(self):
        """[what went wrong], after `stop`."""
        wrong = [f"{name}: {load.errors[0]} and {len(load.errors) - 1} more"
                 for name, load in self.loads.items() if load.errors]
        wrong += [f"{name}: it never got on" for name, load in self.loads.items() if not load.rounds]
        wrong += [f"{name}: bytes came back changed" for name, load in self.loads.items()
                  if isinstance(load, Transfer) and not load.whole()]
        resets, short = self.resets(), self.total("short")
        if resets > 1 + short // SELDOM:
            wrong.append(f"short connections: {resets} of {short} reset while the server's socket stood")
        churned = self.done["churned connections"]
        if churned < REACHED * self.wanted:
            wrong.append(f"churn: {churned} connections of {self.wanted} that were wanted")
        passed = self.witness.behind("closed")
        if passed or not self.witness.before("closed"):
            wrong.append(f"the closed port: {passed} packets came through of {self.witness.before('closed')}")
        return wrong

    def total(self, kind):
        """Rounds of all loads of that kind."""
        return sum(load.rounds for name, load in self.loads.items() if name.startswith(kind))

    def resets(self):
        """Of short connections, by a server's kernel."""
        return sum(load.resets for load in self.loads.values() if isinstance(load, ShortConnections))

    def summary(self):
        self.done["bytes echoed"] = sum(load.bytes for load in self.loads.values() if isinstance(load, Transfer))
        self.done["resets by a kernel"] = self.resets()
        self.done["UDP answers lost"] = sum(load.lost for load in self.loads.values() if isinstance(load, Flow))
        for kind in ("short", "flow", "fetch", "ping", "dns", "ssh", "knocks"):
            self.done[kind] = self.total(kind)
        return dict(self.done)
