# SPDX-License-Identifier: GPL-2.0-or-later
"""Time from a SYN to its SYN/ACK, as connect() takes it: on an idle machine, and at half load.

Half load is half of the connections a second that sallyport makes with 32 in parallel at the
beginning of the run. It is the same for all systems, so that what differs is the system. `added`:
minus the same figure without a firewall in the same round.
"""

import subprocess

from network import ADDRESSES, HTTP, SERVER, end
from systems import Failed
from work import Figure, Scene, Work, scenes
from work_flow import program
from work_http import wrk

QUANTILES = ("p50", "p99", "p99.9")
PAUSE_US = 300


class Latency:
    half = 0

    def prepare(self, stage, plan):
        with stage(Scene("sallyport")) as (net, _):
            self.half = round(wrk(net, 32, plan.seconds) / 2)

    def measure(self, net, _, plan):
        yield from sample(net, plan.seconds, "idle")
        load = net.cli.start(program("http_load"), ADDRESSES[1], len(ADDRESSES) - 1, HTTP, self.half, 600,
                             stdout=subprocess.PIPE, text=True)
        yield from sample(net, plan.seconds, "half")
        opened, answered, failed = map(int, end(load).split())
        if failed or answered < 0.9 * self.half * plan.seconds:
            raise Failed(f"the load was not half: {opened} opened, {answered} answered, {failed} failed")
        yield "syn-half-load", answered / plan.seconds


def sample(net, seconds, load):
    said = net.cli.run(program("syn_latency"), SERVER, HTTP, PAUSE_US, seconds, timeout=seconds + 30).stdout
    for quantile, value in zip(QUANTILES, map(float, said.split()[1:])):
        yield f"syn-{load}-{quantile}", value
        yield f"syn-{load}-{quantile}-added", value


def figures():
    for load in ("idle", "half"):
        for quantile in QUANTILES:
            yield Figure(f"syn-{load}-{quantile}", "us", fewer_is_better=True)
            yield Figure(f"syn-{load}-{quantile}-added", "us", fewer_is_better=True, minus_none=True)
    yield Figure("syn-half-load", "connections/s")


LATENCY = Latency()
WORKS = (Work("latency", tuple(figures()), scenes("none", "conntrack", "ufw", "sallyport"),
              LATENCY.measure, prepare=LATENCY.prepare),)
