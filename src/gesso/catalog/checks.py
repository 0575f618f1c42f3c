"""What a model accepts: checking a request, and the fields its form has. Pure.

Nothing is coerced: a wrong type is refused with a sentence that names the field, the limit and the way out.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from jsonschema.exceptions import ValidationError

from gesso.catalog.allowed import opener, pinned, plan_allows, unpinned_by
from gesso.catalog.items import Model, Plan
from gesso.catalog.rules import choices_of
from gesso.core.errors import InvalidInput, PlanLimit
from gesso.web.wording import an, title, word

LABELS = {
    "prompt": "Prompt", "negative_prompt": "Leave out", "size": "Size", "aspect_ratio": "Shape",
    "quality": "Quality", "steps": "Steps", "guidance": "Guidance", "seed": "Seed",
    "output_format": "Format", "duration": "Length", "style": "Style",
}  # fmt: skip


def label_of(name: str, prop: Mapping[str, Any]) -> str:
    """What the setting is called on the page."""
    return str(prop.get("title") or LABELS.get(name) or _things(name) or name.replace("_", " ").capitalize())


def _things(name: str) -> str:
    """Settings that are called by the edition's word for what is made."""
    return {"count": title("pictures"), "references": f"{title('pictures')} to work from"}.get(name, "")


def check(
    model: Model, params: Mapping[str, Any], plan: Plan | None = None, plans: Sequence[Plan] = ()
) -> dict[str, Any]:
    """The parameters with defaults filled in, in the schema's order, ready for pricing and the provider.

    A value of None counts as not given. With a `plan`, its limits hold too, and `plans` (cheapest first) let
    the message name the plan that opens a setting. Raises InvalidInput with one message per field; PlanLimit when the
    plan is all that is in the way.
    """
    given = {name: value for name, value in params.items() if value is not None}
    wrong: dict[str, str] = {}
    opened: list[Plan | None] = []
    for error in model.validator.iter_errors(given):
        for name, message in _explain(model, error, given):
            wrong.setdefault(name, message)
    for name, value in given.items():
        if name in wrong:
            continue
        problem = _text_problem(model, name, value)
        if problem is None and plan is not None:
            problem, found = _plan_problem(model, name, value, plan, plans)
            opened += [found] if problem is not None else []
        if problem is not None:
            wrong[name] = problem
    if plan is not None and wrong and len(wrong) == len(opened):
        best = max((found for found in opened if found), key=plans.index, default=None) if all(opened) else None
        sentences = " ".join(list(wrong.values())[:3])
        raise PlanLimit(sentences, fields=wrong, plan=plan.key, opened_by=best.key if best else None)
    if wrong:
        raise InvalidInput(" ".join(list(wrong.values())[:3]), fields=wrong)
    cleaned: dict[str, Any] = {}
    for name, prop in model.settings.items():
        if name in given:
            cleaned[name] = given[name]
        elif "default" in prop:
            cleaned[name] = default_of(name, prop, plan)
    return cleaned


def default_of(name: str, prop: Mapping[str, Any], plan: Plan | None = None) -> Any:
    """The setting's default, or the nearest the plan allows; None when there is none."""
    default = prop.get("default")
    if plan is None or default is None or plan_allows(plan, name, default, prop):
        return default
    limit = plan.max_count if name == "count" else plan.limits[name]
    return limit[0] if isinstance(limit, tuple) else limit


