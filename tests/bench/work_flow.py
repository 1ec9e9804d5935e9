# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows that stand: one bulk TCP stream, and small datagrams of 64 flows."""

import json
import os
import subprocess

from daemon import BUILD
from network import IPERF, SERVER, SINK, end
from systems import Failed
from work import Figure, Work
from work_http import EVERYBODY


def program(name):
    return os.path.join(BUILD, "bench", name)


def measure_bulk(net, _, plan):
    net.serve_iperf()
    said = json.loads(net.cli.run("iperf3", "-c", SERVER, "-p", IPERF, "-t", plan.seconds, "--json",
                                  timeout=plan.seconds + 30).stdout)
    yield "bulk", said["end"]["sum_received"]["bits_per_second"] / 1e9


def measure_datagrams(net, _, plan):
    sink = net.srv.start(program("udp_sink"), SERVER, SINK, stdout=subprocess.PIPE, text=True)
    if sink.stdout.readline() != "ready\n":
        raise Failed("the sink does not start")
    sent = int(net.cli.run(program("udp_blast"), SERVER, SINK, 64, plan.seconds).stdout)
    received = int(end(sink))
    if not 0 < received <= sent:
        raise Failed(f"{received} of {sent} datagrams received")
    yield "datagrams", received / plan.seconds


WORKS = (
    Work("bulk", (Figure("bulk", "Gbit/s"),), EVERYBODY, measure_bulk),
    Work("datagrams", (Figure("datagrams", "packets/s"),), EVERYBODY, measure_datagrams),
)
