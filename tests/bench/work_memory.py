# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes a connection: in the daemon (resident), in the kernel (slab, vmalloc, per-CPU), and in all.

The connections have no sockets at either end (handshakes.c, network.quiet_listener), and what the
kernel grows by for the same handshakes without a firewall is taken off. Divided by the number that
the system says it holds. The kernel's conntrack table ends at nf_conntrack_max, which belongs to
the whole host and is left alone: so a million is for sallyport only.
"""

import re
import time

from network import SERVER, SERVER_MAC, quiet_listener
from systems import Failed
from work import Figure, Work, scenes
from work_flow import program

PORT = 443
KINDS = ("established", "half")


def kernel_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", file.read()))
    return sum(int(sizes[part]) for part in ("Slab", "VmallocUsed", "Percpu")) * 1024


def steady_kernel_memory(patience=10, step=0.3, slack=64 * 1024):
    """Once it has stopped to change: a network that was removed is given back little by little."""
    deadline, before = time.monotonic() + patience, kernel_memory()
    while time.monotonic() < deadline:
        time.sleep(step)
        now = kernel_memory()
        if abs(now - before) <= slack:
            return now
        before = now
    raise Failed("the kernel's memory does not come to rest")


def measure(kind, count):
    def measured(net, system, _):
        with quiet_listener(net.srv, SERVER, PORT):
            daemon = getattr(system, "memory", lambda: 0)
            kernel_before, daemon_before = steady_kernel_memory(), daemon()
            answered = int(net.cli.run(program("handshakes"), "eth0", SERVER_MAC, SERVER, PORT, count, kind,
                                       timeout=300).stdout)
            kernel, in_daemon = steady_kernel_memory() - kernel_before, daemon() - daemon_before
            held = system.connections()
        if answered < count * 0.999:
            raise Failed(f"{answered} of {count} connections answered")
        if system.name == "none":
            held = count
        if held < count * 0.5:
            raise Failed(f"only {held} of {count} connections held")
        name = f"memory-{count}-{kind}"
        yield f"{name}-held", held
        yield f"{name}-kernel", kernel / held
        yield f"{name}-daemon", in_daemon / held
        yield name, (kernel + in_daemon) / held
    return measured


def figures(name):
    yield Figure(f"{name}-held", "connections")
    for part in ("-kernel", "-daemon", ""):
        yield Figure(name + part, "bytes a connection", fewer_is_better=True, minus_none=True)


def work(count, kind, systems):
    name = f"memory-{count}-{kind}"
    return Work(name, tuple(figures(name)), systems, measure(kind, count), rounds=3)


WORKS = (tuple(work(100000, kind, scenes("none", "conntrack", "sallyport")) for kind in KINDS)
         + tuple(work(1000000, kind, scenes("none", "sallyport")) for kind in KINDS))
