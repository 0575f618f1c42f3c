"""From a prediction to what it means: still running, done with these files in this order, or failed. Pure.

Models leave out single pictures their content check objects to, and say so in the logs only. Which places are empty
is told by the files' names (out-0, out-2) or by the logs' numbers; where neither tells, the order is that of the
answer and the missing ones are said to be missing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from gesso.providers import asking
from gesso.providers.base import JSON, Done, Failed, OutputFile, Pending
from gesso.providers.errors import Rejected
from gesso.providers.replicate import failures, wire
from gesso.providers.replicate.options import SAFETY
from gesso.providers.replicate.wire import File, Prediction

_CLOCKS_APART = timedelta(seconds=2)
Facts = Mapping[str, JSON]
"""What was asked, from `Operation.data`; all of it may be missing when a call was found again."""


def outcome(told: Prediction, facts: Facts, mask: Callable[[str], str]) -> Pending | Done | Failed:
    """How a prediction stands. An unknown status is waited for, unless it says when it was completed."""
    if told.status == "succeeded":
        return _done(told, facts, mask)
    if told.status not in wire.TERMINAL and (told.status in wire.RUNNING or told.completed_at is None):
        note = wire.last_line(told.logs) if told.status in wire.RUNNING else f"Unknown status {told.status[:40]!r}."
        return Pending(progress=wire.progress(told.logs), note=mask(note[:200]) if note else None)
    if told.status == "aborted":
        return Failed(Rejected("The provider did not start this job in the time allowed.", "deadline"), 0)
    if told.status == "canceled":
        return Failed(_cancelled(told), by_time(told, facts))
    return Failed(failures.of_text(told.error, _safety(facts), mask), by_time(told, facts))


def _cancelled(told: Prediction) -> Rejected:
    """Stopped by someone, or by the deadline we had set."""
    late = told.deadline is not None and told.completed_at is not None
    if late and told.completed_at >= told.deadline - _CLOCKS_APART:  # type: ignore[operator]  # both are there
        return Rejected("The model did not finish in the time it is given.", "deadline")
    return Rejected("The job was cancelled.", "cancelled")


def _done(told: Prediction, facts: Facts, mask: Callable[[str], str]) -> Done | Failed:
    found = [file for file in told.files if file is not None]
    cost = _cost(told, facts, len(found))
    if told.data_removed and not found:
        return Failed(Rejected("The result is no longer kept at the provider.", "gone"), cost)
    if not found:
        said = next((line for line in told.logs.splitlines() if _matches(line, _safety(facts))), None)
        if said is not None:
            return Failed(failures.refused(mask(said[:200])), cost)
        return Failed(Rejected("The model finished without delivering anything.", "failed"), cost)
    wanted = facts.get("count")
    count = wanted if isinstance(wanted, int) else len(told.files)
    placed, flagged = places(told.files, wire.held_back(told.logs), count)
    sent = facts.get("seed")
    seed = sent if isinstance(sent, int) else wire.seed(told.logs)
    files = [_output(file, flagged=place in flagged) for place, file in enumerate(placed)]
    while files and files[-1].url is None and files[-1].data is None and not files[-1].flagged:
        files.pop()  # simply absent: nothing stands behind it whose place had to be kept
    warnings = facts.get("warnings")
    said_before = [str(text) for text in warnings] if isinstance(warnings, list) else []
    return Done(tuple(files), seed, cost, tuple(said_before + _missing(count, len(found), len(flagged))))


def places(
    found: Sequence[File | None], held_back: Sequence[int], count: int
) -> tuple[list[File | None], frozenset[int]]:
    """The files at their places, None where there is none, and the places of those that were held back.

    `held_back` are the numbers in the logs: from 0, or from 1 where only that can be meant.
    """
    files = [file for file in found if file is not None]
    missing = count - len(files)
    if missing <= 0:
        return [*files[:count]], frozenset()
    if len(found) == count:  # the empty places came with the answer
        empty = frozenset(place for place, file in enumerate(found) if file is None)
        return list(found), empty if held_back else frozenset()
    numbers = [file.number for file in files]
    if None not in numbers and len(set(numbers)) == len(files) and all(n < count for n in numbers if n is not None):
        by_number = {file.number: file for file in files}
        empty = frozenset(range(count)) - {n for n in numbers if n is not None}
        return [by_number.get(place) for place in range(count)], empty if held_back else frozenset()
    gaps = frozenset(held_back)
    if count in gaps and 0 not in gaps:
        gaps = frozenset(number - 1 for number in gaps)
    if len(gaps) == missing and max(gaps) < count:
        rest = iter(files)
        return [None if place in gaps else next(rest) for place in range(count)], gaps
    flagged = range(len(files), min(len(files) + len(gaps), count))
    return [*files, *[None] * missing], frozenset(flagged)


def _output(file: File | None, *, flagged: bool) -> OutputFile:
    if file is None:
        return OutputFile(flagged=True if flagged else None)
    return OutputFile(url=file.url, data=file.data, media_type=file.media_type)


def _missing(count: int, delivered: int, flagged: int) -> list[str]:
    if flagged:
        return [f"The model's content check held back {flagged} of {count}."]
    return [asking.short_of(delivered, count)] if delivered < count else []


def _cost(told: Prediction, facts: Facts, delivered: int) -> int | None:
    """Micro-dollars by output or by second, rounded up; None unless the price and the measure are known."""
    price = facts.get("micro_usd_per_output")
    if isinstance(price, int):
        return price * (told.image_count if told.image_count is not None else delivered)
    return by_time(told, facts)


def by_time(told: Prediction, facts: Facts) -> int | None:
    """Micro-dollars of the time used, rounded up. What a failed prediction of an output-priced model costs is not
    known, so it is not told: the estimate stands."""
    price = facts.get("micro_usd_per_second")
    if not isinstance(price, int) or told.predict_seconds is None:
        return None
    return int((told.predict_seconds * Decimal(price)).to_integral_value(ROUND_CEILING))


def _safety(facts: Facts) -> Sequence[str]:
    given = facts.get("safety")
    return [part for part in given if isinstance(part, str)] if isinstance(given, list) else SAFETY


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)
