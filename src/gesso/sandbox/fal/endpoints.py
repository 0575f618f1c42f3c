"""The endpoints on offer: their inputs, prices, and the shape of their output."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from gesso.sandbox.fal import schemas

Unit = Literal["image", "megapixel", "second"]
Shape = Literal["flux", "banana", "seedream", "film"]


@dataclass(frozen=True)
class Endpoint:
    """`price_micro_usd` is per unit; a megapixel is 1,000,000 pixels, counted exactly."""

    id: str
    input: type[schemas.Input]
    shape: Shape
    unit: Unit
    price_micro_usd: int

    @property
    def app(self) -> str:
        """`owner/alias`: what remains of the id in the URLs of a request."""
        return "/".join(self.id.split("/")[:2])

    @property
    def has_flag(self) -> bool:
        """Whether answers carry has_nsfw_concepts."""
        return self.shape == "flux"

    def units(self, width: int, height: int, count: int) -> Decimal:
        """Units of pictures; a film's are told by `film_units`."""
        return Decimal(count) if self.unit == "image" else Decimal(width * height * count) / 1_000_000

    def film_units(self, asked: schemas.FilmInput) -> Decimal:
        """A film's seconds; one with sound counts half as much again (fact sheet, 7.7)."""
        return Decimal(asked.seconds) * (Decimal("1.5") if asked.with_audio else 1)

    def cost_micro_usd(self, units: Decimal) -> int:
        return int((units * self.price_micro_usd).to_integral_value(ROUND_HALF_UP))

    def output(
        self, images: list[dict[str, Any]], flags: list[bool] | None, seed: int, prompt: str, seconds: float
    ) -> dict[str, Any]:
        """The model's answer; `flags` None leaves has_nsfw_concepts out."""
        if self.shape == "banana":
            return {"images": images, "description": "A picture painted by the sandbox."}
        if self.shape == "seedream":
            return {"images": images, "seed": seed}
        answer: dict[str, Any] = {"images": images, "timings": {"inference": round(seconds, 4)}, "seed": seed}
        if flags is not None:
            answer["has_nsfw_concepts"] = flags
        return answer | {"prompt": prompt}


ENDPOINTS: dict[str, Endpoint] = {
    e.id: e
    for e in (
        Endpoint("fal-ai/flux-pro/v1.1-ultra", schemas.UltraInput, "flux", "image", 60_000),
        Endpoint("rundiffusion-fal/rundiffusion-photo-flux", schemas.PhotoFluxInput, "flux", "megapixel", 45_000),
        Endpoint("rundiffusion-fal/juggernaut-flux/pro", schemas.JuggernautInput, "flux", "megapixel", 55_000),
        Endpoint("rundiffusion-fal/juggernaut-flux/base", schemas.JuggernautInput, "flux", "megapixel", 35_000),
        Endpoint("rundiffusion-fal/juggernaut-flux/lightning", schemas.LightningInput, "flux", "megapixel", 6_000),
        Endpoint(
            "rundiffusion-fal/juggernaut-flux/pro/image-to-image",
            schemas.JuggernautFromImageInput,
            "flux",
            "megapixel",
            55_000,
        ),
        Endpoint(
            "rundiffusion-fal/juggernaut-flux/lightning/image-to-image",
            schemas.LightningFromImageInput,
            "flux",
            "megapixel",
            6_000,
        ),
        Endpoint("fal-ai/flux/schnell", schemas.SchnellInput, "flux", "megapixel", 3_000),
        # The fact sheet names no price for the first nano-banana; this is the one fal's price list showed.
        Endpoint("fal-ai/nano-banana", schemas.BananaInput, "banana", "image", 39_000),
        Endpoint("fal-ai/nano-banana/edit", schemas.BananaEditInput, "banana", "image", 39_000),
        Endpoint("fal-ai/bytedance/seedream/v4/text-to-image", schemas.SeedreamInput, "seedream", "image", 30_000),
        Endpoint("fal-ai/bytedance/seedream/v4/edit", schemas.SeedreamEditInput, "seedream", "image", 30_000),
        # $0.35 for five seconds and $0.07 for each further one, which is $0.07 a second.
        Endpoint("fal-ai/kling-video/v2.5-turbo/pro/text-to-video", schemas.Kling25FromText, "film", "second", 70_000),
        Endpoint(
            "fal-ai/kling-video/v2.5-turbo/pro/image-to-video", schemas.Kling25FromImage, "film", "second", 70_000
        ),
        Endpoint("fal-ai/kling-video/v3/pro/text-to-video", schemas.Kling3FromText, "film", "second", 112_000),
        Endpoint("fal-ai/kling-video/v3/pro/image-to-video", schemas.Kling3FromImage, "film", "second", 112_000),
    )
}

APPS: frozenset[str] = frozenset(endpoint.app for endpoint in ENDPOINTS.values())
