# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be true whatever happened: the table is what the sockets are, each drop has a cause, and
memory is given back."""

import os
import re
import time
from collections import Counter

from crowd import plain, sockets
from leases import Key, leases
from traffic import PUBLISHED, VICTIM

LOOK = 10.0  # seconds in which the table and reality must agree once
UNSEEN_LEASE = 30  # seconds that the kernel of a host that forwards grants by itself
EXCUSED = 100  # rows that may be stale for copies that were lost, however many those are


# ---- the table against the sockets ----

def rows_and_forwarded(daemon):
    """What `list` calls established: of the host itself, and by the client of a published port."""
    own, forwarded = set(), set()
    for row in daemon.json("list", "tcp", "state", "established"):
        if row["local_port"] == PUBLISHED:
            forwarded.add((row["remote"], row["remote_port"]))
        else:
            own.add(Key(row["local"], row["local_port"], row["remote"], row["remote_port"]))
    return own, forwarded


def of_container(net, *states):
    return {(plain(key.remote), key.remote_port) for key in sockets(net.ctr, *states) if key.local_port == 80}


def differences(daemon, net):
    """{what: keys}. Connections come and go between two looks: what is missing was open before and
    after, what is stale was gone in every state."""
    open_before, any_before = sockets(net.srv, "established"), sockets(net.srv)
    inner_before, inner_any = of_container(net, "established"), of_container(net)
    own, forwarded = rows_and_forwarded(daemon)
    open_after, any_after = sockets(net.srv, "established"), sockets(net.srv)
    inner_after, inner_any_after = of_container(net, "established"), of_container(net)
    return {
        "open, not listed": {key for key in (open_before & open_after) - own if key.local_port != VICTIM},
        "listed, not open": own - any_before - any_after,
        "open behind translation, not listed": (inner_before & inner_after) - forwarded,
        "listed, not open behind translation": forwarded - inner_any - inner_any_after,
    }


def unseen_ends(daemon, what):
    """The end of a connection on a lease is known from its copies alone, and each that was lost may have
    been one."""
    return min(daemon.stats()["leases"]["copies_lost"], EXCUSED) if what.startswith("listed") else 0


def table_is_reality(daemon, net):
    """"" or what stayed wrong at every look."""
    deadline, lasting = time.monotonic() + LOOK, None
    while True:
        now = differences(daemon, net)
        lasting = now if lasting is None else {what: lasting[what] & keys for what, keys in now.items()}
        if not any(keys for what, keys in lasting.items() if len(keys) > unseen_ends(daemon, what)):
            return ""
        if time.monotonic() > deadline:
            return f"copies {daemon.stats()['leases']}; " + "; ".join(f"{what}: {len(keys)}, as {sorted(map(str, keys))[:3]}"
                             for what, keys in lasting.items() if keys)
        time.sleep(0.2)


def with_sockets(rows, net):
    """As text, with what the two hosts know of each."""
    ends = {"srv": (net.srv, "dport"), "cli": (net.cli, "sport")}
    for row in rows:
        known = {name: " ".join(host.run("ss", "-Htan", end, "=", f":{row['remote_port']}").stdout.split())
                 for name, (host, end) in ends.items()}
        yield f"{row}, sockets {known}"


def strange_leases(daemon, namespace):
    """Leases that no listed connection stands behind, at rest. The busy kernel by itself gives the last ACK
    of a connection one too, which nothing renews."""
    rows = {Key(row["local"], row["local_port"], row["remote"], row["remote_port"], row["proto"])
            for row in daemon.json("list")}
    return [f"{key} for {left} s" for key, left in leases(namespace).items()
            if key not in rows and not (key.protocol == "tcp" and left <= UNSEEN_LEASE)]


# ---- drops ----

# Each count of the daemon that says "refused", and what may bring it about here. `cuts` are connections
# that were killed or forbidden, `deaths` ends of the daemon without a word: per one of them so many.
CAUSES = {
    "drop.rule": "the closed port's rule",
    "drop.cut": "cuts",
    "drop.no-connection": "cuts or deaths",
}
PER_CUT, PER_DEATH = 50, 2000


class Ledger:
    """Counts over all lives of the daemon; of one that is killed those up to the last look."""

    def __init__(self):
        self.lives = []
        self.cuts = self.deaths = self.restarts = self.reloads = self.looks = 0

    def born(self):
        self.lives.append({})

    def look(self, daemon):
        self.lives[-1] = daemon.stats()

    def total(self, group):
        sums = Counter()
        for life in self.lives:
            sums.update(life.get(group, {}))
        return sums

    def refused(self):
        return {name: count for name, count in self.total("reasons").items()
                if count and name.startswith(("drop.", "reject."))}

    def allowed(self):
        return {"drop.rule": float("inf"), "drop.cut": self.cuts * PER_CUT,
                "drop.no-connection": self.cuts * PER_CUT + self.deaths * PER_DEATH}

    def unexplained(self):
        kernel, wrong = self.total("kernel"), []
        allowed = self.allowed()
        for name, count in self.refused().items():
            if count > allowed.get(name, 0):
                cause = CAUSES.get(name, "nothing that was done here")
                wrong.append(f"{name}: {count} packets, explained by {cause}: {allowed.get(name, 0)}")
        wrong += [f"{name}: {kernel[name]} packets fell to the kernel's rules"
                  for name in ("default_in", "default_out", "bogus_flags") if kernel[name]]
        return wrong


# ---- memory ----

def resident(daemon):
    """Bytes of the daemon that are in memory and nobody else's."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+) kB", file.read())[1]) * 1024


def descriptors(daemon):
    """How many are open when nobody asks anything: the last question's may still be closing."""
    def count():
        time.sleep(0.05)
        return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    return min(count() for _ in range(6))


def slab_growth(before, enough):
    """What is more than before; a network that was removed is given back little by little."""
    deadline = time.monotonic() + LOOK
    while slab() - before > enough and time.monotonic() < deadline:
        time.sleep(0.2)
    return slab() - before


def slab():
    """Bytes that the kernel cannot give back by itself."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"SUnreclaim:\s+(\d+) kB", file.read())[1]) * 1024
