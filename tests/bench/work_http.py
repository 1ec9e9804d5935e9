# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP by wrk and nginx: a connection a request, and kept alive."""

import os
import re

from network import ADDRESSES, SERVER, busy_seconds
from systems import Failed
from work import Figure, Work, scenes

PARALLEL = (1, 32, 256)

# Each of wrk's threads talks to a server address of its own.
SPREAD = """
local addresses, threads = {%s}, 0
function setup(thread)
  threads = threads + 1
  thread.addr = wrk.lookup(addresses[threads], "80")[1]
end
"""


def wrk(net, parallel, seconds, close=True, under_attack=False):
    """Requests a second. Errors make it no figure, unless they are what an attack is expected to bring."""
    script = os.path.join(net.scratch, "spread.lua")
    with open(script, "w", encoding="ascii") as file:
        file.write(SPREAD % ", ".join(f'"{address}"' for address in ADDRESSES))
    header = ["-H", "Connection: close"] if close else []
    said = net.cli.run("wrk", f"-t{min(parallel, 2)}", f"-c{parallel}", f"-d{seconds}s", "-s", script, *header,
                       f"http://{SERVER}/", timeout=seconds + 30).stdout
    return rate_of(said, under_attack)


def rate_of(said, under_attack=False):
    errors = re.search(r"Socket errors: (.*)|Non-2xx.*", said)
    if errors and not under_attack:
        raise Failed(f"wrk: {errors[0]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if not rate or not float(rate[1]) and not under_attack:
        raise Failed("no request was answered")
    return float(rate[1])


def measure_connections(net, _, plan):
    for parallel in PARALLEL:
        used = busy_seconds()
        rate = wrk(net, parallel, plan.seconds)
        used = busy_seconds() - used
        yield f"connections-{parallel}", rate
        if parallel == 32:
            yield "cpu-per-1000", used / (rate * plan.seconds) * 1000


def measure_alive(net, _, plan):
    yield "kept-alive", wrk(net, 32, plan.seconds, close=False)


EVERYBODY = scenes("none", "conntrack", "ufw", "queue", "sallyport")

WORKS = (
    Work("connections",
         tuple(Figure(f"connections-{parallel}", "connections/s") for parallel in PARALLEL)
         + (Figure("cpu-per-1000", "CPU s/1000 connections", fewer_is_better=True),),
         EVERYBODY, measure_connections),
    Work("kept-alive", (Figure("kept-alive", "requests/s"),), EVERYBODY, measure_alive),
)
