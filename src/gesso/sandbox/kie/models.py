"""The models on offer: their fields, sizes and prices in credits. Fact sheet, sections 4 and 5.

Where the sheet names no size, a megapixel; where its sources disagree about a price, the newest.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from gesso.sandbox.kie.fields import Field, Flag, Number, OneOf, Pictures, Text

Door = Literal["jobs", "kontext"]
CREDIT_MICRO_USD = 5000
_STEP = 16
_SHORTEST = 16

_EIGHT = ("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9")
_TEN = (*_EIGHT, "5:4", "4:5")
_AUTO = (*_TEN, "auto")
_NAMED: Mapping[str, str] = {
    "square": "1:1", "square_hd": "1:1", "portrait_4_3": "3:4", "portrait_16_9": "9:16", "landscape_4_3": "4:3",
    "landscape_16_9": "16:9", "portrait_3_2": "2:3", "landscape_3_2": "3:2", "landscape_21_9": "21:9",
}  # fmt: skip
_V3 = tuple(_NAMED)[:6]
_SIDES = {"1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}


@dataclass(frozen=True)
class Model:
    """`tier`: the field that says how large; `tiers`: its values → (side of a square in pixels, credits a picture),
    the first one usual."""

    id: str
    fields: Mapping[str, Field]
    tiers: Mapping[str, tuple[int, str]]
    tier: str | None = None
    door: Door = "jobs"

    def _tier(self, given: Mapping[str, Any]) -> tuple[int, str]:
        first = next(iter(self.tiers.values()))
        return self.tiers.get(str(given.get(self.tier)), first) if self.tier else first

    def credits(self, given: Mapping[str, Any]) -> Decimal:
        """The price of one picture."""
        return Decimal(self._tier(given)[1])

    def size(self, given: Mapping[str, Any], first: tuple[int, int] | None, *, small: bool) -> tuple[int, int]:
        """Pixels of the result; `first` is the size of the first input picture."""
        side = self._tier(given)[0] // (2 if given.get("image_size") == "square" else 1)
        word = next((given[name] for name in ("aspect_ratio", "image_size", "aspectRatio") if name in given), "auto")
        word = _NAMED.get(word, word)
        if word == "auto" and "prompt" not in self.fields and first is not None:
            factor = int(given.get("upscale_factor", 1))
            return first[0] * factor, first[1] * factor
        wide, high = first or (1, 1) if word == "auto" else map(int, word.split(":"))
        scale = side * (0.125 if small else 1) / math.sqrt(wide * high)
        return tuple(max(round(part * scale / _STEP) * _STEP, _SHORTEST) for part in (wide, high))  # type: ignore[return-value]

    def pictures(self, given: Mapping[str, Any]) -> list[str]:
        """Addresses of the input pictures."""
        return [
            url for name, kind in self.fields.items() if isinstance(kind, Pictures)
            for url in kind.addresses(given.get(name))
        ]  # fmt: skip

    def file_format(self, given: Mapping[str, Any]) -> Literal["png", "jpeg"]:
        wanted = given.get("output_format", given.get("outputFormat", "png"))
        return "png" if wanted == "png" else "jpeg"


@dataclass(frozen=True)
class ChatModel:
    """Prices in micro-dollars a token; unknown ones are 0."""

    id: str
    sent: str = "0"
    made: str = "0"
    takes_schema: bool = False


def _prompt(most: int, least: int = 1) -> Mapping[str, Field]:
    return {"prompt": Text(most, least, required=True)}


def _ratio(names: tuple[str, ...], *, required: bool = False) -> Mapping[str, Field]:
    return {"aspect_ratio": OneOf(names, required)}


def _tier(name: str, prices: Mapping[str, str], sides: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`prices`: value → credits; `sides`: value → 1K, 2K … where the values do not say so themselves."""
    return {"tier": name, "tiers": {v: (_SIDES[(sides or {}).get(v, v)], credits) for v, credits in prices.items()}}


