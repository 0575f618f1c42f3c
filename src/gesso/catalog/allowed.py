"""What a plan lets people do with models and their settings, and which plan opens the rest. Pure.

`plans` are all plans, cheapest first: of several that open something, the first is named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gesso.catalog.items import Model, Plan
from gesso.core.errors import PlanLimit

_ADVANCED = frozenset({"negative_prompt", "steps", "guidance", "seed", "output_format"})
"""Settings that belong under the fold, unless their `x-advanced` says otherwise."""


def is_advanced(name: str, prop: Mapping[str, Any]) -> bool:
    """Whether the setting belongs under the fold."""
    return bool(prop.get("x-advanced", name in _ADVANCED))


def pinned(plan: Plan, name: str, prop: Mapping[str, Any]) -> bool:
    """Whether the plan holds the setting at its default. What `limits` names is not held for being advanced."""
    limit = plan.limits.get(name)
    return limit is False if limit is not None else not plan.advanced and is_advanced(name, prop)


def plan_allows(plan: Plan, name: str, value: Any, prop: Mapping[str, Any]) -> bool:
    """Whether the plan lets this value through."""
    if name == "count":
        return not isinstance(value, int) or value <= plan.max_count
    if pinned(plan, name, prop):
        return bool(value == prop.get("default", ""))
    limit = plan.limits.get(name)
    if limit is None:
        return True
    if isinstance(limit, tuple):
        return value in limit
    return bool(value <= limit)


def opener(plans: Sequence[Plan], name: str, value: Any, prop: Mapping[str, Any]) -> Plan | None:
    """The first plan that lets this value through."""
    return next((plan for plan in plans if plan_allows(plan, name, value, prop)), None)


def unpinned_by(plans: Sequence[Plan], name: str, prop: Mapping[str, Any]) -> Plan | None:
    """The first plan on which the setting can be changed."""
    return next((plan for plan in plans if not pinned(plan, name, prop)), None)


def raised_by(plans: Sequence[Plan], name: str, cap: float, most: float) -> Plan | None:
    """The first plan that lets a number go above `cap`, where the model takes up to `most`."""
    if cap >= most:
        return None
    return next((plan for plan in plans if _cap(plan, name, most) > cap), None)


def _cap(plan: Plan, name: str, most: float) -> float:
    limit = plan.limits.get(name)
    if limit is None:
        return most if plan.advanced else 0
    return limit if isinstance(limit, int) and limit is not False else 0


def opens(plan: Plan, model: Model) -> bool:
    """Whether the plan has this model."""
    return not plan.models or model.key in plan.models


def model_opener(plans: Sequence[Plan], model: Model) -> Plan | None:
    """The first plan that has this model."""
    return next((plan for plan in plans if opens(plan, model)), None)


def check_model(model: Model, plan: Plan, plans: Sequence[Plan]) -> None:
    """Raises PlanLimit on field `model` when the plan does not have it."""
    if opens(plan, model):
        return
    found = model_opener(plans, model)
    way_out = f" {found.name} opens it." if found is not None else " Choose another model."
    reason = f"{model.name} is not part of the {plan.name} plan.{way_out}"
    raise PlanLimit(reason, fields={"model": reason}, plan=plan.key, opened_by=found.key if found else None)
