"""A model's form: its capability schema as fields a page can draw. Pure.

What the person's plan forbids stays visible, locked, with the plan that opens it; what no plan opens is left
out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, Literal

from gesso.catalog.allowed import is_advanced, opener, pinned, plan_allows, raised_by, unpinned_by
from gesso.catalog.checks import default_of, label_of
from gesso.catalog.items import Model, Plan
from gesso.catalog.rules import choices_of, size_of

FieldKind = Literal["segmented", "slider", "number", "select", "text", "switch", "size", "seed", "count", "references"]
_SEGMENTS = 4


@dataclass(frozen=True)
class Choice:
    """One of a field's values. `aspect` is width and height in smallest whole numbers, to draw its shape."""

    value: Any
    label: str
    aspect: tuple[int, int] | None = None
    pixels: tuple[int, int] | None = None
    locked_by: str | None = None


@dataclass(frozen=True)
class Field:
    """One control. `name` is the request's parameter; `max_length` is in characters.

    `locked_by` names the plan on which it can be changed at all, `raised_by` the one on which `maximum` is higher.
    """

    name: str
    kind: FieldKind
    label: str
    help: str
    required: bool
    default: Any
    minimum: int | float | None = None
    maximum: int | float | None = None
    step: int | float | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    choices: tuple[Choice, ...] = ()
    advanced: bool = False
    locked_by: str | None = None
    raised_by: str | None = None


def form_fields(model: Model, plan: Plan | None = None, plans: Sequence[Plan] = ()) -> tuple[Field, ...]:
    """The model's controls in the schema's order, the prompt among them.

    `plans` are all plans, cheapest first: the first that allows a locked choice is named on it. What no plan lets
    anybody change is not among them.
    """
    return tuple(
        _field(model, name, plan, plans)
        for name, prop in model.settings.items()
        if plan is None or not pinned(plan, name, prop) or unpinned_by(plans, name, prop) is not None
    )


def _field(model: Model, name: str, plan: Plan | None, plans: Sequence[Plan]) -> Field:
    prop = model.settings[name]
    choices = _choices(name, prop, plan, plans)
    default = default_of(name, prop, plan)
    maximum = prop.get("maximum")
    locked_by = more = None
    if plan is not None:
        limit = plan.limits.get(name)
        if pinned(plan, name, prop):
            locked_by = unpinned_by(plans, name, prop)
        elif isinstance(limit, int) and maximum is not None:
            more = raised_by(plans, name, limit, maximum)
            maximum = min(maximum, limit)
        if name == "count" and maximum is not None:
            maximum = min(maximum, plan.max_count)
    return Field(
        name=name,
        kind=_kind(name, prop, len(choices)),
        label=label_of(name, prop),
        help=str(prop.get("description", "")),
        required=name in model.capabilities.get("required", ()),
        default=default,
        minimum=prop.get("minimum"),
        maximum=maximum,
        step=prop.get("x-step", {"integer": 1, "number": 0.1}.get(prop["type"])),
        max_length=prop.get("maxLength"),
        min_items=prop.get("minItems"),
        max_items=prop.get("maxItems"),
        choices=choices,
        advanced=is_advanced(name, prop),
        locked_by=locked_by.name if locked_by else None,
        raised_by=more.name if more else None,
    )


def _kind(name: str, prop: dict[str, Any], choices: int) -> FieldKind:
    if name in ("size", "aspect_ratio"):
        return "size"
    if name == "seed":
        return "seed"
    if name == "count":
        return "count"
    if prop["type"] == "array":
        return "references"
    if choices:
        return "segmented" if choices <= _SEGMENTS else "select"
    if prop["type"] == "boolean":
        return "switch"
    if prop["type"] in ("integer", "number"):
        return "slider" if "minimum" in prop and "maximum" in prop else "number"
    return "text"


def _choices(name: str, prop: dict[str, Any], plan: Plan | None, plans: Sequence[Plan]) -> tuple[Choice, ...]:
    values: Sequence[Any] = choices_of(prop)
    if name == "count":
        values = range(1, prop["maximum"] + 1)
    titles = {choice["const"]: choice.get("title") for choice in prop.get("oneOf", ())}
    drawn = []
    for value in values:
        locked_by = None
        if plan is not None and not plan_allows(plan, name, value, prop):
            found = opener(plans, name, value, prop)
            if found is None:
                continue
            locked_by = found.name
        pixels = size_of(value) if name == "size" else None
        drawn.append(Choice(value, str(titles.get(value) or value), _aspect(name, value), pixels, locked_by))
    return tuple(drawn)


def _aspect(name: str, value: Any) -> tuple[int, int] | None:
    if name == "size" and (pixels := size_of(value)):
        shared = gcd(*pixels)
        return pixels[0] // shared, pixels[1] // shared
    if name == "aspect_ratio" and ":" in str(value):
        width, _, height = str(value).partition(":")
        return int(width), int(height)
    return None
