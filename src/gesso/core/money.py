"""Credits as integers, and what an output costs.

1 credit = 1,000,000 microcredits. Everything is computed in microcredits; a decimal string appears only
in JSON and on pages. Allowances ("50 images a month") are counted in uses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from gesso.core.errors import InvalidInput

MICRO = 1_000_000
MAX_MICRO = 10**18


def format_credits(micro: int) -> str:
    """Microcredits as the shortest exact decimal string: 4_000_000 → "4", 200_000 → "0.2"."""
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    whole, rest = divmod(micro, MICRO)
    return f"{sign}{whole}.{rest:06d}".rstrip("0") if rest else f"{sign}{whole}"


def parse_credits(text: str) -> int:
    """The microcredits of a decimal string. Raises InvalidInput for what is no exact, sensible amount."""
    try:
        micro = Decimal(text) * MICRO
    except InvalidOperation:
        raise _no_amount(text, "Give a number.") from None
    if not micro.is_finite() or abs(micro) > MAX_MICRO:
        raise _no_amount(text, "At most a million million credits.")
    if micro != micro.to_integral_value():
        raise _no_amount(text, "At most 6 decimals.")
    return int(micro)


def _no_amount(text: str, way_out: str) -> InvalidInput:
    return InvalidInput(f"“{text[:40]}” is no amount of credits. {way_out}", fields={"credits": way_out})


@dataclass(frozen=True, slots=True)
class OutputAsk:
    """What one output may cost: `uses` of the `allowance` unit where there is any left, else `credits`.

    `credits` is in microcredits and ≥ 0; `allowance` is a unit such as "image", or None.
    """

    credits: int
    allowance: str | None = None
    uses: int = 0


@dataclass(frozen=True, slots=True)
class OutputPrice:
    """What one output costs: microcredits, or uses of allowances, never a mix of both."""

    credits: int
    allowances: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = {"credits": format_credits(self.credits)}
        if self.allowances:
            shape["allowances"] = dict(self.allowances)
        return shape

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> "OutputPrice":
        return cls(parse_credits(shape["credits"]), dict(shape.get("allowances", {})))


@dataclass(frozen=True, slots=True)
class Price:
    """What a request costs, output by output. The sum is never divided afterwards."""

    outputs: tuple[OutputPrice, ...] = ()

    @property
    def credits(self) -> int:
        """The sum in microcredits."""
        return sum(output.credits for output in self.outputs)

    @property
    def allowances(self) -> dict[str, int]:
        """Uses by allowance unit."""
        uses: dict[str, int] = {}
        for output in self.outputs:
            for unit, count in output.allowances.items():
                uses[unit] = uses.get(unit, 0) + count
        return uses

    def to_json(self) -> dict[str, Any]:
        """The one shape of `price` and `charged` (semantics: Money and holds)."""
        return {
            "credits": format_credits(self.credits),
            "allowances": self.allowances,
            "outputs": [output.to_json() for output in self.outputs],
        }

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> "Price":
        return cls.of(OutputPrice.from_json(output) for output in shape["outputs"])

    @classmethod
    def of(cls, outputs: Iterable[OutputPrice]) -> "Price":
        return cls(tuple(outputs))
