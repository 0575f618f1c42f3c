"""How each model wants to be asked: data, not code.

`TABLE` holds the image models whose settings were read (documentation of November 2026). Every other model works
through its `wire` in the catalogue, which is laid over the table's entry, or over `TEXT` and `PICTURES`. For both:

    {"options": {"our name": "theirFieldOfGenerationConfig"},   may be a path, such as "thinkingConfig.thinkingLevel"
     "defaults": {"thinkingConfig": {"thinkingLevel": "LOW"}},  members of generationConfig; the request goes over them
     "safety": {"sexually_explicit": "BLOCK_ONLY_HIGH"},        thresholds; child safety is always on and cannot be set
     "seconds": 180,                                            the longest an answer may take
     "inline_mb": 20,                                           the most that pictures may weigh, as base64, together
     "usd_per_million": {…}}                                    prices, see pricing.py

For text:

    {"stream": true,
     "schema": "response_schema" | "json" | "instruction",      how a JSON Schema is said; the latter two ask in words
     "thinking_room": 0}                                        tokens added to the limit, where thoughts count too

For pictures:

    {"ratios": ["1:1", …],                                      [] for a model that chooses its shape itself
     "sizes": ["1K", "2K", "4K"],                               values of imageSize; [] for a model without
     "modalities": ["TEXT", "IMAGE"],
     "images": true | false, "images_max": 10, "images_required": false,
     "negative": "append" | "none",                             append: added to the prompt as 'avoid: …'
     "seed": "seed" | "none"}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from gesso.providers.base import JSON
from gesso.providers.gemini.pricing import NAMES
from gesso.providers.prices import read_prices
from gesso.providers.wiredata import is_whole, unusable

Kind = Literal["text", "image"]
SchemaManner = Literal["response_schema", "json", "instruction"]

CATEGORIES = ("harassment", "hate_speech", "sexually_explicit", "dangerous_content", "civic_integrity")
THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")
RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}(?:\.[A-Za-z][A-Za-z0-9]{0,40}){0,3}")
_RATIO = re.compile(r"[1-9]\d?:[1-9]\d?")
_SIZE = re.compile(r"\d{1,4}K?")


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description, None where the model has no such thing."""

    options: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    safety: Mapping[str, str] = field(default_factory=dict)
    seconds: int = 180
    inline_mb: int = 20
    usd_per_million: Mapping[str, Decimal] = field(default_factory=dict)
    stream: bool = True
    schema: SchemaManner = "response_schema"
    thinking_room: int = 0
    ratios: tuple[str, ...] = RATIOS
    sizes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ("TEXT", "IMAGE")
    images: bool = True
    images_max: int = 10
    images_required: bool = False
    negative: str | None = "append"
    seed: str | None = None


_SAMPLING = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "thinking": "thinkingConfig.thinkingLevel",
}  # fmt: skip
TEXT = Shape(options={**_SAMPLING, "seed": "seed", "stop": "stopSequences"}, seconds=300)
PICTURES = Shape(options=_SAMPLING)

TABLE: Mapping[str, Shape] = {
    "gemini-3-pro-image": replace(PICTURES, sizes=("1K", "2K", "4K")),
    "gemini-3.1-flash-image": replace(PICTURES, sizes=("512", "1K", "2K", "4K")),
    # Its sizes were not found, and this one had none: what is not sent cannot be wrong.
    "gemini-3.1-flash-lite-image": PICTURES,
    "gemini-2.5-flash-image": PICTURES,
}


def shape_of(model: str, kind: Kind, wire: Mapping[str, JSON]) -> Shape:
    """The model's shape with the catalogue's `wire` laid over it. Raises Misconfigured("model") on a bad `wire`."""
    shape = TEXT if kind == "text" else TABLE.get(model.removeprefix("models/"), PICTURES)
    return replace(shape, **{name: _read(name, value, shape) for name, value in wire.items()})


def _read(name: str, value: JSON, shape: Shape) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong answer."""
    if name in ("stream", "images", "images_required") and isinstance(value, bool):
        return value
    if name in ("seconds", "inline_mb", "images_max") and is_whole(value):
        return value
    if name == "thinking_room" and is_whole(value, 0):
        return value
    if name == "schema" and value in ("response_schema", "json", "instruction"):
        return value
    if name == "negative" and value in (None, "none", "append"):
        return "append" if value == "append" else None
    if name == "seed" and value in (None, "none", "seed"):
        return "seed" if value == "seed" else None
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "usd_per_million":
        return read_prices(value, NAMES)
    if name == "options" and isinstance(value, dict) and all(_matches(_PATH, path) for path in value.values()):
        return {**shape.options, **value}
    if name == "safety" and isinstance(value, dict) and all(
        key in CATEGORIES and threshold in THRESHOLDS for key, threshold in value.items()
    ):  # fmt: skip
        return value
    if isinstance(value, list):
        if name == "ratios" and all(_matches(_RATIO, part) for part in value):
            return tuple(value)
        if name == "sizes" and all(_matches(_SIZE, part) for part in value):
            return tuple(value)
        if name == "modalities" and value and all(part in ("TEXT", "IMAGE") for part in value):
            return tuple(value)
    raise unusable(name)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
