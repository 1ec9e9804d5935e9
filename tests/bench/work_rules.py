# SPDX-License-Identifier: GPL-2.0-or-later
"""What many rules cost: connections a second with 32 in parallel, and how long a reload takes.

All rules but the last two are about the measured port and match nobody, so that each new connection
has to get past all of them. A reload replaces the file by one with a rule more, while a load of
connections goes on, of which no packet may be lost.
"""

import statistics
import subprocess
import time

from network import ADDRESSES, HTTP, at_rest, end
from systems import Failed
from work import Figure, Scene, Work
from work_flow import program
from work_http import wrk

COUNTS = (10, 1000, 10000, 100000)
UFW_COUNTS = (10, 1000, 10000)
LOAD, RELOADS = 1000, 3


def measure(net, system, plan):
    yield f"rules-{system.scene.rules}", wrk(net, 32, plan.seconds)
    if system.name == "sallyport":
        yield from measure_reload(net, system, 1 if plan.quick else RELOADS)


def lost(net):
    """How many packets one host has sent and the other's protocols never got. (What TCP sends again is no
    measure: it does so for a delay as well.)"""
    def under_way_or_lost():
        return (net.count("Ip", "OutRequests", net.cli) - net.count("Ip", "InDelivers", net.srv)
                + net.count("Ip", "OutRequests", net.srv) - net.count("Ip", "InDelivers", net.cli))
    return at_rest(under_way_or_lost)


def measure_reload(net, system, reloads):
    before, took = lost(net), []
    load = net.cli.start(program("http_load"), ADDRESSES[1], len(ADDRESSES) - 1, HTTP, LOAD, 600,
                         stdout=subprocess.PIPE, text=True)
    for number in range(reloads):
        system.daemon.write("sallyport.rules", system.text(f"allow in tcp {30000 + number}\n"))
        start = time.monotonic()
        system.daemon.sallyport("reload", timeout=120)
        took.append(time.monotonic() - start)
    opened, answered, failed = map(int, end(load).split())
    if not answered or failed:
        raise Failed(f"of {opened} connections {failed} failed")
    yield f"reload-{system.scene.rules}", statistics.median(took) * 1000
    yield f"reload-{system.scene.rules}-lost", lost(net) - before


def figures():
    for count in COUNTS:
        yield Figure(f"rules-{count}", "connections/s", baseline=None if count == COUNTS[0] else f"rules-{COUNTS[0]}")
    for count in COUNTS:
        yield Figure(f"reload-{count}", "ms", fewer_is_better=True)
    for count in COUNTS:
        yield Figure(f"reload-{count}-lost", "packets", fewer_is_better=True)


WORKS = (Work("rules", tuple(figures()),
              tuple(Scene("sallyport", count, slow=count > 10000) for count in COUNTS)
              + tuple(Scene("ufw", count) for count in UFW_COUNTS),
              measure),)
