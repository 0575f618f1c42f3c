"""The models on offer: their inputs, versions, prices, and what each says when its content check objects.

Seconds are priced as Replicate's list prices an L40S and an A100; which of them a community model runs on is its
page's to say. FLUX dev's price is not in the fact sheet either.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal

from gesso.sandbox.replicate import schemas

Billing = Literal["second", "output"]

_SDXL_REFUSAL = "NSFW content detected. Try running it again, or try a different prompt."
_FLUX_REFUSAL = "All generated images contained NSFW content. Try running it again with a different prompt."
_PRO_REFUSAL = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"


@dataclass(frozen=True)
class Model:
    """`price_micro_usd` is per second of hardware or per output; `seconds` what one output takes there.

    A model without versions on show is official. `single`: its output is one string, not a list.
    """

    name: str
    input: type[schemas.Input]
    billing: Billing
    price_micro_usd: int
    seconds: str
    refusal: str
    versions: tuple[str, ...] = ()
    single: bool = False

    @property
    def official(self) -> bool:
        return not self.versions

    def units(self, seconds: Decimal, count: int) -> Decimal:
        """What is billed: seconds, or outputs."""
        return seconds if self.billing == "second" else Decimal(count)

    def cost_micro_usd(self, units: Decimal) -> int:
        return int((units * self.price_micro_usd).to_integral_value(ROUND_CEILING))

    def schema(self) -> dict[str, Any]:
        """What `openapi_schema` of a version holds, as far as anybody asks."""
        output: dict[str, Any] = {"type": "string", "format": "uri", "title": "Output"}
        if not self.single:
            output = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": {"Input": self.input.model_json_schema(), "Output": output}},
        }


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "stability-ai/sdxl", schemas.SdxlInput, "second", 975, "6.2", _SDXL_REFUSAL,
            ("7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc",
             "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"),
        ),
        Model(
            "fofr/sdxl-multi-controlnet-lora", schemas.MultiControlnetInput, "second", 975, "9.5", _SDXL_REFUSAL,
            ("9e24c008f61b7ad0310e1a2921c5128c962d0da2a8eb58b3184975df2798f3f6",),
        ),
        Model(
            "lucataco/flux-dev-multi-lora", schemas.MultiLoraInput, "second", 1400, "12.4", _FLUX_REFUSAL,
            ("5a9db0c5" * 8,),  # the fact sheet names no version: this one is the sandbox's own
        ),
        Model(
            "stability-ai/stable-video-diffusion", schemas.FilmInput, "second", 1400, "41.7", _SDXL_REFUSAL,
            ("3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438",), single=True,
        ),
        Model("black-forest-labs/flux-schnell", schemas.SchnellInput, "output", 3_000, "0.9", _FLUX_REFUSAL),
        Model("black-forest-labs/flux-dev", schemas.DevInput, "output", 25_000, "3.1", _FLUX_REFUSAL),
        Model("black-forest-labs/flux-1.1-pro", schemas.ProInput, "output", 40_000, "4.6", _PRO_REFUSAL, single=True),
    )
}  # fmt: skip

DEPLOYMENTS: dict[str, str] = {"sandbox/sdxl": "stability-ai/sdxl", "sandbox/flux": "black-forest-labs/flux-dev"}
"""Everybody's deployments, and the model of each."""


def of_version(text: str) -> tuple[Model, str] | None:
    """The model and version meant by a version: its id, `owner/name:id`, or the name of an official model."""
    name, _, wanted = text.rpartition(":")
    if text in MODELS and MODELS[text].official:
        return MODELS[text], "hidden"
    for model in MODELS.values():
        if wanted in model.versions and name in ("", model.name):
            return model, wanted
    return None
