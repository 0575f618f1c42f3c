"""The models on offer, what they can, and what a call of them is put on the bill for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["text", "image"]

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
SIDES = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
"""Side of a square picture of each size, in pixels."""


@dataclass(frozen=True)
class Offer:
    """`sizes`: imageSize → tokens of a picture. `micro_usd`: per token of a picture; the fact sheet names prices of
    pictures only, so that everything else is on the bill at 0."""

    id: str
    kind: Kind
    sizes: Mapping[str, int] = field(default_factory=dict)
    takes_size: bool = True
    micro_usd: int = 0

    def cost_micro_usd(self, image_tokens: int) -> int:
        """What so many tokens of pictures cost."""
        return image_tokens * self.micro_usd

    def to_json(self) -> dict[str, Any]:
        """An entry of the list of models."""
        return {
            "name": f"models/{self.id}", "baseModelId": self.id, "version": "001", "displayName": self.id,
            "description": "The sandbox stands in for it.", "inputTokenLimit": 65_536, "outputTokenLimit": 32_768,
            "supportedGenerationMethods": ["generateContent", "countTokens"], "temperature": 1, "topP": 0.95,
            "topK": 64, "thinking": self.kind == "text",
        }  # fmt: skip


OFFERS: dict[str, Offer] = {
    offer.id: offer
    for offer in (
        Offer("gemini-3.8-flash", "text"),
        Offer("gemini-3.7-flash", "text"),
        Offer("gemini-3.6-flash", "text"),
        Offer("gemini-3.5-flash", "text"),
        Offer("gemini-3.1-pro-preview", "text"),
        Offer("gemini-3-pro-image", "image", {"1K": 1120, "2K": 1120, "4K": 2000}, micro_usd=120),
        Offer("gemini-3.1-flash-image", "image", {"512": 747, "1K": 1120, "2K": 1680, "4K": 2520}, micro_usd=60),
        Offer("gemini-3.1-flash-lite-image", "image", {"1K": 1120}, takes_size=False),
    )
}
RETIRED = frozenset({"gemini-2.5-flash-image", "gemini-3-pro-image-preview", "imagen-4.0-generate-001"})
"""Models that were there once: 404, as for one that never was."""


def units(tokens: int) -> Decimal:
    """A bill line's units: tokens of both directions."""
    return Decimal(tokens)
