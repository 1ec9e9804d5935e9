# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes a connection: in the daemon (resident), in the kernel (unreclaimable slab, vmalloc, per-CPU), and in all.

The connections have no sockets at either end (handshakes.c, network.quiet_listener), and what the
kernel grows by for the same handshakes without a firewall is taken off. Divided by the number that
the system says it holds. The kernel's conntrack table ends at nf_conntrack_max, which belongs to
the whole host and is left alone: so a million is for sallyport only.
"""

import re

from network import SERVER, SERVER_MAC, at_rest, quiet_listener
from systems import Failed
from work import Figure, Work, scenes
from work_flow import program

PORT = 443
KINDS = ("established", "half")
OTHERS = 20  # bytes a connection that may come from what else the machine does


def kernel_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", file.read()))
    return sum(int(sizes[part]) for part in ("SUnreclaim", "VmallocUsed", "Percpu")) * 1024


def kernel_memory_at_rest():
    """A network that was removed is given back little by little."""
    return at_rest(kernel_memory, slack=256 * 1024)


def measure(kind, count):
    def measured(net, system, _):
        with quiet_listener(net.srv, SERVER, PORT):
            daemon = getattr(system, "memory", lambda: 0)
            kernel_before, daemon_before = kernel_memory_at_rest(), daemon()
            answered = int(net.cli.run(program("handshakes"), "eth0", SERVER_MAC, SERVER, PORT, count, kind,
                                       timeout=300).stdout)
            kernel, in_daemon = kernel_memory_at_rest() - kernel_before, daemon() - daemon_before
            held = system.connections()
        if answered < count * 0.999:
            raise Failed(f"{answered} of {count} connections answered")
        if system.name == "none":
            held = count
            if abs(kernel) > OTHERS * count:
                raise Failed(f"the kernel's memory changes by {kernel / 1e6:.0f} MB with no firewall: others use it")
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


def work(count, kind, rounds, *systems, **options):
    name = f"memory-{count}-{kind}"
    return Work(name, tuple(figures(name)), scenes(*systems, **options), measure(kind, count), rounds=rounds)


WORKS = (tuple(work(100000, kind, 6, "none", "conntrack", "sallyport", busy=False) for kind in KINDS)
         + tuple(work(1000000, kind, 3, "none", "sallyport", connections=1500000, busy=False, slow=True) for kind in KINDS))
