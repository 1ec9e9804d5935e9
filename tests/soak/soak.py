#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""soak.py [--seconds N] [--seed N] [--at-home]: mixed real traffic (traffic.py) while the daemon is reloaded,
told to kill connections, restarted and killed, for N seconds; then all comes to rest. At home the host
forwards nothing. What must be true of it is in accounts.py. Prints what was done and `soak: clean`, or what
was wrong and exits with 1.

With the debug build (SALLYPORT_BUILD=build/debug) every life of the daemon that ends well has been through
LeakSanitizer; its resident memory says nothing then, and is not looked at."""

import argparse
import bisect
import os
import random
import re
import shutil
import sys
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "e2e"), HERE]

from accounts import (Ledger, descriptors, resident, slab, slab_growth, strange_leases,  # noqa: E402
                      table_is_reality, unseen_ends, with_sockets)
from clients import OPEN, outcome  # noqa: E402
from daemon import BUILD, SANITIZER, Daemon  # noqa: E402
from net import BOTH, IPV4, Network, Timeout, interrupt_on_signals, scratch_directory, sweep, wait_for  # noqa: E402
from traffic import CHURN, RULES, VICTIM, VICTIMS, WEB, Traffic  # noqa: E402

DEBUG = BUILD.endswith("debug")
# One of each is drawn until the deck is through; then it is shuffled anew.
DECK = ["reload"] * 6 + ["kill"] * 3 + ["forbid"] * 2 + ["look"] * 4 + ["restart"] * 2 + ["crash"]
SETTLING = 3  # rounds of churn at the end, between which memory must not grow
LOST = 5  # connections a death of the daemon: in the middle of their handshake, their packets in its queue
GROWTH = 2 << 20  # bytes of the daemon
SLAB_GROWTH = 64 << 20  # bytes of the whole machine, which others use too


class Soak:
    def __init__(self, net, traffic, daemon, seed):
        self.net, self.traffic, self.daemon = net, traffic, daemon
        self.ledger, self.done, self.wrong = Ledger(), Counter(), []
        self.random = random.Random(seed)
        self.deck, self.trail = [], []
        self.ledger.born()

    def accidents(self, problem):
        """Those around when it happened, where `problem` begins with that, or the last."""
        when = re.search(r"\d\d:\d\d:\d\d", problem)
        at = bisect.bisect(self.trail, when[0] + "~") if when else len(self.trail)
        return ", ".join(self.trail[max(at - 8, 0):at + 2])

    def check(self, what, problem):
        if problem:
            self.wrong.append(f"{what}: {problem}")
            print(f"{time.strftime('%T')} {what}: {problem}\n     accidents {self.accidents(problem)}", flush=True)

    # the accidents

    def reload(self):
        more = "".join(f"allow in tcp {self.random.randrange(20000, 60000)}\n" for _ in range(self.random.randrange(40)))
        self.daemon.reload(RULES + more + VICTIMS)

    def kill(self):
        sock = self.traffic.victim(self.random.choice(BOTH))
        # Its port alone might be that of another connection of the client too.
        self.daemon.sallyport("kill", "local-port", str(VICTIM), "remote-port", str(sock.getsockname()[1]))
        self.cut(sock, "a killed connection")

    def forbid(self):
        sock = self.traffic.victim(self.random.choice(BOTH))
        self.daemon.reload(RULES)
        self.cut(sock, "a connection that new rules forbid")
        self.daemon.reload(RULES + VICTIMS)

    def cut(self, sock, what):
        self.ledger.cuts += 1
        self.check(what, "goes on" if self.traffic.bury(sock) else "")

    def look(self):
        self.check("the table", table_is_reality(self.daemon, self.net))

    def restart(self):
        self.ledger.look(self.daemon)
        self.daemon.stop_for_restart()
        self.daemon.start()
        self.ledger.born()

    def crash(self):
        """The guard judges for a while."""
        self.ledger.look(self.daemon)
        self.ledger.deaths += 1
        self.daemon.kill()
        self.check("without the daemon an open port", "" if outcome(self.net.cli, IPV4.srv, WEB, patience=4) == OPEN
                   else "does not answer")
        self.daemon.start()
        self.ledger.born()

    def draw(self):
        if not self.deck:
            self.deck = DECK[:]
            self.random.shuffle(self.deck)
        accident = self.deck.pop()
        self.trail.append(f"{time.strftime('%T')} {accident}")
        return accident

    def go(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            accident = self.draw()
            if not self.daemon.running:
                raise AssertionError(f"the daemon ended by itself with {self.daemon.process.returncode}")
            getattr(self, accident)()
            self.done[accident] += 1
            self.ledger.look(self.daemon)
            time.sleep(self.random.uniform(0.2, 1.0))
        self.check("accidents", "not one of each" if seconds >= 60 and set(self.done) != set(DECK) else "")

    # the end

    def empty(self):
        """Everything has run out."""
        def emptied():
            self.left = self.daemon.connections("tcp")
            return len(self.left) <= unseen_ends(self.daemon, "listed")
        try:
            wait_for(emptied, "an empty table", 40, 0.2)
        except Timeout:
            self.check("what never runs out", ", ".join(with_sockets(self.left[:2], self.net)))

    def figures(self):
        return resident(self.daemon), descriptors(self.daemon)

    def settle(self):
        """The same work again and again costs no memory and no descriptor."""
        self.check("the table at rest", table_is_reality(self.daemon, self.net))
        figures = []
        for _ in range(SETTLING):
            self.traffic.churn()
            self.reload()
            self.empty()
            figures.append(self.figures())
        self.check("leases without a connection", ", ".join(strange_leases(self.daemon, self.net.srv)[:3]))
        (before, files), (after, files_after) = figures[0], figures[-1]
        self.check("descriptors", f"{files}, later {files_after}" if files_after > files else "")
        if not DEBUG:
            self.check("memory", f"{before / 1e6:.1f} MB, later {after / 1e6:.1f} MB"
                       if after - before > GROWTH else "")
        self.done["resident"] = f"{before / 1e6:.1f} MB, after more of the same {after / 1e6:.1f} MB"

    def finish(self):
        self.ledger.look(self.daemon)
        status = self.daemon.stop()
        self.check("the daemon's exit status", status or "")
        log = self.daemon.log()
        self.check("sanitizer", log[SANITIZER.search(log).start():][:600] if SANITIZER.search(log) else "")
        bad = [line for line in log.splitlines() if "cannot" in line or "did not take" in line or "damaged" in line]
        self.check("the daemon's log", "; ".join(bad[:3]))
        for fault in self.ledger.unexplained():
            self.check("unexplained drops", fault)
        lost = self.traffic.done["of them lost"]
        self.check("churn", f"{lost} connections lost, {self.ledger.deaths} deaths" * (lost > LOST * self.ledger.deaths))
        for fault in self.traffic.faults():
            self.check("traffic", fault)

    def report(self):
        allowed = {name: count for name, count in self.ledger.allowed().items() if count != float("inf")}
        for title, figures in (("done", self.done), ("traffic", self.traffic.summary()),
                               ("refused", self.ledger.refused()), ("of which could be explained", allowed)):
            print(f"{title}: " + ", ".join(f"{name} {count}" for name, count in figures.items()))


def soak(seconds, seed, forwards):
    """[what was wrong]"""
    slab_before = slab()
    scratch = scratch_directory("soak")
    try:
        with Network() as net:
            net.forward(forwards)
            daemon = Daemon(net.srv, RULES + VICTIMS, directory=os.path.join(scratch, "daemon"))
            daemon.start()
            rates = [rate // 5 for rate in CHURN] if DEBUG else CHURN
            with Traffic(net, scratch, rates, forwards) as traffic:
                this = Soak(net, traffic, daemon, seed)
                this.go(seconds)
                traffic.stop()
                this.settle()
                this.finish()
            this.report()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    growth = slab_growth(slab_before, SLAB_GROWTH // 8)
    print(f"slab: {growth / 1e6:+.1f} MB")
    this.check("kernel memory", f"{growth / 1e6:.0f} MB more than before" if growth > SLAB_GROWTH else "")
    return this.wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--at-home", action="store_true")
    options = parser.parse_args()
    interrupt_on_signals()
    sweep()
    print(f"soak: {options.seconds} s, seed {options.seed}, {BUILD}{', at home' * options.at_home}", flush=True)
    wrong = soak(options.seconds, options.seed, not options.at_home)
    for fault in wrong:
        print(f"soak: WRONG: {fault}")
    print("soak: clean" if not wrong else f"soak: {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
