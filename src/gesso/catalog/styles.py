"""Styles people choose: a model takes them when its capability schema has a `style` without choices of its own. Pure.

A style's words are added when a provider is asked, so that what people wrote stays theirs and an edited style is live
at once; its settings fill in what was not given. A `style` with its own choices is the provider's list, and ours has
no part in it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gesso.catalog.allowed import plan_allows
from gesso.catalog.items import Model, Plan, StylePreset
from gesso.catalog.rules import choices_of
from gesso.catalog.schema import validator
from gesso.core.errors import InvalidInput

SETTING = "style"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OWN = frozenset({"prompt", "negative_prompt", "count", "seed", "references", SETTING})
"""What is a person's to say, or a style's own part."""


def takes_styles(model: Model) -> bool:
    """Whether the site's styles can be chosen with this model."""
    prop = model.settings.get(SETTING)
    return prop is not None and not choices_of(prop)


def offered(model: Model, styles: Iterable[StylePreset]) -> tuple[StylePreset, ...]:
    """The styles to choose from with this model, in their order."""
    return tuple(style for style in styles if style.enabled) if takes_styles(model) else ()


def chosen(model: Model, params: Mapping[str, Any], styles: Sequence[StylePreset]) -> StylePreset | None:
    """The style that is asked for; None for none, or where `style` is the provider's own. Raises InvalidInput."""
    wanted = params.get(SETTING)
    if wanted in (None, "") or not takes_styles(model):
        return None
    known = offered(model, styles)
    found = next((style for style in known if style.key == wanted), None)
    if found is None:
        names = ", ".join(style.key for style in known)
        reason = "This style is not here any more. " + (f"Choose one of: {names}." if names else "Leave it out.")
        raise InvalidInput(reason, fields={SETTING: reason})
    return found


def fitting(model: Model, style: StylePreset, plan: Plan) -> dict[str, Any]:
    """Those of a style's settings that this model takes, with a value that it and the plan allow."""
    return {
        name: value
        for name, value in style.settings.items()
        if (prop := model.settings.get(name)) is not None
        and not any(validator(prop).iter_errors(value))
        and plan_allows(plan, name, value, prop)
    }


def filled(model: Model, params: Mapping[str, Any], style: StylePreset | None, plan: Plan) -> dict[str, Any]:
    """The parameters with the style's settings where nothing was given."""
    given = {name: value for name, value in params.items() if value is not None and not (name == SETTING and not value)}
    return {**(fitting(model, style, plan) if style else {}), **given}


def styled(prompt: str, negative: str | None, style: StylePreset | None) -> tuple[str, str | None]:
    """What is asked of the provider, and what is to be left out: a person's words first, then the style's."""
    if style is None:
        return prompt, negative
    return _joined(prompt, style.prompt), _joined(negative or "", style.negative_prompt) or None


def _joined(first: str, second: str) -> str:
    return ", ".join(part for part in (first.rstrip().rstrip(","), second.strip()) if part)


def setting_problems(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a style cannot set: (name, reason)."""
    for name, value in settings.items():
        if not _NAME.fullmatch(name):
            yield name, "is not the name of a setting"
        elif name in _OWN:
            yield name, "is not a style's to set"
        elif not isinstance(value, str | int | float | bool):
            yield name, "must be a text, a number, true or false"
