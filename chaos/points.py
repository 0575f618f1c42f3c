"""When and where each process is to die."""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gesso

LIFE_SECONDS = {"web": 0.3, "worker": 0.15, "sandbox": 0.2}
"""Seconds of processor time a process lives on average, once it has started. A web needs 0.1 for one sign-up alone."""
START_SECONDS, START_SHARE = 0.05, 0.15
"""Starting takes about so long; this share of the processes does not live to see the end of it, or hardly."""
SHARE = 0.5
"""So many of the processes are born with a crash point."""
SPARED_SECONDS = 0.2
"""They live longer by so much, to get there."""
LATEST = 4
"""They die there the first to the fourth time they get there."""
_REACH = re.compile(r'crashpoints\.reach\("([\w.]+)"\)')
_WEB = ("routes.py", "webhooks.py", "signup.py")


class Named(Protocol):
    """A slot's name and kind."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


def points() -> dict[str, tuple[str, ...]]:
    """Every point that the product's source names, by the kind of process that can get there."""
    found: dict[str, set[str]] = {"web": set(), "worker": set(), "sandbox": set()}
    root = Path(gesso.__file__).parent
    for path in sorted(root.rglob("*.py")):
        names = set(_REACH.findall(path.read_text()))
        where = str(path.relative_to(root))
        if where.startswith("sandbox/"):
            found["sandbox"] |= names
        elif where.endswith(_WEB) and not where.startswith("providers/"):
            found["web"] |= names
        else:
            found["worker"] |= names
    return {kind: tuple(sorted(names)) for kind, names in found.items()}


@dataclass(frozen=True)
class Fate:
    """After `life` seconds of processor time a process is killed, unless it has reached its crash point before."""

    life: float
    point: str | None


class Fates:
    """How each process is to die: fixed by the seed, whatever happens meanwhile.

    Crash points come up each as often as any other of their kind. Call `mercy` to let everybody live.
    """

    def __init__(self, source: random.Random, slots: Sequence[Named], length: float = 1.0) -> None:
        """Lives are `length` times as long as usual."""
        self._length = length
        self._points = points()
        self._source = {slot.name: random.Random(source.random()) for slot in slots}
        self._turn: dict[str, list[str]] = {slot.name: [] for slot in slots}
        self._kind = {slot.name: slot.kind for slot in slots}
        self._merciful = False

    def mercy(self) -> None:
        """Whoever is born from now on lives."""
        self._merciful = True

    def next(self, name: str) -> Fate:
        """The fate of the next process in this slot."""
        source, kind = self._source[name], self._kind[name]
        life = self._length * source.expovariate(1 / LIFE_SECONDS[kind])
        life += START_SECONDS * min(1.0, source.random() / START_SHARE)
        armed, times = source.random() < SHARE, source.randint(1, LATEST)
        if self._merciful:
            return Fate(math.inf, None)
        if not armed:
            return Fate(life, None)
        turn = self._turn[name]
        if not turn:
            turn.extend(self._points[kind])
            source.shuffle(turn)
        return Fate(life + SPARED_SECONDS * self._length, f"{turn.pop()}*{times}")
