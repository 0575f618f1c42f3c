"""How each model wants to be asked: data, not code.

`TABLE` holds the models whose schemas were read (the fact sheet's section 6, November 2026). Any other model works
through `MediaRequest.wire`, which is laid over the table's entry, or over `GENERIC`. A model is `owner/name` (an
official model), `owner/name:version` (any other; the version is 64 hexadecimal digits) or `deployments/owner/name`.

    {"like": "stability-ai/sdxl",                        start from this entry: forks, deployments, own trainings
     "version": "39ed52f2…",                             the version, where the model's name does not say it
     "prompt": "prompt" | "none", "negative": "negative_prompt" | "append" | "none",
     "size": "pixels" | "aspect_ratio" | "custom" | "none",   custom: a ratio, or aspect_ratio "custom" with pixels
     "ratios": ["16:9", …], "step": 8, "min_side": int, "max_side": int,      sides: divisible by, limits
     "steps": "num_inference_steps", "guidance": "guidance_scale", "seed": "seed",      their field, or "none"
     "count": "num_outputs" | "none", "count_max": int,
     "images": "image" | ["image", "mask"], "images_max": int, "images_required": bool,
                                                         one field; a list field (images_max > 1); one field per picture
     "loras": {"weights": "lora_weights", "scales": "lora_scale", "max": 1, "list": false, "low": 0, "high": 1},
                                                         list true: two parallel lists
     "options": {"our name": "their field"} | ["same name", …],      further options passed through
     "choices": {"output_format": {"jpeg": {"output_format": "jpg"}}, …},   option → value → their fields
     "text": ["megapixels", …],                          their fields whose digits are strings
     "defaults": {"frames_per_second": 6, …},            always sent unless the request says otherwise
     "safety": ["NSFW content", …],                      in a failed prediction's text: a content check refused (regex)
     "micro_usd_per_second": int,                        price of a second of the hardware it runs on, for the true cost
     "micro_usd_per_output": int}                        or the price of an output, where that is how it is billed
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gesso.providers.base import JSON, MediaKind
from gesso.providers.wiredata import is_pattern, is_table, is_whole, unusable

SAFETY = (r"NSFW content", r"flagged as sensitive", r"\(E005\)")
"""What refusals of content checks say: there is no flag for it on any model."""
VERSION = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,60}")
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)


@dataclass(frozen=True)
class Loras:
    """How a model takes LoRA weights: one field and its scale, or two parallel lists."""

    weights: str
    scales: str
    max: int = 1
    list: bool = False
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description, None where the model has no such thing."""

    version: str | None = None
    prompt: str | None = "prompt"
    negative: str | None = "append"
    size: str = "aspect_ratio"
    ratios: tuple[str, ...] = ()
    step: int = 8
    min_side: int = 64
    max_side: int = 4096
    steps: str | None = None
    guidance: str | None = None
    seed: str | None = "seed"
    count: str | None = None
    count_max: int = 4
    images: str | tuple[str, ...] | None = None
    images_max: int = 1
    images_required: bool = False
    loras: Loras | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, Mapping[str, JSON]]] = field(default_factory=dict)
    text: frozenset[str] = frozenset()
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    safety: tuple[str, ...] = SAFETY
    micro_usd_per_second: int | None = None
    micro_usd_per_output: int | None = None


_STEPS = "num_inference_steps"
_GUIDANCE = "guidance_scale"
_JPEG: Mapping[str, Mapping[str, Mapping[str, JSON]]] = {"output_format": {"jpeg": {"output_format": "jpg"}}}
_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_FILE = {"output_format": "output_format", "output_quality": "output_quality"}
_SDXL = Shape(
    version="39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
    negative="negative_prompt",
    size="pixels",
    steps=_STEPS,
    guidance=_GUIDANCE,
    count="num_outputs",
    images=("image", "mask"),
    images_max=2,
    loras=Loras("replicate_weights", "lora_scale"),
    options={
        "strength": "prompt_strength", "scheduler": "scheduler", "refine": "refine", "refine_steps": "refine_steps",
        "high_noise_frac": "high_noise_frac", "watermark": "apply_watermark",
    },
)  # fmt: skip
_CONTROLS = ("", "_conditioning_scale", "_start", "_end")
_SCHNELL = Shape(
    ratios=_RATIOS,
    steps=_STEPS,
    count="num_outputs",
    options={**_FILE, "megapixels": "megapixels", "go_fast": "go_fast"},
    choices=_JPEG,
    text=frozenset({"megapixels"}),
    micro_usd_per_output=3000,
)
_DEV = replace(
    _SCHNELL,
    guidance="guidance",
    images="image",
    options={**_SCHNELL.options, "strength": "prompt_strength"},
    micro_usd_per_output=None,
)
_PRO = Shape(
    ratios=_RATIOS,
    size="custom",
    step=32,
    min_side=256,
    max_side=1440,
    images="image_prompt",
    options={**_FILE, "safety_tolerance": "safety_tolerance", "enhance_prompt": "prompt_upsampling"},
    choices=_JPEG,
    micro_usd_per_output=40_000,
)

