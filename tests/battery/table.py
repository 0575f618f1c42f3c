"""The battery's declarations as tables for docs/providers.md: which adapter can what, and what each fault becomes."""

from collections.abc import Iterator
from pathlib import Path

from gesso.providers.registry import ADAPTERS
from tests.battery.adapters import ENTRIES, Entry
from tests.battery.faults import FAMILY, FAULTS, TITLES, Capability, Family, Fault

DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"
BEGIN = "<!-- battery: written by `python -m tests.battery`; a test holds it to what is tested -->"
END = "<!-- /battery -->"
_FAMILIES: dict[Family, str] = {"media": "Pictures and films", "text": "Text", "moderation": "Moderation"}
_INTRO = """\
## What every fault becomes

What each adapter can, and how it names what goes wrong (`src/gesso/providers/errors.py`): `done` where the trouble is
overcome, `result_gone` and `bad_file` where a result cannot be had or used, `pending` where a job is still being waited
for (the product gives up at the model's own deadline). An outcome that differs between an adapter's capabilities is
told for each. Whatever happens, a call that costs is sent once, users pay for what they were given and nothing else,
and a call that may have been taken (`outcome_unknown`) stays in the books with its estimated cost."""


def tables() -> str:
    """The part of docs/providers.md between its marks, without them."""
    entries = [ENTRIES[name] for name in ADAPTERS if name in ENTRIES]
    parts = [_INTRO, "\n".join(_abilities(entries))]
    for family, title in _FAMILIES.items():
        parts.append(f"### {title}\n\n" + "\n".join(_family(entries, family)))
    return "\n\n".join(parts)


def _abilities(entries: list[Entry]) -> Iterator[str]:
    yield from _head("", [ADAPTERS[entry.adapter].title for entry in entries])
    for capability, title in TITLES.items():
        yield _row(title, ["yes" if capability in entry.asks else "–" for entry in entries])


def _family(entries: list[Entry], family: Family) -> Iterator[str]:
    able = [entry for entry in entries if _capabilities(entry, family)]
    yield from _head("What goes wrong", [ADAPTERS[entry.adapter].title for entry in able])
    for fault in FAULTS.values():
        cells = [_cell(entry, fault, family) for entry in able]
        if fault.name != "nothing" and any(cell != "–" for cell in cells):
            yield _row(fault.told, cells)


def _capabilities(entry: Entry, family: Family) -> list[Capability]:
    return [capability for capability in entry.asks if FAMILY[capability] == family]


def _cell(entry: Entry, fault: Fault, family: Family) -> str:
    """The outcome, or each where they differ by capability; why there is none, where that is known."""
    found: dict[str, list[str]] = {}
    for capability in _capabilities(entry, family):
        outcome = entry.outcome(fault, capability)
        if outcome is not None:
            found.setdefault(outcome, []).append(TITLES[capability])
    if not found:
        reasons = [
            why for cap in _capabilities(entry, family) if cap in fault.on and (why := entry.why_not(fault, cap))
        ]
        return reasons[0] if reasons else "–"
    if len(found) == 1:
        return f"`{next(iter(found))}`"
    return "; ".join(f"{', '.join(titles)}: `{outcome}`" for outcome, titles in found.items())


def _head(first: str, titles: list[str]) -> Iterator[str]:
    yield _row(first, titles)
    yield "|" + "---|" * (len(titles) + 1)


def _row(first: str, cells: list[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"


def placed(document: str) -> str:
    """The document with the tables as they are now, at its end if it has none yet."""
    written = f"{BEGIN}\n{tables()}\n{END}"
    before, mark, rest = document.partition(BEGIN)
    if not mark:
        return f"{document.rstrip()}\n\n{written}\n"
    return before + written + rest.partition(END)[2]
