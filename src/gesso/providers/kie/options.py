"""How each model wants to be asked: data, not code.

`TABLE` holds the models whose fields are known (the fact sheet's section 4, November 2026). Any other model of the
market works through `MediaRequest.wire`, which is laid over the table's entry, or over `GENERIC`.

    {"like": "flux-2/pro-text-to-image",                 start from this entry
     "prompt": "prompt" | "none", "prompt_max": 5000,    its field; the most characters
     "negative": "negative_prompt" | "append" | "none",
     "size": "aspect_ratio" | "none",                    the field of the ratio
     "ratios": ["16:9", …] | {"16:9": "landscape_16_9"}, what may stand there; "auto" too; none named: any ratio
     "seed": "seed" | "none", "count": "max_images" | "none", "count_max": int,
     "images": "image_urls" | "none", "images_max": int, "images_mb": int, "images_required": bool,
                                                         a list where more than one is taken; MB of each
     "images_model": "seedream/4.5-edit" | "none",       the model to ask instead when there are reference pictures
     "options": {"our name": "their field"} | ["same name", …],      further options passed through
     "choices": {"quality": {"2K": {"quality": "basic"}}, …},        option → value → their fields
     "text": ["upscale_factor", …],                      their fields whose digits are strings
     "defaults": {"quality": "basic", …},                always sent unless the request says otherwise
     "safety": ["content policy", …]}                    in a failure's words: a content check refused (regex)

FLUX Kontext has endpoints of its own: every model named `flux-kontext-…` is asked there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured
from gesso.providers.kie.failures import SAFETY
from gesso.providers.wiredata import is_pattern, is_table, is_whole, unusable

Door = Literal["jobs", "kontext"]
Choices = Mapping[str, Mapping[str, Mapping[str, JSON]]]
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_MODEL = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)*", re.ASCII)


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description, None where the model has no such thing.

    `ratios`: ratio as "W:H", or "auto", → the model's word for it.
    """

    prompt: str | None = "prompt"
    prompt_max: int | None = None
    negative: str | None = "append"
    size: str | None = "aspect_ratio"
    ratios: Mapping[str, str] = field(default_factory=dict)
    seed: str | None = None
    count: str | None = None
    count_max: int = 1
    images: str | None = None
    images_max: int = 1
    images_mb: int = 10
    images_required: bool = False
    images_model: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    choices: Choices = field(default_factory=dict)
    text: frozenset[str] = frozenset()
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    safety: tuple[str, ...] = SAFETY


def _ratios(*names: str) -> Mapping[str, str]:
    return {name: name for name in names}


def _tiers(theirs: str, **values: str) -> Choices:
    """Our quality → their field; a leading underscore stands before a digit."""
    return {"quality": {name.lstrip("_"): {theirs: value} for name, value in values.items()}}


def _format(jpeg: str) -> Choices:
    """PNG, or JPEG as this model spells it."""
    return {"output_format": {"png": {"output_format": "png"}, "jpeg": {"output_format": jpeg}}}


_EIGHT = _ratios("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9")
_TEN = {**_EIGHT, **_ratios("5:4", "4:5")}
_AUTO = {**_TEN, "auto": "auto"}
_V3 = {
    "1:1": "square_hd", "3:4": "portrait_4_3", "9:16": "portrait_16_9", "4:3": "landscape_4_3",
    "16:9": "landscape_16_9",
}  # fmt: skip
_V4 = {**_V3, "2:3": "portrait_3_2", "3:2": "landscape_3_2", "21:9": "landscape_21_9"}
_CHECKER = {"nsfw_checker": "nsfw_checker"}
_K = _tiers("resolution", _1K="1K", _2K="2K", _4K="4K")

