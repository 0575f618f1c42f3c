"""How each model wants to be asked: data, not code.

`TABLE` holds the models whose schemas were read (fal's OpenAPI and llms.txt pages, November 2026). Any other
model works through `MediaRequest.wire`, which is laid over the table's entry, or over `GENERIC`:

    {"size": "image_size" | "aspect_ratio" | "none",     how a size is said
     "ratios": ["16:9", …],                              the only aspect ratios taken; left out: any
     "presets": ["square_hd", "auto_2K", …],             named sizes taken through options["preset"]
     "min_pixels": int, "max_pixels": int,               area limits; a size outside is scaled, with a warning
     "steps": "num_inference_steps", "guidance": "guidance_scale",      their field, or "none"
     "images": "image_url" | "image_urls" | …, "images_max": int, "images_required": bool,
     "images_model": "owner/alias/image-to-video",       the endpoint that requests with pictures go to instead
     "negative": "negative_prompt" | "append" | "none",  append: added to the prompt as 'avoid: …'
     "count": "num_images" | "none", "count_max": int, "seed": "seed" | "none",
     "quality": "resolution" | {"high": {"num_inference_steps": 40}, …},
     "options": {"our name": "their field"} | ["same name", …],         further options passed through
     "text": ["duration", …],                            their fields whose digits are strings
     "defaults": {"enable_safety_checker": true, …},     always sent unless the request says otherwise
     "unit_cost_micro_usd": int}                         price of one billable unit, for the true cost
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gesso.providers.base import JSON, MediaKind, MediaRequest
from gesso.providers.wiredata import is_table, is_whole, unusable

FLUX_PRESETS = ("square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9")
_SAME = {"output_format": "output_format"}
_WORD = re.compile(r"[a-z][a-z0-9_]{0,60}")


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description, None where the model has no such thing."""

    size: str = "image_size"
    ratios: tuple[str, ...] = ()
    presets: tuple[str, ...] = FLUX_PRESETS
    min_pixels: int | None = None
    max_pixels: int | None = None
    steps: str | None = None
    guidance: str | None = None
    images: str | None = None
    images_max: int = 1
    images_required: bool = False
    images_model: str | None = None
    negative: str | None = "append"
    count: str | None = "num_images"
    count_max: int = 4
    seed: str | None = "seed"
    quality: str | Mapping[str, Mapping[str, JSON]] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    text: frozenset[str] = frozenset()
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    unit_cost_micro_usd: int | None = None


