"""The chaos in short: a few dozen kills, every kind of mischief, and all of its promises."""

import io
import random
from pathlib import Path

import pytest
from chaos.mischief import acts
from chaos.points import Fates, points
from chaos.report import show
from chaos.run import Plan, run
from rich.console import Console

from gesso.core.ids import new_id

pytestmark = pytest.mark.crash


async def test_nothing_is_lost_and_nothing_charged_twice(shared_folder: Path) -> None:
    told = io.StringIO()
    console = Console(file=told, width=160)
    plan = Plan(
        kills=40, seconds=12, seed=7, workers=2, webs=2, people=4, open_limit=16, hurry=12, least_kills=3,
        least_accepted=2, folder=shared_folder / f"chaos {new_id().hex[-6:]}",
    )  # fmt: skip
    outcome = await run(plan, console)
    show(console, outcome)
    assert outcome.holds, told.getvalue()
    assert outcome.mischief.total >= 3, told.getvalue()
    assert outcome.crowd.counts["accepted"] >= 2, told.getvalue()


def test_the_same_seed_gives_the_same_mischief() -> None:
    def drawn(seed: int) -> list[object]:
        listed = acts(seed)
        return [next(listed) for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)


class Place:
    def __init__(self, name: str) -> None:
        self.name, self.kind = name, name.partition("-")[0]


def test_every_crash_point_of_the_product_comes_up() -> None:

    known = points()
    assert {"attempt.answered", "output.settling", "file.stored"} <= set(known["worker"])
    assert "request.stored" in known["web"] and "sandbox.accepted" in known["sandbox"]
    fates = Fates(random.Random(3), [Place("worker-1")])
    met = {(fates.next("worker-1").point or "").partition("*")[0] for _ in range(4 * len(known["worker"]))}
    assert met - {""} == set(known["worker"])
