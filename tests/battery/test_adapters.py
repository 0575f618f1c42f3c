"""Every adapter at every fault: the right named error, one call that costs, an end in time, no word of our key."""

import time

import pytest

from gesso.providers.errors import Busy
from gesso.providers.registry import ADAPTERS
from tests.battery import line as lines
from tests.battery.adapters import ENTRIES, Case, cases, wanted
from tests.battery.faults import FINE, Fault, Nobody, Spoilt
from tests.battery.line import Line
from tests.battery.play import ACCOUNT, LONGEST_SECONDS, SECRET, play

LONGEST_WAIT_SECONDS = 600
ECHO = Fault("echo", "an error that repeats our key", Spoilt(lines.echo), frozenset(), {})


@pytest.mark.parametrize("case", list(cases()), ids=str)
async def test_every_fault_has_its_name(case: Case, line: Line) -> None:
    entry, begun = case.entry, time.monotonic()
    played = await play(entry, case.capability, case.fault, line)
    assert played.outcome == case.outcome, played.said
    assert time.monotonic() - begun < LONGEST_SECONDS
    assert 0 < played.longest_wait <= LONGEST_WAIT_SECONDS, "no call may be without a limit of its own"
    assert line.count(entry.submit) == (0 if isinstance(case.fault.way, Nobody) else 1), "what costs is sent once"
    assert played.cost_micro_usd is None or played.cost_micro_usd >= 0
    if isinstance(played.error, Busy):
        assert played.error.retry_after == 7
    if case.fault.name in ("cut", "error-late"):
        assert played.pieces, "what came before the end is passed on"
    if played.outcome == FINE and case.capability in ("chat", "structured", "vision"):
        assert "".join(played.pieces).strip() and all(played.pieces)
    for word in (SECRET, ACCOUNT):
        assert word not in " ".join(played.said)


@pytest.mark.parametrize(
    ("adapter", "capability"), [(name, capability) for name, entry in ENTRIES.items() for capability in entry.asks]
)
async def test_an_error_that_repeats_our_key_does_not_pass_it_on(adapter: str, capability: str, line: Line) -> None:
    played = await play(ENTRIES[adapter], capability, ECHO, line)  # type: ignore[arg-type]
    assert played.error is not None and line.count(ENTRIES[adapter].submit) == 1
    assert SECRET not in " ".join(played.said)


def test_every_adapter_of_the_registry_is_in_the_battery() -> None:
    assert set(ENTRIES) == set(ADAPTERS), "join by an entry in tests/battery/adapters.py"
    for name, entry in ENTRIES.items():
        assert wanted(name) <= set(entry.asks), f"{name} makes what its entry does not ask for"
        assert entry.follows <= set(entry.asks)
