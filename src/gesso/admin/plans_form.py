"""The forms of plans and packs: texts to facts and back, and changes in words. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, Field

from gesso.admin.typed import json_object, shown
from gesso.billing import words
from gesso.catalog.edits.packs import PackFacts
from gesso.catalog.edits.plans import Limits, PlanFacts
from gesso.catalog.items import UNITS, Pack, Plan
from gesso.core.errors import GessoError, InvalidInput
from gesso.core.money import format_credits, parse_credits
from gesso.credits.types import CREDIT, format_amount
from gesso.web.forms import Form, blank
from gesso.web.wording import unit_words, word

KEY = r"^[a-z0-9][a-z0-9-]{0,62}$"
Amount = Annotated[str, Field(max_length=30)]
Whole = Annotated[int | None, Field(ge=0, le=10**9)]
LABELS = {
    "name": "Name", "key": "Short name", "description": "Description", "signup_grants": "Given at sign-up",
    "monthly_grants": "Given every month", "parallel": "At once", "queue_priority": "Place in the queue",
    "max_count": "Outputs of one request", "limits": "Limits of settings", "month_cents": "Price a month",
    "year_cents": "Price a year", "currency": "Currency", "models": "Models", "watermark": "Watermark",
    "retention_days": "Kept for", "advanced": "Advanced settings", "characters": "Characters",
    "own_keys": "Own provider keys", "credits": "Credits", "price_cents": "Price", "confirmed": "Confirm",
    "hidden": "Hidden",
}  # fmt: skip


class Wrong:
    """Gathers what is wrong in several fields."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def read(self, name: str, parse: Any, *args: Any) -> Any:
        """What `parse` makes of it; None and a note under `name` when it cannot."""
        try:
            return parse(*args)
        except GessoError as error:
            self.fields[name] = next(iter(error.fields.values()), error.detail)
            return None

    def done(self) -> None:
        """Raises InvalidInput naming every wrong field."""
        if self.fields:
            raise InvalidInput(" ".join(self.fields.values()), fields=self.fields)


class PlanForm(BaseModel):
    """A plan as it is typed. Each unit has a field of its own: signup_credit, monthly_image …"""

    name: Annotated[str, Field(max_length=80)]
    description: Annotated[str, Field(max_length=400)] = ""
    signup_credit: Amount = ""
    signup_image: Amount = ""
    signup_video: Amount = ""
    signup_chat: Amount = ""
    signup_prompt: Amount = ""
    monthly_credit: Amount = ""
    monthly_image: Amount = ""
    monthly_video: Amount = ""
    monthly_chat: Amount = ""
    monthly_prompt: Amount = ""
    parallel: Annotated[int, Field(ge=1, le=1000)]
    queue_priority: Annotated[int, Field(ge=0, le=1000)] = 0
    max_count: Annotated[int, Field(ge=1, le=100)]
    limits: Annotated[str, Field(max_length=5000)] = ""
    month_cents: Amount = ""
    year_cents: Amount = ""
    currency: Annotated[str, Field(max_length=3)] = "usd"
    models: list[str] = []
    watermark: bool = False
    retention_days: Whole = None
    advanced: bool = False
    characters: Whole = None
    own_keys: bool = False
    confirmed: bool = False

    def facts(self) -> PlanFacts:
        """As the service takes it. Raises InvalidInput naming every wrong field."""
        wrong = Wrong()
        grants = {
            when: {
                unit: amount
                for unit in UNITS
                if (amount := wrong.read(f"{when}_{unit}", granted, unit, getattr(self, f"{when}_{unit}")))
            }
            for when in ("signup", "monthly")
        }
        limits = wrong.read("limits", json_object, self.limits, "limits")
        month = wrong.read("month_cents", cents, self.month_cents)
        year = wrong.read("year_cents", cents, self.year_cents)
        wrong.done()
        return PlanFacts(
            name=self.name, description=self.description, signup_grants=grants["signup"],
            monthly_grants=grants["monthly"], parallel=self.parallel, queue_priority=self.queue_priority,
            max_count=self.max_count, limits=limits_of(limits), month_cents=month, year_cents=year,
            currency=self.currency.lower(), models=tuple(self.models), watermark=self.watermark,
            retention_days=self.retention_days, advanced=self.advanced, characters=self.characters,
            own_keys=self.own_keys,
        )  # fmt: skip


