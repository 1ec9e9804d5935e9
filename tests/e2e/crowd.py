# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that goes on at a busy host at once, in both directions, to see what an accident of
the firewall does to it; and what the host itself says is open, to compare `list` with."""

import time
from contextlib import ExitStack

from clients import Servers, connect, echo, udp_socket
from leases import Key
from load import Load, ShortConnections, Transfer, knocking
from net import Timeout, wait_for
from witness import Witness

SHORT, STEADY, FLOW, CLOSED = 80, 9000, 53, 6666
RULES = f"""default in drop
default out drop
allow in tcp {SHORT},{STEADY}
allow in udp {FLOW}
allow out tcp {SHORT},{STEADY}
allow out udp {FLOW}
"""


def plain(address):
    """IPv4 as such, and not as the socket of both families writes it."""
    return address.strip("[]").removeprefix("::ffff:")


def sockets(namespace, *states):
    """{Key} of the namespace's TCP sockets in these states, as `ss` tells."""
    lines = namespace.run("ss", "-Htn", "state", *(states or ("connected",))).stdout.splitlines()
    found = set()
    for line in lines:
        ends = [word.rpartition(":") for word in line.split() if word.rpartition(":")[2].isdigit()][-2:]
        (local, _, local_port), (remote, _, remote_port) = ends
        found.add(Key(plain(local), int(local_port), plain(remote), int(remote_port)))
    return found


def listed(daemon):
    """{Key} of the TCP connections that `sallyport list` calls established."""
    return {Key(row["local"], row["local_port"], row["remote"], row["remote_port"])
            for row in daemon.json("list", "tcp", "state", "established")}


def wait_list_is_right(daemon, namespace, seconds=1.0):
    """What is open is listed, what is not is not. Connections come and go while one looks: wrong is
    what was wrong at every look of this time."""
    deadline = time.monotonic() + seconds
    missing = stale = None
    while True:
        before, everything = sockets(namespace, "established"), sockets(namespace)
        rows = listed(daemon)
        after = sockets(namespace, "established")
        now_missing, now_stale = (before & after) - rows, rows - everything - sockets(namespace)
        missing = now_missing if missing is None else missing & now_missing
        stale = now_stale if stale is None else stale & now_stale
        if not missing and not stale:
            return
        assert time.monotonic() < deadline, \
            f"after {seconds} s open but not listed: {missing}; listed but not open: {stale}"


class Flow(Load):
    """One UDP flow: a question, its answer, the next. Lost datagrams are counted; a flow that is
    silent for longer than `patience` is cut."""

    def __init__(self, namespace, address, port, pause=0.005, patience=2.0):
        self.sock = udp_socket(namespace, address, port)
        self.sock.settimeout(0.2)
        self.lost, self.patience = 0, patience
        self.heard = time.monotonic()
        super().__init__(self.ask, pause)

    def ask(self):
        stamp = time.monotonic_ns().to_bytes(8, "big")
        self.sock.send(stamp)
        try:
            while self.sock.recv(100) != stamp:
                pass  # the answer to an earlier question, late
        except TimeoutError:
            self.lost += 1
            if time.monotonic() - self.heard > self.patience:
                self.halt.set()
                raise TimeoutError("the flow was cut") from None
            return
        self.heard = time.monotonic()


class Crowd:
    """`with Crowd(net, side) as crowd:` under a daemon with RULES. At the end nothing may have been
    cut, and nothing closed may have been open."""

    IDLE = 10

    def __init__(self, net, side):
        self.net, self.side = net, side
        self.stack = ExitStack()

    def __enter__(self):
        net, side, enter = self.net, self.side, self.stack.enter_context
        with self.stack:
            self.witness = Witness(net.srv, closed=f"meta l4proto {{ tcp, udp }} th dport {CLOSED}")
            self.stack.callback(self.witness.remove)
            self.servers = [Servers(namespace) for namespace in (net.srv, net.cli)]
            for servers in self.servers:
                self.stack.callback(servers.close)
                servers.tcp(SHORT, STEADY, CLOSED).udp(FLOW, CLOSED)
            self.ways = ((net.cli, side.srv), (net.srv, side.cli))
            self.idle = [enter(connect(*way, STEADY)) for way in self.ways for _ in range(self.IDLE)]
            self.transfers = [enter(Transfer(*way, STEADY, pause=0.004)) for _ in range(2)
                              for way in self.ways]
            self.short = [enter(ShortConnections(*way, SHORT, server, timeout=20))
                          for way, server in zip(self.ways, (net.srv, net.cli))]
            self.flows = [enter(Flow(*way, FLOW)) for way in self.ways]
            self.knocks = enter(knocking(net.cli, side.srv, CLOSED))
            self.stack = self.stack.pop_all()
        return self

    @property
    def loads(self):
        """{what: load}"""
        named = {"knocks": self.knocks}
        for number, way in enumerate(("in", "out")):
            named[f"short connections {way}"] = self.short[number]
            named[f"UDP flow {way}"] = self.flows[number]
            named[f"transfer {way}"], named[f"other transfer {way}"] = self.transfers[number::2]
        return named

    def wait_rounds(self, count=2, timeout=10, but=()):
        """Until everybody has got on."""
        targets = {name: load.rounds + count for name, load in self.loads.items() if name not in but}

        def behind():
            return [name for name, target in targets.items() if self.loads[name].rounds < target]
        try:
            wait_for(lambda: not behind(), "", timeout)
        except Timeout:
            errors = {name: load.errors for name, load in self.loads.items() if load.errors}
            raise Timeout(f"{behind()} do not get on in {timeout} s; errors: {errors}") from None

    def check_idle(self):
        for sock in self.idle:
            assert echo(sock), "an idle connection was cut"

    def check_nothing_closed_was_open(self):
        assert self.witness.behind("closed") == 0
        assert not self.servers[0].accepted[CLOSED] and not self.servers[0].datagrams[CLOSED]

    def check(self):
        self.check_idle()
        for load in self.loads.values():
            load.stop()
        for name, load in self.loads.items():
            assert load.errors == [] and load.rounds > 0, f"{name}: {load.rounds} rounds, {load.errors}"
        for transfer in self.transfers:
            assert transfer.whole()
        assert self.witness.before("closed") > 0
        self.check_nothing_closed_was_open()

    def __exit__(self, kind, *_):
        with self.stack:
            for load in self.loads.values():
                load.halt.set()
            if kind is None:
                self.check()
