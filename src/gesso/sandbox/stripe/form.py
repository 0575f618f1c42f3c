"""Request bodies: form-urlencoded with brackets, checked against what Stripe knows, so that a typing error is found."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gesso.sandbox.stripe.errors import invalid

Params = dict[str, Any]
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INTEGER = re.compile(r"-?\d{1,15}")
_LONGEST_LIST = 200
_METADATA_KEYS = 50


@dataclass(frozen=True)
class Group:
    """An object. Names ending in `!` must be given. `foreign`: names Stripe knows and the sandbox does not model."""

    fields: Mapping[str, "Spec"]
    foreign: frozenset[str] = frozenset()
    clears: bool = False
    """Whether an empty value stands for "take it away"."""


@dataclass(frozen=True)
class Each:
    """A list."""

    of: "Spec"


Leaf = Callable[[str, str], Any]
"""Turns (text, name of the parameter) into a value. Raises StripeError."""
Spec = Group | Each | Leaf


def text(value: str, name: str) -> str:
    """Any text but an empty one."""
    if value == "":
        raise invalid(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty "
            "value.", name, "parameter_invalid_empty",
        )  # fmt: skip
    return value


def clearable(value: str, name: str) -> str | None:
    """A text, or None for an empty one, which takes away what there was."""
    return value or None


def integer(value: str, name: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def amount(value: str, name: str) -> int:
    """Minor units, none below 0."""
    if (number := integer(value, name)) < 0:
        raise invalid("This value must be greater than or equal to 0.", name, "parameter_invalid_integer")
    return number


def flag(value: str, name: str) -> bool:
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return value == "true"


def url(value: str, name: str) -> str:
    if not re.match(r"https?://[^\s/]+", value):
        raise invalid("Not a valid URL", name, "url_invalid")
    return value


def one(*words: str) -> Leaf:
    """One of some words."""

    def read(value: str, name: str) -> str:
        if value not in words:
            raise invalid(f"Invalid {name}: must be one of {', '.join(words[:-1])} or {words[-1]}", name)
        return value

    return read


def moment(*words: str) -> Leaf:
    """A unix time, or one of some words; an empty one is "" (takes it away) when that is among them."""

    def read(value: str, name: str) -> int | str:
        return value if value in words else integer(value, name)

    return read


class Metadata:
    """Keys and texts. Gives a mapping in which an empty text means: take this key away; None: take away all."""

    def __call__(self, value: str, name: str) -> None:
        if value:
            raise invalid("Invalid hash", name)


metadata = Metadata()
EXPAND: Spec = Each(text)
RANGE: Spec = Group({"gt": integer, "gte": integer, "lt": integer, "lte": integer})
PAGE: Mapping[str, Spec] = {
    "limit": integer, "starting_after": text, "ending_before": text, "created": RANGE, "expand": EXPAND
}  # fmt: skip


def group(foreign: str = "", /, **fields: Spec) -> Group:
    """A Group; required names end in `_` here."""
    named = {f"{name[:-1]}!" if name.endswith("_") else name: spec for name, spec in fields.items()}
    return Group(named, frozenset(foreign.split()))


def clearing(foreign: str = "", /, **fields: Spec) -> Group:
    """A Group that an empty value takes away."""
    return replace(group(foreign, **fields), clears=True)


def nested(pairs: Iterable[tuple[str, str]]) -> Params:
    """Pairs such as `a[b][0]=c` as nested mappings. Raises StripeError for brackets that do not match."""
    root: Params = {}
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if match is None:
            raise invalid(f"Invalid parameter name: {key[:80]}", key[:80])
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        at = root
        for number, part in enumerate(path):
            part = part or str(len(at))
            if number == len(path) - 1:
                at[part] = value
            else:
                at = at.setdefault(part, {})
                if not isinstance(at, dict):
                    raise invalid("Invalid hash", key)
    return root


def checked(raw: Params, spec: Group, prefix: str = "") -> Params:
    """The parameters as values. Raises StripeError for what is unknown, missing or of another type."""
    known = {name.rstrip("!"): (name.endswith("!"), field) for name, field in spec.fields.items()}
    unknown = [name for name in raw if name not in known]
    foreign = [name for name in unknown if name in spec.foreign]
    if foreign:
        name = _named(prefix, foreign[0])
        raise invalid(f"This sandbox does not model the parameter {name}, which Stripe has.", name)
    if unknown:
        names = ", ".join(_named(prefix, name) for name in unknown)
        many = "s" if len(unknown) > 1 else ""
        raise invalid(f"Received unknown parameter{many}: {names}", _named(prefix, unknown[0]), "parameter_unknown")
    found: Params = {}
    for name, (needed, field) in known.items():
        label = _named(prefix, name)
        if name in raw:
            found[name] = _value(raw[name], field, label)
        elif needed:
            raise invalid(f"Missing required param: {label}.", label, "parameter_missing")
    return found


def _value(raw: Any, spec: Spec, name: str) -> Any:
    if isinstance(spec, Metadata) and isinstance(raw, dict):
        return _metadata(raw, name)
    if isinstance(spec, Group):
        if raw == "" and spec.clears:
            return None
        if not isinstance(raw, dict):
            raise invalid("Invalid hash", name)
        return checked(raw, spec, name)
    if isinstance(spec, Each):
        return _list(raw, spec, name)
    if isinstance(raw, dict):
        raise invalid("Invalid string: expected a single value", name)
    return spec(raw, name)


def _list(raw: Any, spec: Each, name: str) -> list[Any]:
    if raw == "":
        return []
    if not isinstance(raw, dict) or not all(key.isdecimal() for key in raw):
        raise invalid("Invalid array", name)
    if len(raw) > _LONGEST_LIST:
        raise invalid(f"Array {name} exceeded maximum {_LONGEST_LIST} allowed elements.", name)
    ordered = sorted(raw.items(), key=lambda pair: int(pair[0]))
    return [_value(value, spec.of, f"{name}[{index}]") for index, (_, value) in enumerate(ordered)]


def _metadata(raw: Params, name: str) -> dict[str, str]:
    for key, value in raw.items():
        if isinstance(value, dict):
            raise invalid("Metadata values must be strings", f"{name}[{key}]")
        if len(key) > 40 or len(value) > 500:
            said = "Metadata keys must be 40 characters or fewer, values 500."
            raise invalid(said, f"{name}[{key}]")
    if len(raw) > _METADATA_KEYS:
        raise invalid(f"You may only specify up to {_METADATA_KEYS} metadata keys", name)
    return dict(raw)


def merged(old: Mapping[str, str], new: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata after an update: empty texts take keys away, None takes all."""
    if new is None:
        return {}
    return {key: value for key, value in {**old, **new}.items() if value != ""}


def _named(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name
