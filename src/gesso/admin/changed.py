"""What a payment provider's word changed, as people read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from gesso.billing.changes import Change, Value
from gesso.billing.port import Taken
from gesso.credits.types import CREDIT
from gesso.web.render import credits_words, exact
from gesso.web.wording import title, unit_words, word

_THINGS: Mapping[str, str] = {
    "plan": "Workspace", "subscription": "Subscription", "invoice": "Invoice", "purchase": "Pack",
    "dispute": "Dispute",
}  # fmt: skip
_NAMES: Mapping[str, str] = {
    "price_cents": "price", "total_cents": "total", "refunded_cents": "refunded",
    "next_plan": "then", "cancel_at": "ends", "period_end": "period ends", "grant": "given", "refund": "taken back",
    "debt": "owed", "repay": "debt repaid", "expire": "ended unused",
}  # fmt: skip
_TIMES = ("paid_until", "period_end", "cancel_at", "grace_until")


@dataclass(frozen=True, slots=True)
class Line:
    """A change: “Subscription: status”, “active”, “past due”."""

    what: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """All of it in one line."""
        return f"{self.what} {self.before} → {self.after}" if self.before != "–" else f"{self.what} {self.after}"


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed at one moment."""

    at: datetime
    changes: tuple[Change, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return lines(self.changes)

    def of(self, ref: str) -> tuple[Line, ...]:
        """What of it happened to this one."""
        return lines(change for change in self.changes if change.ref == ref)


class ChangeItem(BaseModel):
    """Something that became another."""

    thing: str = Field(description="plan, subscription, invoice, purchase, dispute or credits.")
    ref: str = Field(description="Which one: our id, or the provider's of an invoice or dispute; the unit of credits.")
    name: str = Field(description="What of it; for credits the movement: grant, refund, debt or repay.")
    before: Value
    after: Value = Field(description="Money in hundredths, credits in millionths.")

    @classmethod
    def all_of(cls, changes: Iterable[Change]) -> "list[ChangeItem]":
        return [cls.model_validate(change.as_json()) for change in changes]


def kept(effects: Sequence[Mapping[str, Any]]) -> tuple[Done, ...]:
    """From how a notice keeps it, the newest first."""
    return tuple(
        Done(datetime.fromisoformat(one["at"]), tuple(Change(**change) for change in one["changes"]))
        for one in reversed(effects)
    )


def lines(changes: Iterable[Change]) -> tuple[Line, ...]:
    """In words."""
    return tuple(
        Line(f"{_thing(one)}: {_name(one)}", _value(one, one.before), _value(one, one.after)) for one in changes
    )


def outcome(taken: Taken) -> tuple[str, str]:
    """What came of taking a notice up again: a word and a sentence."""
    if taken.received == "failed":
        return "It failed again", taken.error or ""
    if taken.changes:
        return counted(taken.changes), "; ".join(line.words for line in lines(taken.changes)[:3])
    if taken.received == "ignored":
        return "Nothing changed", "Nothing follows from an event like this here."
    return "Nothing changed", "All that follows from it had been done before."


def counted(changes: Sequence[Change]) -> str:
    """“1 thing changed”."""
    return f"{len(changes)} thing{'' if len(changes) == 1 else 's'} changed"


def _thing(one: Change) -> str:
    return title("credits") if one.thing == "credits" else _THINGS[one.thing]


def _name(one: Change) -> str:
    if one.name == "taken_back":
        return f"{word('credits')} taken back"
    return _NAMES.get(one.name, one.name.replace("_", " "))


def _value(one: Change, value: Value) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _amount(one, value)
    return exact(datetime.fromisoformat(value)) if one.name in _TIMES else value.replace("_", " ")


def _amount(one: Change, value: int) -> str:
    if one.name.endswith("_cents"):
        return f"{value / 100:,.2f}"
    if one.thing == "credits" and one.ref != CREDIT:
        return unit_words(one.ref, value)
    return credits_words(value)
