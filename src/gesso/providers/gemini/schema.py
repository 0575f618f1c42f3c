"""A JSON Schema in the words of `responseSchema`: a part of OpenAPI's, with type names in upper case. Pure.

References are written out, `const` becomes `enum`, a union with null becomes `nullable`; what has no counterpart
(patterns of names, formats, closing an object) is left out: whoever asked checks the answer against the whole schema.
"""

from collections.abc import Mapping
from typing import Any

from gesso.providers.base import JSON

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_KEPT = ("title", "description", "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern")


class _NoCounterpart(Exception):
    """The schema says something that cannot be said there."""


def converted(schema: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The schema in their words; None where it cannot be said so: it refers to itself, or leaves open what it holds."""
    try:
        return _converted(schema, schema, ())
    except _NoCounterpart:
        return None


def _converted(part: Any, root: Mapping[str, JSON], seen: tuple[str, ...]) -> dict[str, JSON]:
    if not isinstance(part, Mapping):
        raise _NoCounterpart
    if isinstance(ref := part.get("$ref"), str):
        if ref in seen:
            raise _NoCounterpart
        beside = {name: value for name, value in part.items() if name != "$ref"}
        return _converted({**_resolved(root, ref), **beside}, root, (*seen, ref))
    if isinstance(parts := part.get("allOf"), list):
        merged: dict[str, Any] = {name: value for name, value in part.items() if name != "allOf"}
        for one in parts:
            inner = _resolved(root, one["$ref"]) if isinstance(one, Mapping) and "$ref" in one else one
            merged = {**(inner if isinstance(inner, Mapping) else {}), **merged}
        return _converted(merged, root, seen)
    made: dict[str, JSON] = {name: part[name] for name in _KEPT if part.get(name) is not None}
    unions = part.get("anyOf") or part.get("oneOf")
    if isinstance(unions, list):
        return made | _union(unions, root, seen)
    kind, nullable = _type(part)
    if isinstance(kind, list):
        return made | _union([{**part, "type": one} for one in kind], root, seen) | nullable
    return made | _typed(kind, part, root, seen) | nullable


def _union(parts: list[Any], root: Mapping[str, JSON], seen: tuple[str, ...]) -> dict[str, JSON]:
    real = [one for one in parts if not (isinstance(one, Mapping) and one.get("type") == "null")]
    nullable: dict[str, JSON] = {"nullable": True} if len(real) < len(parts) else {}
    if len(real) == 1:
        return _converted(real[0], root, seen) | nullable
    choices: list[JSON] = [_converted(one, root, seen) for one in real]
    return {"anyOf": choices, **nullable}


def _type(part: Mapping[str, Any]) -> tuple[Any, dict[str, JSON]]:
    """The type's name, or several, and whether null may stand there."""
    kind, choices = part.get("type"), part.get("enum")
    nullable: dict[str, JSON] = {}
    if isinstance(kind, list):
        real = [one for one in kind if one != "null"]
        nullable = {"nullable": True} if len(real) < len(kind) else {}
        kind = real[0] if len(real) == 1 else real
    if isinstance(choices, list) and None in choices:
        nullable = {"nullable": True}
    if kind is None:
        told = part["const"] if "const" in part else next(iter(choices or []), None)
        kind = (
            "object" if "properties" in part
            else "array" if "items" in part
            else "string" if isinstance(told, str)
            else None
        )  # fmt: skip
    return kind, nullable


def _typed(kind: Any, part: Mapping[str, Any], root: Mapping[str, JSON], seen: tuple[str, ...]) -> dict[str, JSON]:
    if kind not in _TYPES:
        raise _NoCounterpart
    made: dict[str, JSON] = {"type": kind.upper()}
    if kind == "string":
        choices = [part["const"]] if "const" in part else part.get("enum")
        texts: list[JSON] = [one for one in choices or [] if isinstance(one, str)]
        return {**made, "enum": texts} if texts else made
    if kind == "array":
        made["items"] = _converted(part.get("items"), root, seen)
    if kind == "object":
        members = part.get("properties")
        if not isinstance(members, Mapping) or not members:
            raise _NoCounterpart
        made["properties"] = {name: _converted(value, root, seen) for name, value in members.items()}
        made["propertyOrdering"] = list(members)
        if required := [name for name in part.get("required") or [] if name in members]:
            made["required"] = list(required)
    return made


def _resolved(root: Mapping[str, JSON], reference: str) -> Mapping[str, Any]:
    """What `#/$defs/name` points to."""
    found: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise _NoCounterpart
    return found
