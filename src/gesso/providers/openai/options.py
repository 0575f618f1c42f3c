"""How each picture or video model wants to be asked: data, not code.

`TABLE` holds the models whose rules were read (OpenAI's SDK 3.52.0, November 2026). Any other model works through
`MediaRequest.wire`, which is laid over the table's entry, or over `GENERIC` and `GENERIC_VIDEO`:

    {"size": "free" | "listed" | "as_given" | "none",    free: any, sides divisible by 16, 1:3 to 3:1, up to 3840x2160
     "sizes": ["1024x1024", …],                          for "listed": the only ones taken
     "qualities": ["low", …],                            the values `quality` may have; [] for a model without
     "images": true | false, "images_max": int, "images_required": bool,
     "image_field": "image",                             name of the file part; `[]` is added when there are several
     "negative": "append" | "none" | "negative_prompt",  append: added to the prompt as 'avoid: …'
     "count": "n" | "none", "count_max": int, "seed": "seed" | "none",
     "options": {"our name": "their field"} | ["same name", …],
     "defaults": {"moderation": "auto", "response_format": "b64_json", …},      always sent unless the request says else
     "seconds": 240,                                     the longest a picture may take
     "durations": [4, 8, 12], "duration": "seconds",     videos: the lengths taken ([]: any), and their field
     "usd_per_million": {…}}                             prices, see pricing.py
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from gesso.providers.base import JSON, MediaKind
from gesso.providers.errors import Misconfigured
from gesso.providers.openai import pricing
from gesso.providers.openai.chat import read_options
from gesso.providers.openai.wire import pixels
from gesso.providers.wiredata import is_whole, unusable

Sizing = Literal["free", "listed", "as_given", "none"]
_THREE = ("1024x1024", "1536x1024", "1024x1536")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,60}")


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description, None where the model has no such thing."""

    size: Sizing = "as_given"
    sizes: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    images: bool = True
    images_max: int = 16
    images_required: bool = False
    image_field: str = "image"
    negative: str | None = "append"
    count: str | None = "n"
    count_max: int = 10
    seed: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    seconds: int = 240
    durations: tuple[int, ...] = ()
    duration: str = "seconds"
    usd_per_million: Mapping[str, Decimal] = field(default_factory=dict)


def _same(*names: str) -> Mapping[str, str]:
    return {name: name for name in names}


_PLAIN = ("output_format", "output_compression", "background", "moderation")
_QUALITIES = ("auto", "low", "medium", "high")
_FIRST = Shape("listed", _THREE, _QUALITIES, options=_same(*_PLAIN, "input_fidelity"))
_SECOND = Shape("free", (), _QUALITIES, options=_same(*_PLAIN))
_FINE = replace(_SECOND, qualities=(*_QUALITIES, "xhigh", "max"), options=_same(*_PLAIN, "complexity"))
# Whether 2.6 takes any size is not confirmed: the three that all models take are safe.
_LATEST = replace(_FINE, size="listed", sizes=_THREE)
_SORA = Shape(
    "listed", ("1280x720", "720x1280"), images_max=1, image_field="input_reference", count=None, durations=(4, 8, 12)
)

TABLE: Mapping[str, Shape] = {
    "gpt-image-1-mini": _FIRST,
    "gpt-image-1.5": _FIRST,
    "chatgpt-image-latest": replace(_FIRST, options=_same(*_PLAIN)),
    "gpt-image-2": _SECOND,
    "gpt-image-2.5-sunburst": _FINE,
    "gpt-image-2.5-flare": _FINE,
    "gpt-image-2.6-sunburst": _LATEST,
    "gpt-image-2.6-flare": _LATEST,
    "sora-2": _SORA,
    "sora-2-pro": replace(_SORA, sizes=(*_SORA.sizes, "1792x1024", "1024x1792")),
}
GENERIC = Shape(options=_same("output_format"))
GENERIC_VIDEO = Shape(images_max=1, image_field="input_reference", count=None)

_DATED = re.compile(r"-20\d\d-\d\d-\d\d$")


def shape_of(model: str, kind: MediaKind, wire: Mapping[str, JSON]) -> Shape:
    """The model's shape with the catalogue's `wire` laid over it. Raises Misconfigured("model") on a bad `wire`."""
    known = TABLE.get(_DATED.sub("", model))
    shape = known or (GENERIC_VIDEO if kind == "video" else GENERIC)
    shape = replace(shape, **{name: _read(name, value, shape) for name, value in wire.items()})
    if shape.size == "listed" and not shape.sizes:
        raise Misconfigured("model", note="The model's wire data says 'listed' and lists no sizes.")
    return shape


def _read(name: str, value: JSON, shape: Shape) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong picture."""
    if name == "size" and value in ("free", "listed", "as_given", "none"):
        return value
    if name in ("images", "images_required") and isinstance(value, bool):
        return value
    if name in ("images_max", "count_max", "seconds") and is_whole(value):
        return value
    if name in ("negative", "count", "seed") and (value is None or _is_word(value)):
        return None if value == "none" else value
    if name in ("image_field", "duration") and _is_word(value):
        return value
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "options":
        return {**shape.options, **read_options(value)}
    if name == "usd_per_million":
        return pricing.prices(value)
    if isinstance(value, list):
        if name == "durations" and all(is_whole(part, 0) for part in value):
            return tuple(value)
        if name == "sizes" and value and all(pixels(part) or part == "auto" for part in value):
            return tuple(value)
        if name == "qualities" and all(map(_is_word, value)):
            return tuple(value)
    raise unusable(name)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))
