# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody who has taken over the daemon: what the threads hold, and what comes of a system call."""

import os

import pytest

import inject
from inject import Thread, outcome

injecting = pytest.mark.skipif(not inject.SUPPORTED, reason="system calls are put in for x86_64 only")
UNFILTERED = "does not restrict its own system calls"


def threads(daemon):
    """{name: what /proc says} of every thread."""
    found = {}
    for tid in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with open(f"/proc/{daemon.process.pid}/task/{tid}/status", encoding="ascii") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        found[fields["Name"]] = fields
    return found


def attempt(daemon, name, *arguments, thread=None):
    """What the daemon gets; its own paths are written as {state} and {directory}."""
    places = {"state": daemon.state, "directory": daemon.directory,
              "elsewhere": getattr(daemon, "elsewhere", None)}
    arguments = [word.format(**places).encode() if isinstance(word, str) else word for word in arguments]
    with Thread(thread or daemon.process.pid) as inside:
        answer = inside.call(name, *arguments)
        if name in ("open", "openat", "socket") and answer >= 0:
            inside.call("close", answer)
    return outcome(answer)


def need_filter(daemon):
    if UNFILTERED in daemon.log():
        pytest.skip("a build with a sanitizer does not restrict its system calls")
