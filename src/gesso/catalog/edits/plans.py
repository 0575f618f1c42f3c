"""Changing plans: what they give, allow and cost. An operator's values win over what an edition says later."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gesso.catalog import rows
from gesso.catalog.changes import FELT
from gesso.catalog.edits.selling import CENTS_MOST, CURRENCY, insert, update
from gesso.catalog.items import UNITS, Model, Plan
from gesso.core.errors import InvalidInput, NotFound
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.db import ElevatedSession

MISSING = "There is no such plan."
Limits = Mapping[str, int | tuple[str, ...] | Literal[False]]
_AMOUNT_MOST = 1_000_000_000
_WHOLE: Mapping[str, tuple[int, int]] = {
    "parallel": (1, 1000), "queue_priority": (0, 1000), "max_count": (1, 100), "month_cents": (1, CENTS_MOST),
    "year_cents": (1, CENTS_MOST), "retention_days": (1, 36_500), "characters": (0, 1_000_000),
}  # fmt: skip
"""Least and most of its whole numbers, as an edition's file may have them; those of items.Plan that may be None too."""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What an operator says of a plan (see items.Plan)."""

    name: str
    description: str = ""
    signup_grants: Mapping[str, int] = field(default_factory=dict)
    monthly_grants: Mapping[str, int] = field(default_factory=dict)
    parallel: int = 1
    queue_priority: int = 0
    max_count: int = 4
    limits: Limits = field(default_factory=dict)
    month_cents: int | None = None
    year_cents: int | None = None
    currency: str = "usd"
    models: tuple[str, ...] = ()
    watermark: bool = False
    retention_days: int | None = None
    advanced: bool = True
    characters: int | None = None
    own_keys: bool = False

    @classmethod
    def of(cls, plan: Plan) -> "PlanFacts":
        """Of a stored plan."""
        return cls(**{name: getattr(plan, name) for name in cls.__dataclass_fields__})

    def columns(self) -> dict[str, Any]:
        """As the row has them."""
        plan = Plan(id=new_id(), key="", **{name: getattr(self, name) for name in self.__dataclass_fields__})
        found = rows.columns(plan, {})
        del found["position"]
        return found


def problems(facts: PlanFacts, models: Sequence[Model]) -> dict[str, str]:
    """Field → what is wrong. A limit of a setting that no model of the site has is a slip. Pure."""
    wrong = {}
    if not 1 <= len(facts.name) <= 80:
        wrong["name"] = "Give it a name of at most 80 characters."
    if len(facts.description) > 400:
        wrong["description"] = "Use at most 400 characters."
    for name, (low, high) in _WHOLE.items():
        value = getattr(facts, name)
        if value is not None and not low <= value <= high:
            wrong[name] = f"Give a number from {low:,} to {high:,}."
    for name in ("signup_grants", "monthly_grants"):
        for unit, amount in getattr(facts, name).items():
            most = _AMOUNT_MOST * (MICRO if unit == "credit" else 1)
            if unit not in UNITS or not 1 <= amount <= most:
                wrong[name] = f"Give amounts above 0, at most a thousand million, of {', '.join(UNITS)}."
    if not re.fullmatch(CURRENCY, facts.currency):
        wrong["currency"] = "Give a currency's three letters, such as usd."
    known = {model.key for model in models}
    if odd := [key for key in facts.models if key not in known]:
        wrong["models"] = f"There is no model “{odd[0]}”."
    if problem := _limits_problem(facts.limits, {name for model in models for name in model.settings}):
        wrong["limits"] = problem
    return wrong


def _limits_problem(limits: Limits, settings: Collection[str]) -> str:
    for name, value in limits.items():
        if name not in settings:
            return f"No model of this site has a setting “{name}”."
        number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        choices = isinstance(value, tuple) and bool(value) and all(isinstance(item, str) for item in value)
        if not (value is False or number or choices):
            return f"“{name}” must be a highest number, a list of allowed choices, or false."
    return ""


async def get_plan(tx: ElevatedSession, key: str) -> Plan:
    """The stored plan. Raises NotFound."""
    for plan in rows.read_items(await rows.fetch(tx, "plan"), rows.plan_of):
        if plan.key == key:
            return plan
    raise NotFound(MISSING)


def changes(before: Plan, facts: PlanFacts) -> dict[str, tuple[Any, Any]]:
    """Column → (what it is, what it becomes), as JSON values. Pure."""
    old, new = PlanFacts.of(before).columns(), facts.columns()
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


def felt(changed: Collection[str]) -> tuple[str, ...]:
    """Of these columns the ones that people on the plan feel. What is given at sign-up touches nobody who is here."""
    return tuple(name for name in changed if name in FELT["plan"] and name != "signup_grants")


async def save_plan(tx: ElevatedSession, key: str, facts: PlanFacts, *, new: bool) -> dict[str, tuple[Any, Any]]:
    """Add a plan behind all others, or change one; returns what changed.

    Raises InvalidInput naming every wrong field, NotFound, Conflict for a key that is taken.
    """
    if wrong := problems(facts, rows.read_items(await rows.fetch(tx, "model"), rows.model_of)):
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    if new:
        columns = facts.columns()
        await insert(tx, "plan", key, columns)
        return {name: (None, value) for name, value in columns.items()}
    found = changes(await get_plan(tx, key), facts)
    await update(tx, "plan", key, {name: after for name, (_, after) in found.items()})
    return found