_SEEDREAM_4 = Shape(
    prompt_max=5000, size="image_size", ratios=_V4, seed="seed", count="max_images", count_max=6,
    images_model="bytedance/seedream-v4-edit", options=_CHECKER,
    choices=_tiers("image_resolution", _1K="1K", _2K="2K", _4K="4K"),
)  # fmt: skip
_SEEDREAM_45 = Shape(
    prompt_max=3000, ratios=_EIGHT, images_model="seedream/4.5-edit", options=_CHECKER,
    choices=_tiers("quality", basic="basic", high="high", _2K="basic", _4K="high"),
    defaults={"aspect_ratio": "1:1", "quality": "basic"},
)  # fmt: skip
_SEEDREAM_5_LITE = replace(
    _SEEDREAM_45, images_model="seedream/5-lite-image-to-image", options={},
    choices=_tiers("quality", basic="basic", high="high", _2K="basic", _3K="high"),
)  # fmt: skip
_SEEDREAM_5_PRO = replace(
    _SEEDREAM_45, prompt_max=5000, images_model="seedream/5-pro-image-to-image",
    choices={**_tiers("quality", basic="basic", high="high", _1K="basic", _2K="high"), **_format("jpeg")},
)  # fmt: skip
_BANANA = Shape(prompt_max=5000, ratios=_AUTO, images_model="google/nano-banana-edit", choices=_format("jpeg"))
_BANANA_PRO = Shape(
    prompt_max=10_000, ratios=_AUTO, images="image_input", images_max=8, images_mb=30,
    choices={**_K, **_format("jpg")},
)  # fmt: skip
_FLUX_PRO = Shape(
    prompt_max=5000, ratios=_ratios("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3"),
    images_model="flux-2/pro-image-to-image", options=_CHECKER, choices=_tiers("resolution", _1K="1K", _2K="2K"),
    defaults={"aspect_ratio": "1:1", "resolution": "1K"},
)  # fmt: skip
_FLUX_FLEX = replace(
    _FLUX_PRO, ratios={**_FLUX_PRO.ratios, "auto": "auto"}, images_model="flux-2/flex-image-to-image"
)  # fmt: skip
_GPT_15 = Shape(
    ratios=_ratios("1:1", "2:3", "3:2"), images_model="gpt-image/1.5-image-to-image",
    choices=_tiers("quality", medium="medium", high="high"), defaults={"aspect_ratio": "1:1", "quality": "medium"},
)  # fmt: skip
_GPT_2 = Shape(
    prompt_max=20_000, ratios={**_AUTO, **_ratios("3:1", "1:3", "9:21")}, images_model="gpt-image-2-image-to-image",
    choices=_K,
)  # fmt: skip
_KONTEXT = Shape(
    size="aspectRatio", ratios=_ratios("21:9", "16:9", "4:3", "1:1", "3:4", "9:16"), images="inputImage",
    options={
        "enhance_prompt": "promptUpsampling", "safety_tolerance": "safetyTolerance", "watermark": "watermark",
        "translate": "enableTranslation",
    },
    choices={"output_format": {"png": {"outputFormat": "png"}, "jpeg": {"outputFormat": "jpeg"}}},
)  # fmt: skip
_TOOL = Shape(prompt=None, negative=None, size=None, images="image", images_mb=5, images_required=True)


def _edit(shape: Shape, images: str, most: int) -> Shape:
    """The sibling that starts from pictures."""
    return replace(shape, images=images, images_max=most, images_required=True, images_model=None)


