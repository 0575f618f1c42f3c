"""What a field of a model's input may hold. Strict: no string for a number, nothing that is not on the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Field(Protocol):
    """One field. `required`: the input is refused without it."""

    @property
    def required(self) -> bool: ...

    def fits(self, value: Any) -> bool:
        """Whether the value may stand there."""
        ...


@dataclass(frozen=True)
class Text:
    most: int = 20_000
    least: int = 1
    required: bool = False

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and self.least <= len(value) <= self.most


@dataclass(frozen=True)
class OneOf:
    choices: tuple[str, ...]
    required: bool = False

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.choices


@dataclass(frozen=True)
class Number:
    low: float
    high: float
    whole: bool = False
    required: bool = False

    def fits(self, value: Any) -> bool:
        number = isinstance(value, int) or (isinstance(value, float) and not self.whole)
        return number and not isinstance(value, bool) and bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Flag:
    required: bool = False

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Pictures:
    """Addresses: a list of up to `most`, or (`single`) one by itself."""

    most: int = 1
    single: bool = False
    required: bool = False

    def fits(self, value: Any) -> bool:
        found = self.addresses(value)
        good = all(isinstance(url, str) and url.startswith(("https://", "http://")) for url in found)
        return good and self.single == isinstance(value, str) and int(self.required) <= len(found) <= self.most

    def addresses(self, value: Any) -> list[Any]:
        return value if isinstance(value, list) else [] if value is None else [value]


def problem(given: Mapping[str, Any], fields: Mapping[str, Field]) -> str | None:
    """What is wrong with an input, as a sentence; None when nothing is."""
    for name, field in fields.items():
        if name not in given:
            if field.required:
                return f"{name} is required"
        elif not field.fits(given[name]):
            return f"{name} is not within the range of allowed options"
    unknown = next((name for name in given if name not in fields), None)
    return f"unknown parameter: {unknown}" if unknown is not None else None
