#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: sallyport and its peers in turn, round by round, on a scratch network.

    sudo tests/bench/bench.py [--rounds N] [--seconds N] [--work "NAME ..."] [--systems "NAME ..."] [--quick]

Systems: none (no firewall), conntrack (nftables by hand), conntrack-limit (with a limit on new
connections), ufw (its own ruleset), queue (every packet to a process that accepts it), sallyport
(the daemon in `build`, or where SALLYPORT_BUILD says). Each measurement has a network of its own and a
machine that has come to rest, as far as it does; before and after it the system is asked whether it
is in force. What is not, or meets errors, is reported as failed and is no figure.

Written after each round, so that a run that is interrupted leaves what it has:

build/bench.json: a list of {"name", "value", "unit", "peer", "ratio", "min", "max", "rounds"}. `name` is
    FIGURE/SYSTEM; `value`, `min` and `max` are the median, the smallest and the largest of `rounds` rounds;
    `ratio` is the median over the rounds of this system's value to that of `peer` in the same round: a
    system, or FIGURE/SYSTEM where a figure is compared with another one. So there is an object for each
    peer: every system is compared with none, and sallyport with all; null where there is nothing to
    compare. With figures of time and memory, less is better.
build/bench/WORK.svg: a plot: a bar a system, a dot a round.

On a machine that does other things as well, ratios hold better than figures.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import report
import systems
import work_flood
import work_flow
import work_http
import work_latency
import work_memory
import work_rules
from daemon import BUILD
from net import interrupt_on_signals, scratch_directory, sweep
from network import BenchNetwork, settle
from results import Results
from systems import Failed
from work import Plan

WORKS = (work_http.WORKS + work_flow.WORKS + work_flood.WORKS + work_latency.WORKS
         + work_rules.WORKS + work_memory.WORKS)
FULL = Plan(rounds=10, seconds=3, patience=2, quick=False)
QUICK = Plan(rounds=1, seconds=1, patience=0, quick=True)
FAILURES = (Failed, AssertionError, OSError, ValueError, subprocess.SubprocessError)


class Bench:
    def __init__(self, works, names, plan, say):
        self.works, self.names, self.plan, self.say = works, names, plan, say
        self.results = Results(works)
        self.busy = []

    @contextmanager
    def stage(self, scene):
        """A system in force on a network of its own."""
        scratch = scratch_directory("bench")
        try:
            with BenchNetwork(scratch) as net:
                system = systems.ALL[scene.system](net, scene)
                system.start()
                system.check()
                self.busy.append(settle(self.plan.patience))
                yield net, system
                system.check()
                system.stop()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def measure(self, work, scene, number):
        start = time.monotonic()
        try:
            with self.stage(scene) as (net, system):
                values = list(work.measure(net, system, self.plan))
        except FAILURES as error:
            why = " ".join(str(error).split())[-300:]
            self.results.fail(work.name, scene.system, number, why)
            self.say(f"FAILED: {why}")
            return
        for figure, value in values:
            self.results.add(figure, scene.system, number, value)
        self.say(", ".join(f"{figure} {report.number(value)}" for figure, value in values)
                 + f" ({time.monotonic() - start:.1f} s)")

    def round(self, number):
        for work in self.works:
            if number >= work.rounds:
                continue
            scenes = [scene for scene in work.scenes
                      if scene.system in self.names and not (scene.slow and self.plan.quick)]
            turn = number % max(1, len(scenes))
            for scene in scenes[turn:] + scenes[:turn]:
                self.say(f"round {number + 1} {work.name} {scene.system}"
                         + (f" with {scene.rules} rules: " if scene.rules else ": "), end="")
                self.measure(work, scene, number)

    def prepare(self):
        for work in [work for work in self.works if work.prepare]:
            try:
                work.prepare(self.stage, self.plan)
            except FAILURES as error:
                raise SystemExit(f"bench: {work.name} cannot be prepared: {error}") from None

    def run(self):
        self.prepare()
        for number in range(self.plan.rounds):
            self.round(number)
            report.write(self.results, BUILD)


def arguments():
    parser = argparse.ArgumentParser(description="measures sallyport against its peers")
    parser.add_argument("--quick", action="store_true", help="one short round, in under two minutes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="how long a measurement takes")
    parser.add_argument("--work", default="", help=" ".join(work.name for work in WORKS))
    parser.add_argument("--systems", default="", help=" ".join(systems.ALL))
    given = parser.parse_args()
    for word in given.systems.split():
        if word not in systems.ALL:
            parser.error(f"no system {word}: {' '.join(systems.ALL)}")
    for word in given.work.split():
        if not any(work.name.startswith(word) for work in WORKS):
            parser.error(f"no work {word}: {' '.join(work.name for work in WORKS)}")
    return given


def plan_of(given):
    plan = QUICK if given.quick else FULL
    return Plan(given.rounds or plan.rounds, given.seconds or plan.seconds, plan.patience, plan.quick)


def chosen_works(given):
    """By the beginnings of their names."""
    words = given.work.split() or [""]
    return [work for work in WORKS if any(work.name.startswith(word) for word in words)]


def main():
    given = arguments()
    if os.geteuid() != 0:
        raise SystemExit("bench: makes network namespaces: run it as root")
    interrupt_on_signals()
    sweep()
    started = time.monotonic()
    bench = Bench(chosen_works(given), given.systems.split() or list(systems.ALL), plan_of(given),
                  lambda *words, **options: print(*words, flush=True, **options))
    try:
        bench.run()
    except KeyboardInterrupt:
        print("\ninterrupted: what follows is what there is")
    finally:
        report.write(bench.results, BUILD)
    print("\n" + "\n".join(report.table(bench.results)))
    print(f"\n{time.monotonic() - started:.0f} s; before a measurement the machine was busy to "
          f"{100 * statistics.median(bench.busy or [0]):.0f} % (median); {BUILD}/bench.json, {BUILD}/bench/*.svg")
    sys.exit(1 if bench.results.failures else 0)


main()
