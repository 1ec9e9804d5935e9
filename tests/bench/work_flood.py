# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods of SYNs from 32,768 addresses: to a closed port, and to an open one that a client uses meanwhile.

The flood on the open port is taken in by the CPU that sends it, so a system that is slow to take it in
gets less of it: the rate that was reached is a figure of its own.
"""

import os
import subprocess
import time

from network import HTTP, SERVER, SERVER_MAC, UNUSED
from systems import Failed
from work import Figure, Work, scenes
from work_flow import program
from work_http import wrk

RATE = 300000


def flood(net, port, rate, seconds):
    return net.cli.start(program("syn_flood"), "eth0", SERVER_MAC, SERVER, port, rate, seconds,
                         stdout=subprocess.PIPE, text=True)


def outcome(process):
    """What a generator says: packets, and seconds."""
    sent, seconds = process.communicate(timeout=90)[0].split()
    return int(sent), float(seconds)


def measure_closed(net, system, plan):
    """Disposed of: answered with RST where the port is merely not in use; else taken in by IP and gone.
    One CPU does nothing but this, and what the generator needs of it is little. A second is a second of
    the generator's CPU time, within which all of it happens: so others on that CPU do not count."""
    def disposed():
        if not system.closes_ports:
            return net.count("Tcp", "OutRsts")
        return net.count("Ip", "InReceives") - net.count("Ip", "InDelivers")
    before = disposed()
    attack = net.srv.start(program("syn_inject"), "eth0", SERVER_MAC, SERVER, UNUSED, plan.seconds,
                           stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(attack.pid, {max(os.sched_getaffinity(0))})
    sent, cpu_seconds = outcome(attack)
    count = disposed() - before
    if not 0.99 * sent < count < 1.01 * sent:
        raise Failed(f"{count} of {sent} SYNs disposed of")
    yield "flood-closed", count / cpu_seconds


def measure_open(net, system, plan):
    """A client's goodput beside the flood. That its connections time out is a result, not a failure."""
    memory = getattr(system, "memory", None)
    seconds = plan.seconds if plan.quick else 2 * plan.seconds  # a lost SYN alone takes a second
    for kind in ("new", "kept"):
        before = memory() if memory else 0
        attack = flood(net, HTTP, RATE, seconds + 0.7)
        time.sleep(0.5)  # the client comes into a flood that is under way
        goodput = wrk(net, 32, seconds, close=kind == "new", under_attack=True)
        sent, took = outcome(attack)
        yield f"flood-open-{kind}", goodput
        yield f"flood-open-{kind}-rate", sent / took
        if memory:
            yield f"flood-open-{kind}-memory", (memory() - before) / 1e6


WORKS = (
    Work("flood-closed", (Figure("flood-closed", "packets/s"),),
         scenes("none", "conntrack", "ufw", "sallyport"), measure_closed),
    Work("flood-open",
         tuple(figure for kind in ("new", "kept") for figure in (
             Figure(f"flood-open-{kind}", "requests/s"), Figure(f"flood-open-{kind}-rate", "SYN/s sent"),
             Figure(f"flood-open-{kind}-memory", "MB more in the daemon", fewer_is_better=True))),
         scenes("none", "conntrack", "conntrack-limit", "sallyport"), measure_open),
)
