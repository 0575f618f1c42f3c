"""Settings of what is judged before it is made and before it is shown."""

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed

_ENTRY = re.compile(
    r"(?P<category>[a-z][a-z0-9/_-]{0,60})=(?P<ask>[01](?:\.\d+)?|never):(?P<block>[01](?:\.\d+)?|never)"
)
MINORS = "sexual/minors"
"""The category that has no switch."""


class SafetySettings(BaseSettings):
    """How models that judge are believed. The built-in rules hold whatever is set here; see docs/safety.md."""

    model_config = prefixed("GESSO_SAFETY_")

    moderation_fails: Literal["auto", "open", "closed"] = "auto"
    """What happens while no model of the chain `moderation` answers. `open`: it is let pass, and counted. `closed`:
    nothing is made, nothing delivered, nothing charged. `auto`: closed for models for adults, open for all others."""
    moderation_seconds: float = Field(3, gt=0, le=60)
    """How long judging a prompt may take before it counts as not answered. Pictures wait for the chain's own time."""
    moderation_thresholds: str = ""
    """When a category is asked about and when it is blocked, by the judge's score from 0 to 1, such as
    `violence=0.7:0.95,harassment=never:0.9`. What is not named keeps its default. `sexual/minors` cannot be named: it
    is always blocked."""

    @field_validator("moderation_thresholds")
    @classmethod
    def _thresholds(cls, value: str) -> str:
        parse_thresholds(value)
        return value

    @property
    def thresholds(self) -> Mapping[str, tuple[float, float]]:
        """Category → (asked about from, blocked from); above 1 stands for never."""
        return parse_thresholds(self.moderation_thresholds)


def parse_thresholds(text: str) -> dict[str, tuple[float, float]]:
    """`violence=0.7:0.95` and so on. Raises ValueError naming the entry."""
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"“{entry}” must look like violence=0.7:0.95, with never where it should not happen")
        if match["category"] == MINORS:
            raise ValueError(f"{MINORS} is always blocked and cannot be set")
        ask, block = (2.0 if match[name] == "never" else float(match[name]) for name in ("ask", "block"))
        if (ask > 1 and ask != 2.0) or (block > 1 and block != 2.0) or (block < ask and ask != 2.0):
            raise ValueError(f"“{entry}”: both are from 0 to 1, and the first is not above the second")
        found[match["category"]] = (ask, block)
    return found
