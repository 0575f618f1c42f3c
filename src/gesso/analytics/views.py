"""What the dashboard shows, as frozen values for its template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gesso.analytics.chart import Chart, Point, line_chart
from gesso.analytics.repository import HistoryRow, ModelUse, Totals
from gesso.core.money import MICRO, Price, format_credits
from gesso.credits.types import CREDIT, Balances, LotView
from gesso.web.render import credits_text, credits_words
from gesso.web.wording import title, unit_words, word

PERIODS = {7: "7 days", 30: "30 days", 365: "12 months"}
_STATES = {
    "queued": ("Waiting", "info"),
    "running": ("Running", "info"),
    "succeeded": ("Delivered", "ok"),
    "failed": ("Failed", "bad"),
    "cancelled": ("Cancelled", ""),
}


@dataclass(frozen=True, slots=True)
class Period:
    """The days a dashboard looks at, ending now; `step` is "day" or "month"."""

    days: int
    start: datetime
    end: datetime

    @classmethod
    def of(cls, days: int, now: datetime) -> "Period":
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if days > 31:
            month = today.replace(day=1)
            return cls(days, month.replace(year=month.year - 1) + timedelta(days=31), now)._from_month()
        return cls(days, today - timedelta(days=days - 1), now)

    def _from_month(self) -> "Period":
        return Period(self.days, self.start.replace(day=1), self.end)

    @property
    def step(self) -> str:
        return "month" if self.days > 31 else "day"

    @property
    def before(self) -> datetime:
        """Where the same length before this period began."""
        return self.start - (self.end - self.start)

    def steps(self) -> list[datetime]:
        """The start of every step."""
        if self.step == "day":
            return [self.start + timedelta(days=index) for index in range(self.days)]
        months = [self.start]
        while len(months) < 12:
            last = months[-1]
            months.append((last + timedelta(days=32)).replace(day=1))
        return months


@dataclass(frozen=True, slots=True)
class Stat:
    """One of the four numbers."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the history table."""

    id: UUID
    asset_id: UUID | None
    prompt: str
    model: str
    state: str
    kind: str
    why: str | None
    credits: str
    when: datetime


def period_links() -> list[tuple[str, str]]:
    """Addresses and words of the periods one can choose."""
    return [(f"/dashboard?days={days}", words) for days, words in PERIODS.items()]


def stats(period: Period, now: Totals, before: Totals, balances: Balances) -> tuple[Stat, ...]:
    """Credits left, used, pictures, delivered."""
    asked = now.delivered + now.missed
    share = f"{100 * now.delivered / asked:.1f}".removesuffix(".0") + " %" if asked else "–"
    return (
        Stat(f"{title('credits')} left", credits_text(balances.balance), _left_note(balances)),
        Stat(f"Used, {PERIODS[period.days]}", credits_text(now.spent), _trend(now.spent, before.spent, period)),
        Stat(title("pictures"), f"{now.delivered:,}", f"in {PERIODS[period.days]}"),
        Stat("Delivered", share, f"{now.missed:,} failed, 0 charged" if asked else "Nothing made yet"),
    )


def _left_note(balances: Balances) -> str:
    if balances.held:
        return f"{credits_text(balances.held)} more held for running work"
    lasting = sum(lot.remaining for lot in balances.lots if lot.unit == CREDIT and lot.expires_at is None)
    return f"{credits_text(lasting)} never expire" if balances.balance else "None left"


def _trend(now: int, before: int, period: Period) -> str:
    if not before:
        return f"Nothing in the {PERIODS[period.days]} before"
    change = round(100 * (now - before) / before)
    return f"{'+' if change > 0 else '−' if change < 0 else '±'}{abs(change)} % on the {PERIODS[period.days]} before"


def charts(period: Period, spent: Mapping[datetime, int]) -> tuple[Chart, Chart]:
    """Credits by step, wide and narrow."""
    points = [
        Point(
            f"{start:%b %Y}" if period.step == "month" else f"{start.day} {start:%b}",
            credits_words(spent.get(start, 0)),
            spent.get(start, 0) / MICRO,
        )
        for start in period.steps()
    ]
    what = f"{title('credits')} a {period.step} over {PERIODS[period.days]}"
    wide = line_chart(points, width=768, height=236, labels=7, what=what)
    return wide, line_chart(points, width=330, height=190, labels=4, what=what)


def model_bars(models: Sequence[ModelUse]) -> list[tuple[str, str, int]]:
    """Label, words and percent of each model."""
    top = max((model.spent for model in models), default=0) or 1
    return [(model.name, _model_words(model), round(100 * model.spent / top)) for model in models]


def _model_words(model: ModelUse) -> str:
    time = f" · {model.seconds:.1f} s" if model.seconds is not None else ""
    return f"{credits_text(model.spent)}{time}"


def lot_bars(lots: Sequence[LotView]) -> list[tuple[str, str, int]]:
    """What the balance consists of: label, words and percent left."""
    names = {
        "sign_up": f"Welcome {word('credits')}",
        "plan": f"This month’s {word('credits')}",
        "pack": "Bought",
        "operator": "Added for you",
    }
    return [
        (
            names.get(lot.source, "Added for you") + (f", until {_day(lot.expires_at)}" if lot.expires_at else ""),
            f"{_amount(lot.unit, lot.remaining)} of {_amount(lot.unit, lot.amount)} left",
            round(100 * lot.remaining / lot.amount),
        )
        for lot in lots
    ]


def _amount(unit: str, amount: int) -> str:
    return credits_text(amount) if unit == CREDIT else unit_words(unit, amount)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B}"


def history_line(row: HistoryRow) -> HistoryLine:
    """A table line: state in words, what it cost or holds."""
    label, kind = _STATES[row.state]
    if row.state == "succeeded" and row.delivered < row.count:
        label = f"Delivered {row.delivered} of {row.count}"
    return HistoryLine(
        id=row.id, asset_id=row.asset_id, prompt=row.prompt, model=row.model_name, state=label, kind=kind,
        why=row.error_message, credits=_cost(row), when=row.created_at,
    )  # fmt: skip


def _cost(row: HistoryRow) -> str:
    price = Price.from_json(row.price)
    if row.charged is None:
        return f"{_words(price)} held"
    charged = Price.from_json(row.charged)
    return f"{_words(charged)} of {_words(price)}" if charged != price and charged.outputs else _words(charged)


def _words(price: Price) -> str:
    parts = [unit_words(unit, uses) for unit, uses in price.allowances.items()]
    return " + ".join([*parts, credits_text(price.credits)] if price.credits or not parts else parts)


def csv_row(row: HistoryRow) -> list[Any]:
    """One line of the export. Text that a spreadsheet would run as a formula is made harmless."""
    charged = Price.from_json(row.charged) if row.charged is not None else None
    return [
        row.created_at.isoformat(timespec="seconds"), str(row.id), _harmless(row.model_name), _harmless(row.prompt),
        row.state, row.count, row.delivered, format_credits(Price.from_json(row.price).credits),
        format_credits(charged.credits) if charged else "", f"{row.seconds:.1f}" if row.seconds is not None else "",
        row.error_code or "",
    ]  # fmt: skip


CSV_HEAD = (
    "created_at", "id", "model", "prompt", "state", "asked", "delivered", "price_credits", "charged_credits",
    "seconds", "error_code",
)  # fmt: skip


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