_STEPS = "num_inference_steps"
_GUIDANCE = "guidance_scale"
_BANANA_RATIOS = ("auto", "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
_BANANA = Shape(
    size="aspect_ratio", ratios=_BANANA_RATIOS, presets=(), options=_SAME, text=frozenset({"safety_tolerance"})
)
_BANANA_2 = replace(
    _BANANA,
    ratios=(*_BANANA_RATIOS, "4:1", "1:4", "8:1", "1:8"),
    quality={name: {"resolution": name} for name in ("0.5K", "1K", "2K", "4K")},
    options={**_SAME, "thinking_level": "thinking_level", "enable_web_search": "enable_web_search"},
)
_JUGGERNAUT = Shape(steps=_STEPS, guidance=_GUIDANCE, options=_SAME)
_LIGHTNING = Shape(steps=_STEPS, options=_SAME)
_FROM_IMAGE: Mapping[str, Any] = {
    "size": "none", "presets": (), "images": "image_url", "images_required": True,
    "options": {**_SAME, "strength": "strength"},
}  # fmt: skip
_SEEDREAM_4 = Shape(
    presets=(*FLUX_PRESETS, "auto", "auto_2K", "auto_4K"),
    min_pixels=960**2,
    max_pixels=4096**2,
    count_max=6,
    options={"enhance_prompt_mode": "enhance_prompt_mode"},
)
_SEEDREAM_45 = replace(_SEEDREAM_4, presets=(*FLUX_PRESETS, "auto_2K", "auto_4K"), min_pixels=2560 * 1440, options={})
_EDIT: Mapping[str, Any] = {"images": "image_urls", "images_max": 10, "images_required": True}
_FILM = Shape(
    size="none", presets=(), negative="negative_prompt", count=None, seed=None, guidance="cfg_scale",
    options={"duration": "duration"}, text=frozenset({"duration"}),
)  # fmt: skip
_KLING_25 = "fal-ai/kling-video/v2.5-turbo/pro"
_KLING_3 = "fal-ai/kling-video/v3/pro"
_KLING_3_FILM = replace(
    _FILM,
    options={"duration": "duration", "audio": "generate_audio"},
    defaults={"generate_audio": False},  # on unless told otherwise, at half as much again
    unit_cost_micro_usd=112_000,
)
# The sheet read only the endpoints that start from a picture; their siblings take a shape in place of it.
_FROM_TEXT: Mapping[str, Any] = {"size": "aspect_ratio", "ratios": ("16:9", "9:16", "1:1"), "images": "image_url"}

TABLE: Mapping[str, Shape] = {
    "fal-ai/flux-pro/v1.1-ultra": Shape(
        size="aspect_ratio",
        presets=(),
        images="image_url",
        options={
            **_SAME,
            "raw": "raw",
            "enhance_prompt": "enhance_prompt",
            "strength": "image_prompt_strength",
        },
        text=frozenset({"safety_tolerance"}),
    ),
    "rundiffusion-fal/rundiffusion-photo-flux": Shape(
        steps=_STEPS,
        guidance=_GUIDANCE,
        options={**_SAME, "loras": "loras", "photo_lora_scale": "photo_lora_scale"},
    ),
    "rundiffusion-fal/juggernaut-flux/pro": _JUGGERNAUT,
    "rundiffusion-fal/juggernaut-flux/base": _JUGGERNAUT,
    "rundiffusion-fal/juggernaut-flux/lightning": _LIGHTNING,
    "rundiffusion-fal/juggernaut-flux/pro/image-to-image": replace(_JUGGERNAUT, **_FROM_IMAGE),
    "rundiffusion-fal/juggernaut-flux/base/image-to-image": replace(_JUGGERNAUT, **_FROM_IMAGE),
    "rundiffusion-fal/juggernaut-flux/lightning/image-to-image": replace(_LIGHTNING, **_FROM_IMAGE),
    "fal-ai/flux/schnell": Shape(steps=_STEPS, guidance=_GUIDANCE, options={**_SAME, "acceleration": "acceleration"}),
    "fal-ai/nano-banana": _BANANA,
    "fal-ai/nano-banana/edit": replace(_BANANA, **_EDIT),
    "fal-ai/nano-banana-2": _BANANA_2,
    "fal-ai/nano-banana-2/edit": replace(_BANANA_2, **_EDIT),
    "fal-ai/bytedance/seedream/v4/text-to-image": _SEEDREAM_4,
    "fal-ai/bytedance/seedream/v4/edit": replace(_SEEDREAM_4, **_EDIT),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": _SEEDREAM_45,
    "fal-ai/bytedance/seedream/v4.5/edit": replace(_SEEDREAM_45, **_EDIT),
    f"{_KLING_25}/text-to-video": replace(_FILM, **_FROM_TEXT, images_model=f"{_KLING_25}/image-to-video"),
    f"{_KLING_25}/image-to-video": replace(_FILM, images="image_url", images_required=True),
    f"{_KLING_3}/text-to-video": replace(_KLING_3_FILM, **_FROM_TEXT, images_model=f"{_KLING_3}/image-to-video"),
    f"{_KLING_3}/image-to-video": replace(_KLING_3_FILM, images="start_image_url", images_required=True),
}

GENERIC = Shape()
GENERIC_VIDEO = Shape(size="none", presets=(), count=None, seed=None, images="image_url")

_FIELD_NAMES = ("steps", "guidance", "images", "count", "seed")
_WHOLE = ("min_pixels", "max_pixels", "images_max", "count_max", "unit_cost_micro_usd")


def shape_for(request: MediaRequest) -> tuple[str, Shape]:
    """The endpoint a request goes to and that one's shape: with pictures it may be another than the model's own.

    Raises Misconfigured("model").
    """
    shape = shape_of(request.model, request.kind, request.wire)
    if request.inputs and shape.images_model is not None:
        own = ("images_model", "size", "ratios")  # of the endpoint that is not asked
        return shape.images_model, shape_of(shape.images_model, request.kind, request.wire, ignored=own)
    return request.model, shape


def shape_of(model: str, kind: MediaKind, wire: Mapping[str, JSON], ignored: tuple[str, ...] = ()) -> Shape:
    """The model's shape with the catalogue's `wire` laid over it, but for `ignored` members.

    Raises Misconfigured("model") on a bad `wire`.
    """
    shape = TABLE.get(model) or (GENERIC_VIDEO if kind == "video" else GENERIC)
    wire = {name: value for name, value in wire.items() if name not in ignored}
    if "images" in wire and "images_max" not in wire and wire["images"] == "image_urls":
        shape = replace(shape, images_max=max(shape.images_max, 10))
    return replace(shape, **{name: _read(name, value) for name, value in wire.items()})


def _read(name: str, value: JSON) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong picture."""
    if name == "size" and value in ("image_size", "aspect_ratio", "none"):
        return value
    if name == "negative" and (value in (None, "none", "append") or _is_word(value)):
        return None if value == "none" else value
    if name == "images_model" and isinstance(value, str) and value.count("/") >= 1:
        return value
    if name in _FIELD_NAMES and (value in (None, "none") or _is_word(value)):
        return None if value == "none" else value
    if name in _WHOLE and is_whole(value, 0):
        return value
    if name == "images_required" and isinstance(value, bool):
        return value
    if name in ("ratios", "presets", "text") and isinstance(value, list):
        words = tuple(part for part in value if isinstance(part, str))
        if len(words) == len(value):
            return frozenset(words) if name == "text" else words
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "options":
        given = {part: part for part in value if isinstance(part, str)} if isinstance(value, list) else value
        if isinstance(given, dict) and all(_is_word(theirs) for theirs in given.values()):
            return given
    if name == "quality" and (value is None or _is_word(value) or is_table(value)):
        return value
    raise unusable(name)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))