_SEED: Mapping[str, Field] = {"seed": Number(0, 2**31 - 1, whole=True)}
_CHECKER: Mapping[str, Field] = {"nsfw_checker": Flag()}


def _pictures(name: str, most: int, *, single: bool = False, required: bool = True) -> Mapping[str, Field]:
    return {name: Pictures(most, single, required)}


def _formats(*names: str) -> Mapping[str, Field]:
    return {"output_format": OneOf(names)}


def _both(
    text_id: str, edit_id: str, fields: Mapping[str, Field], more: Mapping[str, Field], **rest: Any
) -> list[Model]:
    """A model for words and its sibling for pictures."""
    return [Model(text_id, fields, **rest), Model(edit_id, {**fields, **more}, **rest)]


_V4 = {
    **_prompt(5000), "image_size": OneOf(tuple(_NAMED)), "image_resolution": OneOf(("1K", "2K", "4K")),
    "max_images": Number(1, 6, whole=True), **_SEED, **_CHECKER,
}  # fmt: skip
_QUALITY: Mapping[str, Field] = {"quality": OneOf(("basic", "high"), required=True)}
_RESOLUTION: Mapping[str, Field] = {"resolution": OneOf(("1K", "2K", "4K"))}
_V45 = {**_prompt(3000), **_ratio(_EIGHT, required=True), **_QUALITY, **_CHECKER}
_V5_LITE = {**_prompt(3000, 3), **_ratio(_EIGHT, required=True), **_QUALITY}
_V5_PRO = {**_prompt(5000, 3), **_ratio(_EIGHT, required=True), **_QUALITY, **_formats("png", "jpeg"), **_CHECKER}
_BANANA = {**_prompt(5000), **_ratio(_AUTO), **_formats("png", "jpeg")}
_FLUX_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3")
_TWO_K: Mapping[str, Field] = {"resolution": OneOf(("1K", "2K"), required=True)}
_FLUX = {**_prompt(5000, 3), **_ratio(_FLUX_RATIOS, required=True), **_TWO_K, **_CHECKER}
_FLEX = {**_FLUX, **_ratio((*_FLUX_RATIOS, "auto"), required=True)}
_GPT_15 = {
    **_prompt(20_000), **_ratio(("1:1", "2:3", "3:2"), required=True),
    "quality": OneOf(("medium", "high"), required=True),
}  # fmt: skip
_GPT_2 = {**_prompt(20_000), **_ratio((*_AUTO, "3:1", "1:3", "9:21")), **_RESOLUTION}
_KONTEXT = {
    **_prompt(20_000), **_pictures("inputImage", 1, single=True, required=False),
    "aspectRatio": OneOf(("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")), "outputFormat": OneOf(("jpeg", "png")),
    "promptUpsampling": Flag(), "enableTranslation": Flag(), "uploadCn": Flag(),
    "safetyTolerance": Number(0, 6, whole=True), "watermark": Text(),
}  # fmt: skip


def _flat(credits: str) -> dict[str, Any]:
    return {"tiers": {"": (_SIDES["1K"], credits)}}


