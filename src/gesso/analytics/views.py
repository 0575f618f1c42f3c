"""What the dashboard shows, as frozen values for its template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlencode
from uuid import UUID

from gesso.analytics.chart import Chart, Column, columns_chart
from gesso.analytics.lines import Named, member_name
from gesso.analytics.periods import RANGES, STEPS, Period, day_words
from gesso.analytics.usage import Figures, Usage
from gesso.core.money import MICRO
from gesso.credits.types import CREDIT, Balances, LotView
from gesso.web.render import credits_text, credits_words
from gesso.web.wording import title, unit_words, word

Measure = Literal["credits", "requests"]
Bar = tuple[str, str, int]
"""Label, words and percent."""

_COLOURS = {"image": 1, "video": 2, "prompt": 3, "chat": 4}
_OTHER = 5
_SHOWN = 8
"""So many models, members or providers are told one by one."""


@dataclass(frozen=True, slots=True)
class Stat:
    """One of the numbers at the top."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Use over time: two sizes of the chart, what its colours mean, and the same as a table."""

    title: str
    summary: str
    wide: Chart
    narrow: Chart
    legend: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    empty: bool


def kind_name(kind: str) -> str:
    """What a kind of work is called, in the plural and with a capital."""
    names = {"image": title("pictures"), "video": "Videos", "prompt": "Prompts", "chat": "Answers"}
    return names.get(kind, "Other")


