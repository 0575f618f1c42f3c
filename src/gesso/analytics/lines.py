"""Requests as lines of the history table and of exports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gesso.analytics.history import HistoryRow
from gesso.analytics.usage import DayLine
from gesso.core.money import Price, format_credits
from gesso.web.render import credits_text
from gesso.web.wording import unit_words, word

Named = Callable[[str, str], str]
"""What a model is called, from its key and the name a request noted."""

STATE_WORDS = {
    "queued": ("Waiting", "info"),
    "running": ("Running", "info"),
    "succeeded": ("Delivered", "ok"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Cancelled", ""),
}
"""In words, with the kind of badge."""
OWN_KEY = "own key"
"""Who pays for what runs on the key of whoever asked; else the workspace does."""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the history table."""

    id: UUID
    asset_id: UUID | None
    kind: str
    prompt: str
    model: str
    member: str
    state: str
    badge: str
    why: str | None
    credits: str
    when: datetime


def history_line(row: HistoryRow, named: Named, members: Mapping[UUID, str]) -> HistoryLine:
    """A table line: state in words, what it cost or holds."""
    label, badge = STATE_WORDS[row.state]
    if row.state == "succeeded" and row.delivered < row.count:
        label = f"Delivered {row.delivered} of {row.count}"
    return HistoryLine(
        id=row.id, asset_id=row.asset_id, kind=row.kind, prompt=row.prompt, model=named(row.model_key, row.model_name),
        member=member_name(row.user_id, members), state=label, badge=badge, why=row.error_message, credits=_cost(row),
        when=row.created_at,
    )  # fmt: skip


def member_name(user_id: UUID, members: Mapping[UUID, str]) -> str:
    """What somebody is called; "Former member" when they have left."""
    return members.get(user_id, "Former member")


def _cost(row: HistoryRow) -> str:
    if row.own_key and row.state != "failed":
        return OWN_KEY
    if row.charged is None:
        return "0" if row.state == "failed" else f"{_words(row.price)} held"
    if row.charged != row.price and row.charged.outputs and row.kind != "prompt":
        return f"{_words(row.charged)} of {_words(row.price)}"
    return _words(row.charged)


def _words(price: Price) -> str:
    parts = [unit_words(unit, uses) for unit, uses in price.allowances.items()]
    return " + ".join([*parts, credits_text(price.credits)] if price.credits or not parts else parts)


def history_head() -> tuple[str, ...]:
    """The columns of exported requests; what is paid is called as the edition calls it."""
    paid = _column(word("credits"))
    return (
        "created_at", "id", "kind", "model", "member", "prompt", "state", "asked", "delivered", f"price_{paid}",
        f"charged_{paid}", "charged_allowances", "seconds", "error_code", "paid_by",
    )  # fmt: skip


def days_head() -> tuple[str, ...]:
    """The columns of exported sums."""
    return (
        "day", "kind", "model", "member", "requests", "succeeded", "failed", "seconds", "outputs", "outputs_failed",
        _column(word("credits")), "allowance_uses",
    )  # fmt: skip


def _column(name: str) -> str:
    """A word as the name of a column: "Golden gems" → "golden_gems"."""
    return "_".join(name.lower().split())


def history_cells(row: HistoryRow, named: Named, members: Mapping[UUID, str]) -> list[Any]:
    """A request under `history_head`. Text that a spreadsheet would run as a formula is made harmless."""
    charged = row.charged
    return [
        row.created_at.isoformat(timespec="seconds"), str(row.id), row.kind,
        _harmless(named(row.model_key, row.model_name)), _harmless(member_name(row.user_id, members)),
        _harmless(row.prompt), row.state, row.count, row.delivered, format_credits(row.price.credits),
        format_credits(charged.credits) if charged else "", sum(charged.allowances.values()) if charged else "",
        f"{row.seconds:.1f}" if row.seconds is not None else "", row.error_code or "",
        OWN_KEY if row.own_key else "workspace",
    ]  # fmt: skip


def day_cells(line: DayLine, named: Named, members: Mapping[UUID, str]) -> list[Any]:
    """A line of the sums under `days_head`."""
    figures = line.figures
    return [
        line.day.isoformat(), line.kind, _harmless(named(line.model_key, line.model_name)),
        _harmless(member_name(line.user_id, members)), figures.requests, figures.succeeded, figures.failed,
        f"{figures.seconds:.1f}", figures.delivered, figures.missed, format_credits(figures.spent), figures.uses,
    ]  # fmt: skip


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
