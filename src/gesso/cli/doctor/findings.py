"""What an examination says about one part."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["well", "look", "ill"]
"""`look`: it works, but a person should know; `ill`: a person must act."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One part, how it is, what was found, and what to do about it (empty when well)."""

    part: str
    state: State
    found: str
    way_out: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def well(part: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(part, "well", found)


def look(part: str, found: str, way_out: str) -> Finding:
    """Worth knowing."""
    return Finding(part, "look", found, way_out)


def ill(part: str, found: str, way_out: str) -> Finding:
    """Somebody must act."""
    return Finding(part, "ill", found, way_out)


def graded(part: str, found: str, way_out: str, *, ill_if: bool, look_if: bool = False) -> Finding:
    """Ill, worth a look, or well, by two conditions."""
    return Finding(
        part, "ill" if ill_if else "look" if look_if else "well", found, way_out if ill_if or look_if else ""
    )


def ago(seconds: float) -> str:
    """A length of time in words: "12 s", "3 min", "5 h", "2 days"."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