def address(path: str, **query: object) -> str:
    """`path` with what is given."""
    given = {name: str(value) for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def period_links(measure: str | None) -> list[tuple[str, str]]:
    """Addresses and words of the periods one can choose."""
    return [(address("/dashboard", days=days, show=measure), words) for days, words in RANGES.items()]


def step_links(period: Period, measure: str | None) -> list[tuple[str, str]]:
    """Addresses and words of how the period may be divided."""
    return [
        (address("/dashboard", days=period.days, step=step, show=measure), step.capitalize())
        for step in STEPS[period.days]
    ]


def measure_links(period: Period) -> list[tuple[str, str]]:
    """Addresses and words of what the chart may count."""
    return [
        (address("/dashboard", days=period.days, step=period.step, show=measure), words)
        for measure, words in (("credits", title("credits")), ("requests", "Requests"))
    ]


def measure_of(asked: str | None, total: Figures, *, credited: bool = True) -> Measure:
    """What the chart counts: as asked, else credits unless only allowances paid. Never credits where nobody has any."""
    if not credited and not total.spent:
        return "requests"
    if asked in ("credits", "requests"):
        return "credits" if asked == "credits" else "requests"
    return "credits" if total.spent or not total.requests else "requests"


def stats(period: Period, used: Usage, balances: Balances, *, counted: str = CREDIT) -> tuple[Stat, ...]:
    """What is left, used, asked for, how much of it worked, and how long it took. `counted`: the unit that matters
    first where nobody has credits."""
    total, kinds = used.total, used.by_kind()
    made = [unit_words(kind, figures.delivered) for kind, figures in _ordered(kinds) if figures.delivered]
    in_credits = counted == CREDIT or balances.balance or total.spent
    return (
        *(
            (
                Stat(f"{title('credits')} left", credits_text(balances.balance), _left_note(balances)),
                Stat(f"Used, {period.words}", credits_text(total.spent), _used_note(total, used.before, period)),
            )
            if in_credits
            else (
                Stat(f"{_unit_name(counted)} left", f"{balances.allowances.get(counted, 0):,}",
                     _others_left(balances, counted)),
                Stat(f"Used, {period.words}", f"{total.uses:,}", _used_of_plan(total, used.before, period)),
            )
        ),
        Stat("Requests", f"{total.requests:,}", ", ".join(made) or "Nothing made yet"),
        Stat("Success rate", _percent(total.success), _failed_note(total)),
        Stat(
            "Time spent", duration(total.seconds) if total.succeeded else "–",
            f"{duration(total.mean_seconds)} on average" if total.mean_seconds is not None else "Of what succeeded",
        ),
    )  # fmt: skip


def _left_note(balances: Balances) -> str:
    if balances.held:
        return f"{credits_text(balances.held)} more held for running work"
    uses = [unit_words(unit, count) for unit, count in balances.allowances.items() if count]
    if uses:
        return f"and {', '.join(uses)}"
    lasting = sum(lot.remaining for lot in balances.lots if lot.unit == CREDIT and lot.expires_at is None)
    return f"{credits_text(lasting)} never expire" if balances.balance else "None left"


def _others_left(balances: Balances, counted: str) -> str:
    uses = [unit_words(unit, count) for unit, count in balances.allowances.items() if count and unit != counted]
    return f"and {', '.join(uses)}" if uses else "of your plan"


def _used_of_plan(now: Figures, before: Figures, period: Period) -> str:
    if not before.uses:
        return "All paid for by your plan" if now.uses else f"Nothing in the {period.words} before"
    return f"{_change(now.uses, before.uses)} on the {period.words} before"


def _used_note(now: Figures, before: Figures, period: Period) -> str:
    if now.uses and not now.spent:
        return f"{now.uses:,} paid for by your plan"
    if not before.spent:
        return f"Nothing in the {period.words} before"
    return f"{_change(now.spent, before.spent)} on the {period.words} before"


def _change(now: int, before: int) -> str:
    """ "+12 %", "−3 %", "±0 %"."""
    change = round(100 * (now - before) / before)
    return f"{'+' if change > 0 else '−' if change < 0 else '±'}{abs(change):,} %"


def _failed_note(total: Figures) -> str:
    if total.success is None:
        return "Nothing has ended yet" if total.requests else "Nothing asked for yet"
    return f"{total.failed:,} failed, 0 charged" if total.failed else "None failed"


def _percent(share: float | None) -> str:
    """Never 100 while one failed."""
    if share is None:
        return "–"
    shown = min(round(100 * share, 1), 99.9 if share < 1 else 100.0)
    return f"{shown:.1f}".removesuffix(".0") + " %"


def duration(seconds: float) -> str:
    """ "8.2 s", "3 min 20 s", "5 h 12 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {left} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def drawing(period: Period, used: Usage, measure: Measure) -> Drawing:
    """The columns of every step, stacked by kind."""
    kinds = [kind for kind, _ in _ordered(used.by_kind())]
    steps = period.steps()
    columns, table = [], []
    for start in steps:
        figures = [used.steps.get((start, kind), Figures()) for kind in kinds]
        amounts = [_amount(one, measure) for one in figures]
        columns.append(
            Column(
                period.name(start), _amount_words(sum(amounts), measure),
                tuple(amount / MICRO if measure == "credits" else float(amount) for amount in amounts) or (0.0,),
                tuple(f"{kind_name(kind)} {_figure(amount, measure)}" if amount else ""
                      for kind, amount in zip(kinds, amounts, strict=True)),
            )
        )  # fmt: skip
        if any(amounts):
            table.append((period.name(start), *(_figure(amount, measure) for amount in (*amounts, sum(amounts)))))
    numbers = [_COLOURS.get(kind, _OTHER) for kind in kinds] or [1]
    counted = title("credits") if measure == "credits" else "Requests"
    highest = max(columns, key=lambda column: column.value)
    what = f"{counted} a {period.step} over {period.words}"
    return Drawing(
        title=f"{counted} a {period.step}",
        summary=f"{what}, highest {highest.words} on {highest.label}" if highest.value else f"{what}: none",
        wide=columns_chart(columns, numbers, width=768, height=236, labels=8, whole=measure == "requests"),
        narrow=columns_chart(
            columns,
            numbers,
            width=330,
            height=190,
            labels=3 if period.step == "week" else 4,
            whole=measure == "requests",
        ),
        legend=tuple((kind_name(kind), number) for kind, number in zip(kinds, numbers, strict=False)),
        heads=(period.step.capitalize(), *map(kind_name, kinds), "Together"),
        table=tuple(table),
        empty=not highest.value,
    )


def _amount(figures: Figures, measure: Measure) -> int:
    return figures.spent if measure == "credits" else figures.requests


def _figure(amount: int, measure: Measure) -> str:
    return credits_text(amount) if measure == "credits" else f"{amount:,}"


def _amount_words(amount: int, measure: Measure) -> str:
    if measure == "credits":
        return credits_words(amount)
    return "1 request" if amount == 1 else f"{amount:,} requests"


def _ordered(kinds: Mapping[str, Figures]) -> list[tuple[str, Figures]]:
    order = [*_COLOURS, *sorted(set(kinds) - set(_COLOURS))]
    return [(kind, kinds[kind]) for kind in order if kind in kinds]


def kind_bars(used: Usage) -> list[Bar]:
    """Each kind of work."""
    return _bars([(kind_name(kind), figures) for kind, figures in _ordered(used.by_kind())])


def model_bars(used: Usage, named: Named) -> list[Bar]:
    """The models that cost most."""
    return _bars([(named(model.key, model.name), model.figures) for model in used.models], timed=True)


def member_bars(used: Usage, members: Mapping[UUID, str]) -> list[Bar]:
    """The members who spent most; those who did nothing stand at the end."""
    idle = [user_id for user_id in members if user_id not in dict(used.members)]
    everybody = [*used.members, *((user_id, Figures()) for user_id in sorted(idle, key=members.__getitem__))]
    return _bars([(member_name(user_id, members), figures) for user_id, figures in everybody])


def provider_bars(used: Usage, providers: Mapping[str, str]) -> list[Bar]:
    """By the connection that each model is asked through now. For operators only."""
    found: dict[str, Figures] = {}
    for model in used.models:
        name = providers.get(model.key, "No longer offered")
        found[name] = found.get(name, Figures()) + model.figures
    return _bars(sorted(found.items(), key=lambda one: (-one[1].spent, -one[1].requests)))


def _bars(rows: Sequence[tuple[str, Figures]], *, timed: bool = False) -> list[Bar]:
    shown = [*rows[:_SHOWN]]
    if rest := rows[_SHOWN:]:
        shown.append((f"{len(rest)} more", sum((figures for _, figures in rest), Figures())))
    spent = any(figures.spent for _, figures in rows)
    sizes = [figures.spent if spent else figures.requests for _, figures in shown]
    top = max(sizes, default=0) or 1
    return [
        (label, _share_words(figures, timed=timed), round(100 * size / top))
        for (label, figures), size in zip(shown, sizes, strict=True)
    ]


def _share_words(figures: Figures, *, timed: bool) -> str:
    words = [credits_words(figures.spent)] if figures.spent or not figures.uses else []
    words += [f"{figures.uses:,} by the plan"] if figures.uses else []
    if timed and figures.mean_seconds is not None:
        words.append(duration(figures.mean_seconds))
    else:
        words.append(_amount_words(figures.requests, "requests"))
    return " · ".join(words)


def plan_bars(lots: Sequence[LotView], grants: Mapping[str, int]) -> list[tuple[str, str, int, bool]]:
    """What this month's plan gave and how much of it is used: label, words, percent, and whether little is left."""
    found = []
    for unit, given in grants.items():
        monthly = [lot for lot in lots if lot.unit == unit and lot.source == "plan"]
        used = given - sum(lot.remaining for lot in monthly)
        label = title("credits") if unit == CREDIT else _unit_name(unit)
        words = f"{credits_text(used)} of {credits_text(given)}" if unit == CREDIT else f"{used:,} of {given:,}"
        found.append((label, f"{words} used", round(100 * used / given), used >= 0.8 * given))
    return found


def _unit_name(unit: str) -> str:
    many = unit_words(unit, 2).partition(" ")[2]
    return many[:1].upper() + many[1:]


def lot_bars(lots: Sequence[LotView]) -> list[Bar]:
    """What was got besides the monthly plan: label, words and percent left."""
    return [
        (
            _lot_name(lot) + (f", until {_day(lot.expires_at)}" if lot.expires_at else ""),
            f"{_lot_amount(lot.unit, lot.remaining)} of {_lot_amount(lot.unit, lot.amount)} left",
            round(100 * lot.remaining / lot.amount),
        )
        for lot in lots
        if lot.source != "plan"
    ]


def _lot_name(lot: LotView) -> str:
    if lot.source == "sign_up":
        return f"Welcome {word('credits') if lot.unit == CREDIT else _unit_name(lot.unit).lower()}"
    return "Bought" if lot.source == "pack" else "Added for you"


def _lot_amount(unit: str, amount: int) -> str:
    return credits_text(amount) if unit == CREDIT else unit_words(unit, amount)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B}"


