# SPDX-License-Identifier: GPL-2.0-or-later
"""What a work is made of, and how much of it a run does."""

from dataclasses import dataclass
from typing import Callable, Optional


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    fewer_is_better: bool = False
    minus_none: bool = False  # the value is what is more than with no firewall in the same round
    baseline: Optional[str] = None  # compared with this figure of the same system, not with other systems


@dataclass(frozen=True)
class Scene:
    """One system, set up in one way."""
    system: str
    rules: int = 0  # in all, where it is more than what every system has
    connections: int = 0  # the size of the table, where it is not the system's own choice
    busy: bool = True  # sallyport may admit by itself what it is flooded with
    slow: bool = False  # not in a quick run


@dataclass(frozen=True)
class Work:
    """`measure(net, system, plan)` yields (name of a figure, value) or raises Failed."""
    name: str
    figures: tuple
    scenes: tuple
    measure: Callable
    prepare: Optional[Callable] = None  # prepare(stage, plan), once a run; stage(Scene) sets one up
    rounds: int = 1000  # at most so many: for what takes long and hardly varies


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: int  # a measurement
    patience: float  # how long to wait for an idle machine before one
    quick: bool


def scenes(*names, **options):
    return tuple(Scene(name, **options) for name in names)