TABLE: Mapping[str, Shape] = {
    "bytedance/seedream": Shape(
        prompt_max=5000, size="image_size", ratios=_V3, seed="seed", options={"guidance": "guidance_scale"}
    ),
    "bytedance/seedream-v4-text-to-image": _SEEDREAM_4,
    "bytedance/seedream-v4-edit": _edit(_SEEDREAM_4, "image_urls", 10),
    "seedream/4.5-text-to-image": _SEEDREAM_45,
    "seedream/4.5-edit": _edit(_SEEDREAM_45, "image_urls", 14),
    "seedream/5-lite-text-to-image": _SEEDREAM_5_LITE,
    "seedream/5-lite-image-to-image": _edit(_SEEDREAM_5_LITE, "image_urls", 14),
    "seedream/5-pro-text-to-image": _SEEDREAM_5_PRO,
    "seedream/5-pro-image-to-image": _edit(_SEEDREAM_5_PRO, "image_urls", 10),  # unconfirmed
    "google/nano-banana": _BANANA,
    "google/nano-banana-edit": _edit(_BANANA, "image_urls", 10),
    "nano-banana-pro": _BANANA_PRO,
    "nano-banana-2": replace(
        _BANANA_PRO, prompt_max=20_000, images_max=14, ratios={**_AUTO, **_ratios("1:4", "4:1", "1:8", "8:1")}
    ),
    "nano-banana-2-lite": Shape(ratios=_AUTO, images="image_urls", images_max=10),
    "flux-2/pro-text-to-image": _FLUX_PRO,
    "flux-2/pro-image-to-image": _edit(_FLUX_PRO, "input_urls", 8),
    "flux-2/flex-text-to-image": _FLUX_FLEX,
    "flux-2/flex-image-to-image": _edit(_FLUX_FLEX, "input_urls", 8),
    "flux-kontext-pro": _KONTEXT,
    "flux-kontext-max": _KONTEXT,
    "gpt-image/1.5-text-to-image": _GPT_15,
    "gpt-image/1.5-image-to-image": _edit(_GPT_15, "input_urls", 16),
    "gpt-image-2-text-to-image": _GPT_2,
    "gpt-image-2-image-to-image": _edit(_GPT_2, "input_urls", 16),
    "z-image": Shape(prompt_max=1000, defaults={"aspect_ratio": "1:1"}),
    "recraft/remove-background": _TOOL,
    "recraft/crisp-upscale": _TOOL,
    "topaz/image-upscale": replace(
        _TOOL, images="image_url", images_mb=10, options={"upscale_factor": "upscale_factor"},
        text=frozenset({"upscale_factor"}), defaults={"upscale_factor": "2"},
    ),
}  # fmt: skip

GENERIC = Shape()
_NAMES = ("prompt", "negative", "size", "seed", "count", "images", "images_model")
_WHOLE = ("prompt_max", "count_max", "images_max", "images_mb")


def door_of(model: str) -> Door:
    """Which endpoints serve the model. Raises Misconfigured unless it is a name such as seedream/4.5-edit."""
    if not _MODEL.fullmatch(model) or len(model) > 120:
        raise Misconfigured("model", note=f"{model[:80]!r} is not a model such as seedream/4.5-text-to-image.")
    return "kontext" if model.startswith("flux-kontext-") else "jobs"


def check(model: str, kind: str, wire: Mapping[str, JSON]) -> None:
    """Raises Misconfigured when a model of pictures, or its `wire`, cannot be used."""
    door_of(model)
    shape_of(model, wire, with_pictures=False)


def shape_of(model: str, wire: Mapping[str, JSON], *, with_pictures: bool) -> tuple[str, Shape]:
    """The model to ask and its shape, with the catalogue's `wire` laid over it; with pictures perhaps a sibling.

    Raises Misconfigured("model") on a bad `wire`.
    """
    like = wire.get("like", model)
    if "like" in wire and (not isinstance(like, str) or like not in TABLE):
        raise unusable("like")
    given = {name: _read(name, value) for name, value in wire.items() if name != "like"}
    shape = replace(TABLE.get(str(like), GENERIC), **given)
    if not with_pictures or shape.images_model is None:
        return model, shape
    sibling = TABLE.get(shape.images_model, replace(shape, images=shape.images or "image_urls"))
    return shape.images_model, replace(sibling, **given | {"images_model": None})


def _read(name: str, value: JSON) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong picture."""
    if name in _NAMES and isinstance(value, str):
        if value == "none":
            return None
        if (_MODEL if name == "images_model" else _WORD).fullmatch(value):
            return value
    if name in _WHOLE and is_whole(value):
        return value
    if name == "images_required" and isinstance(value, bool):
        return value
    if name in ("ratios", "options"):
        found = {part: part for part in value if isinstance(part, str)} if isinstance(value, list) else value
        if isinstance(found, dict) and len(found) == len(value):  # type: ignore[arg-type]  # a list or this very dict
            words = [part for part in found.values() if isinstance(part, str) and part]
            if len(words) == len(found) and (name == "ratios" or all(map(_WORD.fullmatch, words))):
                return found
    if name in ("text", "safety") and isinstance(value, list):
        words = [part for part in value if isinstance(part, str) and part]
        if len(words) == len(value) and (name == "text" or all(map(is_pattern, words))):
            return frozenset(words) if name == "text" else tuple(words)
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "choices" and isinstance(value, dict) and all(map(is_table, value.values())):
        return value
    raise unusable(name)
