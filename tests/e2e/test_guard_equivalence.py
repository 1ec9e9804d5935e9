# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard decides as the daemon does: random rules, random packets, each asked twice, once of
the daemon and once of what it leaves behind when it is killed.

What the guard cannot know is not asked here but stated below: whether a TCP segment that opens
nothing, an ICMP error or an answer belongs to a connection. All that a rule can say is static.

SALLYPORT_GUARD_ROUNDS=N: as many rulesets. SALLYPORT_SEED=N: those of an earlier run."""

import os
import random
from collections import Counter

import pytest

from leases import forget_leases
from probes import DELIVERED, DROPPED, ICMP, ICMPV6, REJECTED, SENTINEL_RULE, Probe, Range
from rulesets import Ruleset

ROUNDS = int(os.environ.get("SALLYPORT_GUARD_ROUNDS", "300"))
PROBES = 50
STRICT = "default in drop\ndefault out drop\n"


def seed():
    """One that can be given again, and is shown where the test fails."""
    return int(os.environ.get("SALLYPORT_SEED", random.randrange(1 << 32)))


@pytest.fixture
def targets(net):
    with Range(net) as place:
        yield place


def ask_both(daemon, targets, probes):
    """The verdicts of the daemon and, after its death, of the guard, in the order of `probes`."""
    daemon.start()
    up = targets.send(probes)
    daemon.kill()
    forget_leases(daemon.namespace)
    down = targets.send(probes)
    outcomes = targets.outcomes({**up, **down})
    targets.forget()
    forget_leases(daemon.namespace)
    return [outcomes[number] for number in up], [outcomes[number] for number in down]


@pytest.mark.seconds(60 + ROUNDS)
def test_dead_or_alive_the_verdict_is_the_same(firewall, targets):
    number, seen, taken = seed(), Counter(), set()
    generator = random.Random(number)
    daemon = firewall("", started=False)
    for round in range(ROUNDS):
        ruleset = Ruleset(generator)
        probes = ruleset.probes(PROBES, taken)
        daemon.write("sallyport.rules", ruleset.text)
        alive, dead = ask_both(daemon, targets, probes)
        different = [f"{probe}: the daemon {one}, the guard {other}"
                     for probe, one, other in zip(probes, alive, dead) if one != other]
        assert not different, "\n".join([f"SALLYPORT_SEED={number}, ruleset {round}:", ruleset.text,
                                         *different])
        seen.update((probe.version, probe.inward, verdict) for probe, verdict in zip(probes, alive))
    for version in (4, 6):
        for inward in (True, False):
            for verdict in (DELIVERED, REJECTED, DROPPED):
                assert seen[version, inward, verdict] > ROUNDS, f"these probes ask too little: {seen}"


def test_what_only_connections_tell_passes_the_guard(firewall, targets, side):
    """The other half of the promise: answers and errors that belong to nothing are dropped by the
    daemon, and come through while it is dead, since they open nothing."""
    protocol = ICMP if side.version == 4 else ICMPV6
    errors = (3, 11, 12) if side.version == 4 else (1, 2, 3, 4)
    answers = (0,) if side.version == 4 else (129,)
    probes = [Probe(True, side.version, protocol, side.cli, side.srv, 1000 + kind, kind)
              for kind in errors + answers]
    daemon = firewall(STRICT + SENTINEL_RULE, started=False)
    alive, dead = ask_both(daemon, targets, probes)
    assert alive == [DROPPED] * len(probes)
    assert dead == [DELIVERED] * len(probes)