MODELS: Mapping[str, Model] = {
    model.id: model
    for model in (
        Model(
            "bytedance/seedream",
            {**_prompt(5000), "image_size": OneOf(_V3), "guidance_scale": Number(1, 10), **_SEED}, **_flat("3.5"),
        ),
        *_both(
            "bytedance/seedream-v4-text-to-image", "bytedance/seedream-v4-edit", _V4, _pictures("image_urls", 10),
            **_tier("image_resolution", {"1K": "3.5", "2K": "3.5", "4K": "3.5"}),
        ),
        *_both(
            "seedream/4.5-text-to-image", "seedream/4.5-edit", _V45, _pictures("image_urls", 14),
            **_tier("quality", {"basic": "6.5", "high": "6.5"}, {"basic": "2K", "high": "4K"}),
        ),
        *_both(
            "seedream/5-lite-text-to-image", "seedream/5-lite-image-to-image", _V5_LITE, _pictures("image_urls", 14),
            **_tier("quality", {"basic": "5.5", "high": "5.5"}, {"basic": "2K", "high": "3K"}),
        ),
        *_both(
            "seedream/5-pro-text-to-image", "seedream/5-pro-image-to-image", _V5_PRO, _pictures("image_urls", 10),
            **_tier("quality", {"basic": "7", "high": "14"}, {"basic": "1K", "high": "2K"}),
        ),
        *_both(
            "google/nano-banana", "google/nano-banana-edit", _BANANA, _pictures("image_urls", 10), **_flat("4")
        ),
        Model(
            "nano-banana-pro",
            {**_prompt(10_000), **_pictures("image_input", 8, required=False), **_ratio(_AUTO), **_RESOLUTION,
             **_formats("png", "jpg")},
            **_tier("resolution", {"1K": "18", "2K": "18", "4K": "24"}),
        ),
        Model(
            "nano-banana-2",
            {**_prompt(20_000), **_pictures("image_input", 14, required=False),
             **_ratio((*_AUTO, "1:4", "4:1", "1:8", "8:1")), **_RESOLUTION, **_formats("png", "jpg")},
            **_tier("resolution", {"1K": "8", "2K": "12", "4K": "18"}),
        ),
        Model(
            "nano-banana-2-lite",
            {**_prompt(20_000), **_pictures("image_urls", 10, required=False), **_ratio(_AUTO)}, **_flat("4"),
        ),
        *_both(
            "flux-2/pro-text-to-image", "flux-2/pro-image-to-image", _FLUX, _pictures("input_urls", 8),
            **_tier("resolution", {"1K": "5", "2K": "7"}),
        ),
        *_both(
            "flux-2/flex-text-to-image", "flux-2/flex-image-to-image", _FLEX, _pictures("input_urls", 8),
            **_tier("resolution", {"1K": "14", "2K": "24"}),
        ),
        *_both(
            "gpt-image/1.5-text-to-image", "gpt-image/1.5-image-to-image", _GPT_15, _pictures("input_urls", 16),
            **_tier("quality", {"medium": "4", "high": "22"}, {"medium": "1K", "high": "1K"}),
        ),
        *_both(
            "gpt-image-2-text-to-image", "gpt-image-2-image-to-image", _GPT_2, _pictures("input_urls", 16),
            **_tier("resolution", {"1K": "6", "2K": "10", "4K": "16"}),
        ),
        Model("z-image", {**_prompt(1000), **_ratio(_TEN, required=True)}, **_flat("0.8")),
        Model("recraft/remove-background", _pictures("image", 1, single=True), **_flat("1")),
        Model("recraft/crisp-upscale", _pictures("image", 1, single=True), **_flat("1")),
        Model(
            "topaz/image-upscale",
            {**_pictures("image_url", 1, single=True), "upscale_factor": OneOf(("1", "2", "4", "8"))}, **_flat("1"),
        ),
        Model("flux-kontext-pro", _KONTEXT, door="kontext", **_flat("5")),
        Model("flux-kontext-max", _KONTEXT, door="kontext", **_flat("10")),
    )
}  # fmt: skip

CHAT: Mapping[str, ChatModel] = {
    model.id: model
    for model in (
        ChatModel("gemini-3-pro", "0.5", "3.5", takes_schema=True),
        ChatModel("gemini-3.1-pro", "0.5", "3.5"),
        ChatModel("gemini-2.5-pro", "0.38", "3", takes_schema=True),
        ChatModel("gemini-2.5-flash", "0.09", "0.75", takes_schema=True),
        ChatModel("gemini-3-flash", "0.15", "0.9"),
        ChatModel("gemini-3-5-flash-openai", "0.45", "2.7"),
        ChatModel("gpt-5-2"),
    )
}