TABLE: Mapping[str, Shape] = {
    "stability-ai/sdxl": _SDXL,
    "fofr/sdxl-multi-controlnet-lora": replace(
        _SDXL,
        version="9e24c008f61b7ad0310e1a2921c5128c962d0da2a8eb58b3184975df2798f3f6",
        loras=Loras("lora_weights", "lora_scale"),
        options={
            **{name: theirs for name, theirs in _SDXL.options.items() if name != "high_noise_frac"},
            "sizing_strategy": "sizing_strategy",
            **{f"controlnet_{n}{part}": f"controlnet_{n}{part}" for n in (1, 2, 3) for part in _CONTROLS},
        },
    ),
    # Read from a sibling's page, not from the model's own: the lists' names are inferred.
    "lucataco/flux-dev-multi-lora": replace(
        _DEV,
        guidance=_GUIDANCE,
        loras=Loras("hf_loras", "lora_scales", max=8, list=True, low=-10, high=10),
        options={**_FILE, "strength": "prompt_strength"},
        text=frozenset(),
    ),
    "stability-ai/stable-video-diffusion": Shape(
        version="3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438",
        prompt=None,
        negative=None,
        size="none",
        images="input_image",
        images_required=True,
        options={
            "motion": "motion_bucket_id", "noise": "cond_aug", "fps": "frames_per_second", "frames": "video_length",
            "framing": "sizing_strategy", "decoding_frames": "decoding_t",
        },
        choices={
            "duration": {
                "2": {"video_length": "25_frames_with_svd_xt", "frames_per_second": 12},
                "4": {"video_length": "25_frames_with_svd_xt", "frames_per_second": 6},
            }
        },
        defaults={"video_length": "25_frames_with_svd_xt", "frames_per_second": 6},
    ),
    "black-forest-labs/flux-schnell": _SCHNELL,
    "black-forest-labs/flux-dev": _DEV,
    "black-forest-labs/flux-1.1-pro": _PRO,
    "black-forest-labs/flux-1.1-pro-ultra": replace(
        _PRO,
        size="aspect_ratio",
        options={
            "output_format": "output_format", "safety_tolerance": "safety_tolerance", "raw": "raw",
            "strength": "image_prompt_strength",
        },
        micro_usd_per_output=None,
    ),
}  # fmt: skip

GENERIC = Shape()
GENERIC_VIDEO = Shape(size="none", images="image", seed=None)

_FIELD_NAMES = ("prompt", "steps", "guidance", "seed", "count")
_WHOLE = (
    "step", "min_side", "max_side", "count_max", "images_max", "micro_usd_per_second", "micro_usd_per_output"
)  # fmt: skip


def base_name(model: str) -> str:
    """`owner/name` of any way to name a model."""
    return model.removeprefix("deployments/").partition(":")[0]


def shape_of(model: str, kind: MediaKind, wire: Mapping[str, JSON]) -> Shape:
    """The model's shape with the catalogue's `wire` laid over it. Raises Misconfigured("model") on a bad `wire`."""
    like = wire.get("like", base_name(model))
    if "like" in wire and (not isinstance(like, str) or like not in TABLE):
        raise unusable("like")
    shape = TABLE.get(str(like)) or (GENERIC_VIDEO if kind == "video" else GENERIC)
    if base_name(model) != like:
        shape = replace(shape, version=None)  # another model's version
    return replace(shape, **{name: _read(name, value) for name, value in wire.items() if name != "like"})


def _read(name: str, value: JSON) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong picture."""
    if name == "version" and isinstance(value, str) and VERSION.fullmatch(value):
        return value
    if name == "size" and value in ("pixels", "aspect_ratio", "custom", "none"):
        return value
    if name == "negative" and (value in ("none", "append") or _is_word(value)):
        return None if value == "none" else value
    if name in _FIELD_NAMES and (value == "none" or _is_word(value)):
        return None if value == "none" else value
    if name in _WHOLE and is_whole(value):
        return value
    if name == "images_required" and isinstance(value, bool):
        return value
    if name == "images" and (value == "none" or _is_word(value)):
        return None if value == "none" else value
    if name == "images" and isinstance(value, list) and value and all(map(_is_word, value)):
        return tuple(value)
    if name in ("ratios", "text", "safety") and isinstance(value, list):
        words = tuple(part for part in value if isinstance(part, str) and part)
        if len(words) == len(value) and (name != "safety" or all(map(is_pattern, words))):
            return frozenset(words) if name == "text" else words
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "options":
        given = {part: part for part in value if isinstance(part, str)} if isinstance(value, list) else value
        if isinstance(given, dict) and all(map(_is_word, given.values())):
            return given
    if name == "choices" and isinstance(value, dict) and all(map(is_table, value.values())):
        return value
    if name == "loras" and (value == "none" or isinstance(value, dict)):
        return None if value == "none" else _loras(value)  # type: ignore[arg-type]  # mypy loses the dict behind `or`
    raise unusable(name)


def _loras(value: Mapping[str, JSON]) -> Loras:
    known: dict[str, Any] = {}
    for name, part in value.items():
        number = isinstance(part, int | float) and not isinstance(part, bool)
        fits = (
            (name in ("weights", "scales") and _is_word(part))
            or (name == "max" and isinstance(part, int) and number and part >= 1)
            or (name == "list" and isinstance(part, bool))
            or (name in ("low", "high") and number)
        )
        if not fits:
            raise unusable("loras")
        known[name] = part
    if not {"weights", "scales"} <= known.keys() or (known.get("max", 1) > 1 and not known.get("list")):
        raise unusable("loras")
    return Loras(**known)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


def is_name(text: str) -> bool:
    """Whether `text` is owner/name of plain words: it becomes part of a URL."""
    return bool(_NAME.fullmatch(text))