def running_out(
    lots: Sequence[LotView], grants: Mapping[str, int], renews: datetime | None, *, credited: bool = True
) -> str:
    """A sentence about the allowance that ends first, "" while there is enough of all."""
    for unit, given in grants.items():
        left = sum(lot.remaining for lot in lots if lot.unit == unit and lot.source == "plan")
        if unit != CREDIT and left <= given * 0.2:
            until = f" until {day_words(renews)}" if renews else ""
            some = f"{unit_words(unit, left)} left" if left else f"No {_unit_name(unit).lower()} left"
            if not credited:
                return f"{some}{until}."
            return (
                f"{some}{until}. After that {word('credits')} pay."
                if left
                else f"{some}{until}: {word('credits')} pay."
            )
    return ""


def flows(
    period: Period, used: Usage, moved: Mapping[tuple[str, str], int], balances: Balances
) -> list[tuple[str, str]]:
    """Where credits came from and went in the period: label and words."""
    rows = [
        ("Received", moved.get(("grant", CREDIT), 0)), ("Used", used.total.spent),
        ("Expired", moved.get(("expire", CREDIT), 0)), ("Taken back", moved.get(("refund", CREDIT), 0)),
        ("Held now", balances.held), ("Owed", balances.debt),
    ]  # fmt: skip
    return [
        (label, credits_text(amount)) for label, amount in rows if amount or label in ("Received", "Used", "Held now")
    ]
