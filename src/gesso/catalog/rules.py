"""Price and cost rules as data, and their exact arithmetic. Pure.

A rule says what one output costs:

    amount × (megapixels) × (seconds) × size factor × aspect factor × quality factor × duration factor

As JSON, with every figure a decimal string so that no float ever touches it:

    {"credits": "2"}                                             a price, the same for every output
    {"credits": "2", "size": {"2048x2048": "2"}}                 twice as much for one size
    {"credits": "1.5", "per": ["megapixel"], "quality": {"draft": "0.5"}}
    {"usd": "0.045", "per": ["megapixel"]}                       a provider's cost

A choice that a factor table does not name counts once. Results are rounded up to a whole micro-unit per
output (microcredits, or micro-dollars).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import Any, Literal

Unit = Literal["credits", "usd"]
Path = tuple[str | int, ...]

MICRO = 1_000_000
FACTOR_TABLES = ("size", "aspect_ratio", "quality", "duration")
MEASURES = ("megapixel", "second")
_LIMIT = Decimal(1_000_000)
_FINEST = -12


class RuleError(ValueError):
    """A rule cannot be used. `path` names the member at fault, relative to the rule."""

    def __init__(self, reason: str, path: Path = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


@dataclass(frozen=True, slots=True)
class Rule:
    """What one output costs. `amount` is in micro-units; `factors`: parameter → choice → factor."""

    unit: Unit
    amount: Fraction
    per: frozenset[str]
    factors: Mapping[str, Mapping[str, Fraction]]
    source: Mapping[str, Any]

    def per_output(self, params: Mapping[str, Any]) -> int | None:
        """Micro-units of one output with these cleaned parameters, rounded up.

        None when the rule counts megapixels or seconds and the parameters do not say how many.
        """
        result = self.amount
        if "megapixel" in self.per:
            pixels = size_of(params.get("size"))
            if pixels is None:
                return None
            result *= Fraction(pixels[0] * pixels[1], MICRO)
        if "second" in self.per:
            seconds = params.get("duration")
            if not isinstance(seconds, int):
                return None
            result *= seconds
        for name, table in self.factors.items():
            result *= table.get(str(params.get(name)), 1)
        return ceil(result)

    def to_json(self) -> dict[str, Any]:
        """The rule as it is stored: figures as plain decimal strings."""
        return dict(self.source)


def size_of(value: object) -> tuple[int, int] | None:
    """Width and height in pixels of "1024x768"; None for anything else, such as "auto"."""
    if not isinstance(value, str):
        return None
    width, cross, height = value.partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        return None
    return int(width), int(height)


def parse_rule(data: object, unit: Unit) -> Rule:
    """A rule from JSON or TOML. Figures may be whole numbers, decimals or decimal strings, never floats.

    Raises RuleError for a negative, non-finite, absurd or missing figure and for unknown members.
    """
    if not isinstance(data, Mapping):
        raise RuleError(f'must be a table such as {{ {unit} = "2" }}')
    unknown = [key for key in data if key not in (unit, "per", *FACTOR_TABLES)]
    if unknown:
        known = ", ".join((unit, "per", *FACTOR_TABLES))
        raise RuleError(f"unknown member “{unknown[0]}”; a rule knows {known}", (unknown[0],))
    if unit not in data:
        raise RuleError(f"“{unit}” is missing")
    amount = _figure(data[unit], (unit,))
    per = _measures(data.get("per", []))
    tables = {name: _table(data[name], name) for name in FACTOR_TABLES if name in data}
    source: dict[str, Any] = {unit: _plain(amount)}
    if per:
        source["per"] = list(per)
    for name, table in tables.items():
        source[name] = {choice: _plain(factor) for choice, factor in table.items()}
    return Rule(
        unit=unit,
        amount=Fraction(amount) * MICRO,
        per=frozenset(per),
        factors={
            name: {choice: Fraction(factor) for choice, factor in table.items()} for name, table in tables.items()
        },
        source=source,
    )


def check_against(rule: Rule, properties: Mapping[str, Any]) -> None:
    """Refuse a rule that the model's settings cannot feed: an unknown choice, or a size nobody states.

    `properties` are those of the model's capability schema. Raises RuleError.
    """
    for name, table in rule.factors.items():
        if name not in properties:
            raise RuleError(f"the model has no setting “{name}”", (name,))
        offered = [str(choice) for choice in choices_of(properties[name])]
        for choice in table:
            if offered and choice not in offered:
                known = ", ".join(offered)
                raise RuleError(f"“{choice}” is not among the model's choices: {known}", (name, choice))
    if "megapixel" in rule.per:
        sizes = choices_of(properties.get("size", {}))
        if not sizes or any(size_of(size) is None for size in sizes):
            raise RuleError("counts megapixels, but a size of the model does not say width and height", ("per",))
    if "second" in rule.per and properties.get("duration", {}).get("type") != "integer":
        raise RuleError("counts seconds, but the model has no whole-number setting “duration”", ("per",))


def choices_of(prop: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values a property is limited to, from `oneOf: [{const, title}]` or `enum`; empty when free."""
    if "oneOf" in prop:
        return tuple(choice.get("const") for choice in prop["oneOf"])
    return tuple(prop.get("enum", ()))


def _measures(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or any(measure not in MEASURES for measure in value):
        raise RuleError(f"unknown unit in “per”; it is a list of {' and '.join(MEASURES)}", ("per",))
    return tuple(measure for measure in MEASURES if measure in value)


def _table(value: object, name: str) -> dict[str, Decimal]:
    if not isinstance(value, Mapping):
        raise RuleError(f"“{name}” must be a table of choice = factor", (name,))
    return {str(choice): _figure(factor, (name, str(choice))) for choice, factor in value.items()}


def _figure(value: object, path: Path) -> Decimal:
    """An exact decimal from 0 to a million, at most 12 decimals."""
    name = path[-1]
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise RuleError(f"“{name}” must be a number, written as a string to stay exact", path)
    try:
        figure = Decimal(value)
    except InvalidOperation:
        raise RuleError(f"“{name}” is not a number: “{str(value)[:40]}”", path) from None
    if not figure.is_finite():
        raise RuleError(f"“{name}” is not a finite number", path)
    if figure < 0:
        raise RuleError(f"“{name}” is negative", path)
    if figure > _LIMIT:
        raise RuleError(f"“{name}” is above {_LIMIT:,}", path)
    exponent = figure.as_tuple().exponent
    if isinstance(exponent, int) and exponent < _FINEST:
        raise RuleError(f"“{name}” has more than {-_FINEST} decimals", path)
    return figure


def _plain(figure: Decimal) -> str:
    """Without exponent and trailing zeros: Decimal("2.50") → "2.5"."""
    text = f"{figure:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
