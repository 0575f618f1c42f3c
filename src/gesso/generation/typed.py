"""What was typed into the composer's form, and making it fit another model. Pure."""

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

from gesso.catalog.capabilities import Field, form_fields
from gesso.catalog.items import Model, Plan
from gesso.catalog.rules import size_of

Typed = Mapping[str, str | list[str]]
"""A form as browsers send it: a text by name, or several under one name."""


def text_of(typed: Typed, name: str) -> str:
    """The text under a name; of several the last, as for a tick box after its hidden "false"."""
    value = typed.get(name, "")
    return value if isinstance(value, str) else (value[-1] if value else "")


def texts_of(typed: Typed, name: str) -> list[str]:
    """All texts under a name that are not empty."""
    value = typed.get(name, [])
    return [text for text in ([value] if isinstance(value, str) else value) if text]


def typed_of(params: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """A request's parameters as if they had been typed."""
    return {
        name: [str(item) for item in value] if isinstance(value, list | tuple) else form_text(value)
        for name, value in params.items()
        if value is not None
    }


def fitted(
    typed: Typed, model: Model, plan: Plan, plans: Sequence[Plan], before: Model | None = None
) -> dict[str, str | list[str]]:
    """What was typed, for another model: what fits stays, the rest falls back to the model's own defaults.

    What nobody changed in the model `before` is no wish: four steps are right for one model and too few for the
    next. A shape is carried over between models that ask for pixels and those that ask for a ratio.
    """
    kept = dict(typed)
    for field in form_fields(before, plan, plans) if before is not None else ():
        if field.default is not None and text_of(kept, field.name) == form_text(field.default):
            del kept[field.name]
    shape = _shape_of(kept)
    fields = form_fields(model, plan, plans)
    hidden = set(model.settings) - {field.name for field in fields}
    kept = {name: value for name, value in kept.items() if name not in hidden}
    for field in fields:
        if field.kind == "references":
            if field.max_items is not None and field.name in kept:
                kept[field.name] = texts_of(kept, field.name)[: field.max_items]
            continue
        if field.name in kept and _fits(field, text_of(kept, field.name)):
            continue
        kept.pop(field.name, None)
        if field.kind == "size" and shape is not None:
            same = (choice for choice in field.choices if choice.aspect == shape and choice.locked_by is None)
            if (choice := next(same, None)) is not None:
                kept[field.name] = str(choice.value)
    return kept


def form_text(value: Any) -> str:
    """A value as an HTML form holds it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _fits(field: Field, text: str) -> bool:
    if field.locked_by is not None:
        return False
    if field.choices:
        return any(form_text(choice.value) == text and choice.locked_by is None for choice in field.choices)
    if field.kind in ("slider", "number", "seed") and text:
        try:
            number = float(text)
        except ValueError:
            return False
        low, high = field.minimum, field.maximum
        return (low is None or number >= low) and (high is None or number <= high)
    return True


def _shape_of(typed: Typed) -> tuple[int, int] | None:
    """The shape that is chosen, in smallest whole numbers."""
    if pixels := size_of(text_of(typed, "size")):
        return _smallest(*pixels)
    width, _, height = text_of(typed, "aspect_ratio").partition(":")
    if width.isdecimal() and height.isdecimal() and int(width) and int(height):
        return _smallest(int(width), int(height))
    return None


def _smallest(width: int, height: int) -> tuple[int, int]:
    shared = gcd(width, height)
    return width // shared, height // shared
