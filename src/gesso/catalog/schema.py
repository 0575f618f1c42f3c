"""Capability schemas: which JSON Schemas we accept as a model's, and a validator that coerces nothing. Pure.

A model's capabilities are one JSON Schema (draft 2020-12) of type object. Its properties are the settings,
under our own names whatever a provider calls them:

    prompt            string                 negative_prompt  string
    size              "1024x768" or "auto"   aspect_ratio     "16:9" or "auto"
    quality           string, choices        steps, guidance  numbers
    seed              0 … 2³²−1              count            1 … N
    output_format     string, choices        references       array of asset ids (UUIDs)
    duration          whole seconds          style            string; without choices: a style of the site

Further names are free. Choices are written `oneOf: [{const, title}]`. Annotations of ours: `x-step` (a
slider's step), `x-advanced` (belongs under the fold).
"""

import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Protocol, cast
from uuid import UUID

import jsonschema
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from gesso.catalog.rules import Path, choices_of, size_of

MAX_SEED = 2**32 - 1
MAX_COUNT = 100
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_RATIO = re.compile(r"[1-9]\d{0,2}:[1-9]\d{0,2}")
_TYPES = {"string", "integer", "number", "boolean", "array"}
_KEYWORDS = {
    "type", "title", "description", "default", "minimum", "maximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "items", "oneOf", "enum", "x-step", "x-advanced",
}  # fmt: skip
# what a price may depend on, and what a form cannot leave empty
_NEED_DEFAULT = ("size", "aspect_ratio", "quality", "output_format", "count", "duration")
_FIXED_TYPES = {
    "prompt": "string", "negative_prompt": "string", "size": "string", "aspect_ratio": "string",
    "quality": "string", "output_format": "string", "steps": "integer", "seed": "integer",
    "count": "integer", "duration": "integer", "guidance": "number", "references": "array", "style": "string",
}  # fmt: skip


class SchemaValidator(Protocol):
    """What we use of a jsonschema validator."""

    def iter_errors(self, instance: Any) -> Iterator[ValidationError]: ...


def _is_integer(_: Any, value: object) -> bool:
    # JSON Schema lets 4.0 pass as an integer; a price table keyed by "4" would then miss it.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: Any, value: object) -> bool:
    # Python's JSON parser lets NaN and Infinity in, and NaN passes every minimum and maximum.
    return _is_integer(checker, value) or (isinstance(value, float) and math.isfinite(value))


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value.lower()


_Strict: Any = cast(Any, jsonschema.validators).extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def validator(schema: Mapping[str, Any]) -> SchemaValidator:
    """A strict validator of this schema; make it once and keep it."""
    return cast(SchemaValidator, _Strict(dict(schema), format_checker=_FORMATS))


def problems(schema: object) -> Iterator[tuple[Path, str]]:
    """What is wrong with a capability schema, as (path inside it, reason); nothing when it is sound."""
    if not isinstance(schema, Mapping):
        yield (), "must be a JSON Schema of type object"
        return
    try:
        _Strict.check_schema(dict(schema))
    except SchemaError as error:
        yield tuple(error.absolute_path), f"is not valid JSON Schema: {error.message[:200]}"
        return
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        yield (), "must be of type object with additionalProperties = false"
    properties = schema.get("properties", {})
    for name in ("prompt", "count"):
        if name not in properties:
            yield ("properties",), f"“{name}” is missing"
    if "size" in properties and "aspect_ratio" in properties:
        yield ("properties", "aspect_ratio"), "a model has either size or aspect_ratio, not both"
    for name in schema.get("required", ()):
        if name not in properties:
            yield ("required",), f"requires “{name}”, which is not a property"
    for name, prop in properties.items():
        for path, reason in _property_problems(name, prop):
            yield ("properties", name, *path), reason


def _property_problems(name: str, prop: Any) -> Iterator[tuple[Path, str]]:
    if not _NAME.fullmatch(name):
        yield (), f"“{name}” is not a usable name: lower-case letters, digits and _"
    kind = prop.get("type") if isinstance(prop, Mapping) else None
    if kind not in _TYPES:
        yield (), f"“{name}” needs a type out of {', '.join(sorted(_TYPES))}"
        return
    if name in _FIXED_TYPES and kind != _FIXED_TYPES[name]:
        yield ("type",), f"“{name}” must be of type {_FIXED_TYPES[name]}"
        return
    for keyword in prop:
        if keyword not in _KEYWORDS:  # JSON Schema would ignore a slip such as "minimun"
            near = get_close_matches(keyword, _KEYWORDS, 1)
            yield (keyword,), f"unknown keyword “{keyword}”" + (f"; did you mean “{near[0]}”?" if near else "")
    if "oneOf" in prop and any("const" not in choice for choice in prop["oneOf"]):
        yield ("oneOf",), "every choice needs a const"
        return
    yield from _named_problems(name, prop)
    if "default" in prop:
        error = next(validator(prop).iter_errors(prop["default"]), None)
        if error is not None:
            yield ("default",), f"the default of “{name}” does not fit: {error.message[:120]}"


def _named_problems(name: str, prop: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What our own names demand beyond JSON Schema."""
    choices = choices_of(prop)
    if name == "size":
        wrong = [choice for choice in choices if choice != "auto" and size_of(choice) is None]
        if not choices or wrong:
            yield (), "size needs choices such as 1024x768" + (f", not “{wrong[0]}”" if wrong else "")
    elif name == "aspect_ratio":
        wrong = [choice for choice in choices if choice != "auto" and not _RATIO.fullmatch(str(choice))]
        if not choices or wrong:
            yield (), "aspect_ratio needs choices such as 16:9" + (f", not “{wrong[0]}”" if wrong else "")
    elif name in ("quality", "output_format") and not choices:
        yield (), f"{name} needs choices"
    elif name == "count" and not 1 == prop.get("minimum") <= prop.get("maximum", 0) <= MAX_COUNT:
        yield (), f"count needs minimum = 1 and a maximum up to {MAX_COUNT}"
    elif name == "seed" and (prop.get("minimum") != 0 or not 0 < prop.get("maximum", 0) <= MAX_SEED):
        yield (), f"seed needs minimum = 0 and a maximum up to {MAX_SEED}"
    elif name == "prompt" and not 1 <= prop.get("maxLength", 0) <= 100_000:
        yield (), "prompt needs maxLength"
    elif name == "references" and not (
        prop.get("items") == {"type": "string", "format": "uuid"} and 1 <= prop.get("maxItems", 0) <= 100
    ):
        yield (), 'references needs maxItems and items = { type = "string", format = "uuid" }'
    if name in _NEED_DEFAULT and "default" not in prop:
        yield (), f"“{name}” needs a default"