def from_form(model: Model, form: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
    """Typed parameters from an HTML form's texts, for `check`. Blank means not given.

    A text that is no number stays a text, so that `check` can say what is wrong with it.
    """
    params: dict[str, Any] = {}
    for name, prop in model.settings.items():
        value = form.get(name)
        if value is None:
            continue
        if prop["type"] == "array":
            texts = [value] if isinstance(value, str) else list(value)
            if texts := [text for text in texts if text]:
                params[name] = texts
            continue
        text = value if isinstance(value, str) else (value[-1] if value else "")
        if text.strip():
            params[name] = _typed(text, prop["type"])
    return params


def _typed(text: str, kind: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean":
        return {"on": True, "true": True, "1": True, "false": False, "0": False}.get(text, text)
    return text


def _explain(model: Model, error: ValidationError, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, sentence) for one violation of the schema."""
    if error.validator == "required":
        missing = [name for name in model.capabilities.get("required", ()) if name not in given]
        return [(name, _missing(model, name)) for name in missing]
    if error.validator == "additionalProperties":
        return [(str(name), _unknown(model, str(name))) for name in given if name not in model.settings]
    path = list(error.absolute_path)
    if not path:
        return [("", "The settings must be an object.")]
    name = str(path[0])
    return [(name, _violation(model, name, error, inside=len(path) > 1))]


def _missing(model: Model, name: str) -> str:
    if name == "prompt":
        return "Say what you would like to see."
    if name == "references":
        return _too_few(model, model.settings[name])
    return f"{label_of(name, model.settings[name])} is missing. {model.name} needs it."


def _unknown(model: Model, name: str) -> str:
    shown = _shown(name)
    other = {"aspect_ratio": "size", "size": "aspect_ratio"}.get(name)
    if other is not None and other in model.settings:
        choices = ", ".join(str(choice) for choice in choices_of(model.settings[other]))
        return f"{model.name} takes {other}, not {name}. Choose {other} out of {choices}."
    near = get_close_matches(name, list(model.settings), 1)
    if near:
        return f"{model.name} has no setting {shown}. Did you mean “{near[0]}”?"
    return f"{model.name} has no setting {shown}. It takes {', '.join(model.settings)}."


def _violation(model: Model, name: str, error: ValidationError, *, inside: bool) -> str:
    prop = model.settings[name]
    label = label_of(name, prop)
    value: Any = error.instance
    rule = str(error.validator)
    if inside or rule == "format":
        return f"{label} must be ids of your {word('pictures')}; {_shown(value)} is none."
    if rule == "type":
        return f"{label} must be {_type_name(prop['type'])}; you sent {_shown(value)}."
    if rule in ("enum", "oneOf", "const"):
        choices = ", ".join(str(choice) for choice in choices_of(prop))
        return f"{label} must be one of {choices} for {model.name}; you sent {_shown(value)}."
    if rule in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return f"{label} must be {_range(prop)} for {model.name}; you sent {_shown(value)}."
    if rule == "minLength":
        return _missing(model, name)
    if rule == "maxLength":
        return (
            f"{label} can have at most {prop['maxLength']:,} characters for {model.name}; "
            f"yours has {len(value):,}. Shorten it."
        )
    if rule == "maxItems":
        return f"{model.name} takes at most {prop['maxItems']} {label.lower()}; you sent {len(value)}."
    if rule == "minItems":
        return _too_few(model, prop)
    if rule == "uniqueItems":
        return f"{label}: the same one is given twice."
    if rule == "multipleOf":
        return f"{label} must be a multiple of {prop['multipleOf']}; you sent {_shown(value)}."
    return f"{label} is not usable for {model.name}: {_shown(value)}."


def _too_few(model: Model, prop: Mapping[str, Any]) -> str:
    least = prop.get("minItems", 1)
    wanted = an("picture") if least == 1 else f"at least {least} {word('pictures')}"
    return f"{model.name} needs {wanted} to work from. Add one."


def _text_problem(model: Model, name: str, value: Any) -> str | None:
    """What JSON Schema lets through and we cannot use: blank prompts, characters no database stores."""
    if not isinstance(value, str):
        return None
    prop = model.settings[name]
    if name in model.capabilities.get("required", ()) and not value.strip():
        return _missing(model, name)
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        return f"{label_of(name, prop)} holds a character that cannot be stored. Remove it."
    return None


def _plan_problem(
    model: Model, name: str, value: Any, plan: Plan, plans: Sequence[Plan]
) -> tuple[str | None, Plan | None]:
    """What the plan has against this value, and the plan that opens it."""
    prop = model.settings[name]
    if plan_allows(plan, name, value, prop):
        return None, None
    label = label_of(name, prop)
    if name != "count" and pinned(plan, name, prop):
        found = opener(plans, name, value, prop) or unpinned_by(plans, name, prop)
        return f"{label} cannot be changed on the {plan.name} plan.{_way_out(found)}", found
    found = opener(plans, name, value, prop)
    limit = plan.max_count if name == "count" else plan.limits[name]
    rule = f"must be {', '.join(map(str, limit))}" if isinstance(limit, tuple) else f"can be at most {limit}"
    return f"{label} {rule} on the {plan.name} plan; you sent {_shown(value)}.{_way_out(found)}", found


def _way_out(found: Plan | None) -> str:
    return f" {found.name} opens it." if found is not None else ""


def _range(prop: Mapping[str, Any]) -> str:
    low, high = prop.get("minimum"), prop.get("maximum")
    if low is not None and high is not None:
        return f"between {_number(low)} and {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"at most {_number(high)}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else f"{value:g}"


def _type_name(kind: str) -> str:
    return {
        "integer": "a whole number", "number": "a number", "string": "text",
        "boolean": "true or false", "array": "a list",
    }[kind]  # fmt: skip


def _shown(value: Any) -> str:
    """A value as a person may read it back, cut short; safe for any JSON value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 128:
        return "a very large number"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value).encode("utf-8", "replace").decode().replace("\x00", "�")
    return f"“{text[:40]}{'…' if len(text) > 40 else ''}”"