class NewPlanForm(PlanForm):
    """A new one also says what it is called in addresses and in the API."""

    key: Annotated[str, Field(pattern=KEY)]


class PackForm(BaseModel):
    """A pack as it is typed."""

    name: Annotated[str, Field(max_length=80)]
    credits: Amount
    price_cents: Amount
    currency: Annotated[str, Field(max_length=3)] = "usd"

    def facts(self) -> PackFacts:
        """As the service takes it. Raises InvalidInput naming every wrong field."""
        wrong = Wrong()
        credits = wrong.read("credits", parse_credits, self.credits)
        price = wrong.read("price_cents", cents, self.price_cents)
        wrong.done()
        return PackFacts(self.name, credits, price or 0, self.currency.lower())


class NewPackForm(PackForm):
    """A new one also says what it is called in addresses and in the API."""

    key: Annotated[str, Field(pattern=KEY)]


def granted(unit: str, text: str) -> int:
    """Microcredits or uses; nothing of an empty field. Raises InvalidInput."""
    if not text:
        return 0
    if unit == CREDIT:
        return parse_credits(text)
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput("Give whole uses, such as 5.")
    return int(text)


def cents(text: str) -> int | None:
    """“9.99” → 999; None of an empty field. Raises InvalidInput."""
    if not text:
        return None
    try:
        amount = Decimal(text) * 100
        exact = amount.is_finite() and amount == amount.to_integral_value() and 0 < amount <= 10**12
    except InvalidOperation:
        exact = False
    if not exact:
        raise InvalidInput("Give a price such as 9.99, or leave it empty.")
    return int(amount)


def money(value: int | None, currency: str) -> str:
    """999 → “$9.99”, “–” of nothing."""
    return "–" if value is None else words.money(value, currency)


def limits_of(limits: Mapping[str, Any]) -> Limits:
    """From JSON: lists become tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in limits.items()}


def filled_plan(plan: Plan) -> Form[Any]:
    """The form of a stored plan."""
    facts = PlanFacts.of(plan).columns()
    typed: dict[str, Any] = {
        **{name: value for name, value in facts.items() if not name.endswith("_grants")},
        **{name: f"{facts[name] / 100:.2f}" if facts[name] else "" for name in ("month_cents", "year_cents")},
        **{name: "" if facts[name] is None else facts[name] for name in ("retention_days", "characters")},
        **{name: "true" if facts[name] else "" for name in ("watermark", "advanced", "own_keys")},
        "limits": shown(facts["limits"]),
    }
    for when, grants in (("signup", plan.signup_grants), ("monthly", plan.monthly_grants)):
        typed |= {f"{when}_{unit}": format_amount(unit, amount) for unit, amount in grants.items()}
    return blank(**typed)


def filled_pack(pack: Pack) -> Form[Any]:
    """The form of a stored pack."""
    return blank(
        name=pack.name, credits=format_credits(pack.credits), price_cents=f"{pack.price_cents / 100:.2f}",
        currency=pack.currency,
    )  # fmt: skip


def words_of(column: str, value: Any, currency: str) -> str:
    """A value of a plan's or a pack's column for people."""
    if column.endswith("_grants"):
        return given_words(value) or "nothing"
    if column in ("month_cents", "year_cents", "price_cents"):
        return "not sold so" if value is None else money(value, currency)
    if column == "credits":
        return format_credits(value)
    if column == "models":
        return ", ".join(value) or "all"
    if column == "limits":
        return "; ".join(_limit_words(name, limit) for name, limit in value.items()) or "none"
    if column == "retention_days":
        return "for good" if value is None else f"{value:,} days"
    if value is None:
        return "as many as one likes"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _limit_words(name: str, limit: Any) -> str:
    if limit is False:
        return f"{name} pinned"
    return f"{name} {', '.join(limit)}" if isinstance(limit, list | tuple) else f"{name} at most {limit:,}"


def given_words(grants: Mapping[str, int]) -> str:
    """“25 credits, 5 videos”."""
    parts = []
    for unit in UNITS:
        if amount := grants.get(unit):
            text = f"{format_credits(amount)} {word('credits')}" if unit == CREDIT else unit_words(unit, amount)
            parts.append(text)
    return ", ".join(parts)
