# SPDX-License-Identifier: GPL-2.0-or-later
"""What many rules cost: connections a second with 32 in parallel, and how long a reload takes.

All rules but the last two are about the measured port and match nobody, so that each new connection
has to get past all of them. A reload replaces the file by one with a rule more, while a load of
connections goes on: what the two hosts had to send again is what the reload lost.
"""

import subprocess
import time

from network import ADDRESSES, HTTP, end
from systems import Failed
from work import Figure, Scene, Work
from work_flow import program
from work_http import wrk

COUNTS = (10, 1000, 10000, 100000)
UFW_COUNTS = (10, 1000, 10000)
LOAD, RELOADS = 1000, 3


def measure(net, system, plan):
    yield f"rules-{system.rules}", wrk(net, 32, plan.seconds)
    if system.name == "sallyport":
        yield from measure_reload(net, system)


def sent_again(net):
    return sum(net.count("Tcp", "RetransSegs", host) for host in (net.srv, net.cli))


def measure_reload(net, system):
    before, took = sent_again(net), []
    load = net.cli.start(program("http_load"), ADDRESSES[1], len(ADDRESSES) - 1, HTTP, LOAD, 600,
                         stdout=subprocess.PIPE, text=True)
    for number in range(RELOADS):
        system.daemon.write("sallyport.rules", system.text(f"allow in tcp {30000 + number}\n"))
        start = time.monotonic()
        system.daemon.sallyport("reload", timeout=120)
        took.append(time.monotonic() - start)
    opened, answered, failed = map(int, end(load).split())
    if not answered:
        raise Failed(f"no connection of {opened} was answered")
    yield f"reload-{system.rules}", sorted(took)[RELOADS // 2] * 1000
    yield f"reload-{system.rules}-lost", sent_again(net) - before + failed


def figures():
    for count in COUNTS:
        yield Figure(f"rules-{count}", "connections/s", baseline=None if count == COUNTS[0] else f"rules-{COUNTS[0]}")
    for count in COUNTS:
        yield Figure(f"reload-{count}", "ms", fewer_is_better=True)
    for count in COUNTS:
        yield Figure(f"reload-{count}-lost", "packets in 3 reloads", fewer_is_better=True)


WORKS = (Work("rules", tuple(figures()),
              tuple(Scene("sallyport", count) for count in COUNTS) + tuple(Scene("ufw", count) for count in UFW_COUNTS),
              measure),)
