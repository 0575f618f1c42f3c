"""The models on offer, and what a call of them is put on the bill for."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["chat", "image", "moderation", "video"]
_SINCE = 1_790_000_000


@dataclass(frozen=True)
class Offer:
    """`text_in`, `image_in` and `image_out` in micro-dollars per token; the fact sheet names prices of images only,
    so that everything else is on the bill at 0. `free_size`: takes any size within its limits. `reasons`: rejects
    the sampling fields, as reasoning models do."""

    id: str
    kind: Kind
    reasons: bool = False
    free_size: bool = False
    text_in: int = 0
    image_in: int = 0
    image_out: int = 0
    fidelity: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ("auto", "low", "medium", "high")

    def cost_micro_usd(self, text_tokens: int, image_tokens: int, output_tokens: int) -> int:
        """What so many tokens cost."""
        return text_tokens * self.text_in + image_tokens * self.image_in + output_tokens * self.image_out

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "object": "model", "created": _SINCE, "owned_by": "sandbox"}


_FINE = ("auto", "low", "medium", "high", "xhigh", "max")
OFFERS: dict[str, Offer] = {
    offer.id: offer
    for offer in (
        Offer("gpt-6-luna", "chat", reasons=True),
        Offer("gpt-5.4", "chat", reasons=True),
        Offer("gpt-5.4-mini", "chat", reasons=True),
        Offer("gpt-5.4-nano", "chat", reasons=True),
        Offer("gpt-4.1", "chat"),
        Offer("gpt-4o", "chat"),
        Offer("gpt-image-2", "image", False, True, 5, 8, 30),
        Offer("gpt-image-2.5-flare", "image", False, True, 5, 8, 30, qualities=_FINE),
        Offer("gpt-image-1.5", "image", False, False, 5, 8, 30, ("high", "low")),
        Offer("gpt-image-1-mini", "image", False, False, 5, 8, 30, ("low",)),
        Offer("omni-moderation-latest", "moderation"),
        Offer("sora-2", "video"),
        Offer("sora-2-pro", "video"),
    )
}


def offer(model: Any, kind: Kind) -> Offer | None:
    """The model of this name and kind."""
    found = OFFERS.get(model) if isinstance(model, str) else None
    return found if found is not None and found.kind == kind else None


def units(tokens: int) -> Decimal:
    """A bill line's units: tokens of both directions."""
    return Decimal(tokens)
