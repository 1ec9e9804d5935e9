#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets a second through the queue: sallyportd against an accept-everything loop.

Peers and sallyportd in turn, ROUNDS times in one run, in two network namespaces of its own.
Small UDP packets of 64 flows to one allowed port; what counts is packets judged by the process
(a full queue fails open, and what passed unseen is nobody's merit), and its CPU time.

Twice: with the sender on a core of its own, where the slower of the two sets the rate, and with everything
on one core, where what both sides spend on a packet does.

    sudo tests/bench/queue_rate.py [ROUNDS] [SECONDS]
"""
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("SALLYPORT_BUILD", "build"))
SERVER, CLIENT = f"spb-{os.getpid()}-s", f"spb-{os.getpid()}-c"
ADDRESS, PORT = "10.99.0.1", 9000


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True, capture_output=True, **options).stdout


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *map(str, command)]


def make_network():
    for name in (SERVER, CLIENT):
        run("ip", "netns", "add", name)
    run("ip", "link", "add", "eth0", "netns", SERVER, "type", "veth", "peer", "name", "eth0", "netns", CLIENT)
    for name, address in ((SERVER, ADDRESS), (CLIENT, "10.99.0.2")):
        run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")


def start_sink():
    """A socket that takes the packets and reads none: without it the host would answer with ICMP errors."""
    code = (f"import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
            f"s.bind(('{ADDRESS}', {PORT})); print('bound', flush=True); time.sleep(3600)")
    sink = subprocess.Popen(inside(SERVER, "/usr/bin/python3", "-c", code), stdout=subprocess.PIPE, text=True)
    sink.stdout.readline()
    return sink


def blast(seconds):
    return int(run(*inside(CLIENT, BUILD / "bench/udp_blast", ADDRESS, PORT, 64, seconds)))


def measure_loop(kind, seconds):
    rule = ["-t", "raw", "-p", "udp", "-j", "NFQUEUE", "--queue-num", "0", "--queue-bypass"]
    run(*inside(SERVER, "iptables", "-A", "PREROUTING", *rule))
    loop = subprocess.Popen(inside(SERVER, BUILD / "bench/accept_all", 0, kind), stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    try:
        blast(seconds)
    finally:
        loop.send_signal(signal.SIGTERM)
        out, _ = loop.communicate(timeout=10)
        run(*inside(SERVER, "iptables", "-D", "PREROUTING", *rule))
    packets, cpu = out.split()
    return int(packets) / seconds, float(cpu) / int(packets) * 1e6


def measure_daemon(seconds, scratch):
    rules, control = scratch / "bench.rules", scratch / "control"
    rules.write_text(f"default in drop\nallow in udp {PORT}\n")
    daemon = subprocess.Popen(inside(SERVER, BUILD / "sallyportd", "--rules", rules, "--socket", control,
                                     "--foreground"), stderr=subprocess.DEVNULL)
    client = [str(BUILD / "sallyport"), "--socket", str(control)]
    deadline = time.monotonic() + 10
    while subprocess.run([*client, "status"], capture_output=True).returncode:
        if time.monotonic() > deadline or daemon.poll() is not None:
            raise SystemExit("the daemon does not start")
        time.sleep(0.02)

    def judged():
        figures = json.loads(run(*client, "stats", "--json"))["daemon"]
        return figures["packets"], figures["cpu_ms"] / 1000

    before, cpu_before = judged()
    try:
        blast(seconds)
        after, cpu_after = judged()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(10)
    return (after - before) / seconds, (cpu_after - cpu_before) / (after - before) * 1e6


def line(name, rates, costs, against=None):
    ratio = ""
    if against:
        ratio = f"  {statistics.median(r / a for r, a in zip(rates, against)):.2f} of batched"
    print(f"{name:<12} {statistics.median(rates) / 1e3:8.1f} k packets/s ({min(rates) / 1e3:.1f}..{max(rates) / 1e3:.1f})"
          f"  {statistics.median(costs):6.2f} us CPU a packet{ratio}")


def compare(rounds, seconds, scratch):
    kinds = ("simple", "batched", "sallyportd")
    results = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            results[kind].append(measure_daemon(seconds, scratch) if kind == "sallyportd"
                                 else measure_loop(kind, seconds))
    batched = [rate for rate, _ in results["batched"]]
    for kind in kinds:
        rates, costs = zip(*results[kind])
        line(kind, rates, costs, None if kind == "batched" else batched)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    sink = None
    try:
        make_network()
        sink = start_sink()
        with tempfile.TemporaryDirectory() as scratch:
            print("sender and queue on cores of their own:")
            compare(rounds, seconds, Path(scratch))
            print("everything on one core:")
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            compare(rounds, seconds, Path(scratch))
    finally:
        if sink:
            sink.kill()
        for name in (SERVER, CLIENT):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


main()
