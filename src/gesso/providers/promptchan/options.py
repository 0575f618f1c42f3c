"""How each picture, video or chat model wants to be asked: data, not code.

What the document lists is built in. A model of the catalogue is a choice among it, and may add what only its account
knows. `MediaRequest.wire` or `TextRequest.wire` may hold

    {"style": "Cinematic",                             sent where nobody chose; so are "filter", "emotion", "pose"
     "styles": ["…"], "filters": ["…"], "emotions": ["…"],           further values beside the documented ones
     "poses": ["…"] | {"Cinematic": ["…"], …},         the poses there are, or those of each style; "Default" always is
     "sliders": {"our name": "their_field", …},        further numbers from -1 to 1; never an age, never another field
     "defaults": {"creativity": 50, "detail": 0, …},   settings by our names, used where nobody chose
     "age": 30,                                        the age sent where nobody chose (usual: 25); below 18: refused
     "api": "v2" | "v3.1",                             which of the video calls; the second is unconfirmed
     "seconds": 180,                                   the longest a picture or an answer may take
     "usd_per_gem": "0.04",                            what a gem costs this account; without it no cost is reckoned
     "gems": "12" | {"Standard": "10", "High": "20"},  price of a video (by quality) or of a chat answer, if known
     "character": {"name": "Ada", "personality": "…", "scenario": "…", "gender": "…", "openness": 1, "emotions": 1},
     "user_name": "Sam", "roleplay": false}            chat: what is said where the request says nothing else

There is no way to name a reference picture: pictures of people never go to this provider.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from gesso.providers.base import JSON, MediaKind
from gesso.providers.errors import Misconfigured
from gesso.providers.promptchan import age
from gesso.providers.wiredata import unusable

Api = Literal["v2", "v3.1"]
DEFAULT = "Default"
QUALITIES: Mapping[str, Decimal] = {"Ultra": Decimal(1), "Extreme": Decimal(2), "Max": Decimal(3)}
"""Of pictures, with their price in gems."""
RESTORE_FACES_GEMS = Decimal(1)
VIDEO_QUALITIES = ("Standard", "High", "Max")
SIZES = ("512x512", "512x768", "768x512")
STYLES = (
    "Cinematic", "Anime", "Hyperreal", "Hyperanime", "K-Pop", "Fur", "Furtoon", "Render XL+", "Illustration XL+",
    "Anime XL", "Anime XL+", "Cinematic XL", "Photo XL+", "Hyperreal XL+", "Hyperreal XL+ v2", "Photo XL+ v2",
)  # fmt: skip
FILTERS = (
    DEFAULT, "Cinematic", "Studio", "Flash", "Analog", "Professional", "Polaroid", "Vintage", "Manga", "Cyberpunk",
    "VHS", "Pixel XL", "Comic XL", "Fire Style XL", "Hyper", "3D", "Sketch", "Watercolor", "Lineart", "Moody",
    "Oil Painting", "Rainbow", "Artsy", "Artsy 2", "Cartoon", "Cartoon Vintage", "Painted", "Cartoon 2", "Cartoon 3",
    "Cartoon Minimalist", "Character Sheet", "Vintage Comic", "Pixel Art", "Anime Studio", "Polariod Picture",
    "Flash Photo", "Noir Movie", "Analog Photo", "Vintage Photo",
)  # fmt: skip
EMOTIONS = (
    DEFAULT, "Upset", "Disgusted", "Scared", "Winking", "Angry", "Smiling", "Laughing", "Ouch", "Shocked",
    "Stick out Tongue",
)  # fmt: skip
SETTINGS = ("style", "filter", "emotion", "pose", "detail", "creativity", "restore_faces", "weight")
"""Our names of a picture's settings; what a model of the catalogue may have beside prompt, size, quality, seed, age."""

_SLIDER = re.compile(r"[a-z][a-z0-9_]{0,60}")
_TAKEN = frozenset(
    {
        "prompt", "negative_prompt", "style", "poses", "filter", "emotion", "detail", "seed", "quality", "creativity",
        "image_size", "restore_faces", "age_slider", "weight_slider",
    }
)  # fmt: skip
_CHARACTER_TEXTS = re.compile(r"[a-z]{1,20}")


@dataclass(frozen=True)
class Shape:
    """One model's way of being asked; fields as in the module's description."""

    styles: tuple[str, ...] = STYLES
    filters: tuple[str, ...] = FILTERS
    emotions: tuple[str, ...] = EMOTIONS
    poses: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    sliders: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    api: Api = "v2"
    seconds: int = 180
    usd_per_gem: Decimal | None = None
    gems: Decimal | Mapping[str, Decimal] | None = None
    character: Mapping[str, JSON] = field(default_factory=dict)
    user_name: str = "User"
    roleplay: bool = False

    def poses_of(self, style: str) -> tuple[str, ...]:
        """The poses a style has; `Default` is none of them and always there."""
        return self.poses.get(style, ()) if isinstance(self.poses, Mapping) else self.poses

    def price(self, quality: str) -> Decimal | None:
        """Gems of a video or a chat answer, where the catalogue knows."""
        return self.gems.get(quality) if isinstance(self.gems, Mapping) else self.gems


def shape_of(wire: Mapping[str, JSON]) -> Shape:
    """What the catalogue says laid over what is built in. Raises Misconfigured("model") on a bad `wire`.

    `age` is not read here: see age.of_request.
    """
    shape = Shape()
    defaults: dict[str, JSON] = {}
    for name, value in wire.items():
        if name == "age":
            continue
        if name in ("style", "filter", "emotion", "pose") and isinstance(value, str):
            defaults[name] = value
        elif name == "defaults" and isinstance(value, dict):
            defaults.update(value)
        else:
            shape = replace(shape, **{name: _read(name, value)})
    unknown = set(defaults) - {*SETTINGS, *shape.sliders, "age", "audio", "quality"}
    if unknown:
        raise Misconfigured("model", note=f"The model's wire data has a default for an unknown {min(unknown)!r}.")
    return replace(shape, defaults=defaults)


def _read(name: str, value: JSON) -> Any:
    """One member of `wire`, checked: a slip here would otherwise be paid for as a wrong picture."""
    if name in ("styles", "filters", "emotions"):
        return ({"styles": STYLES, "filters": FILTERS, "emotions": EMOTIONS}[name]) + _texts(name, value)
    if name == "poses":
        if isinstance(value, dict):
            return {style: _texts(name, poses) for style, poses in value.items()}
        return _texts(name, value)
    if name == "sliders" and isinstance(value, dict):
        fields = [field for field in value.values() if isinstance(field, str) and _SLIDER.fullmatch(field)]
        if len(fields) == len(value) and _TAKEN.isdisjoint(fields) and not set(value) & {*SETTINGS, "age"}:
            return value
    if name == "api" and value in ("v2", "v3.1"):
        return value
    if name == "seconds" and isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 600:
        return value
    if name == "usd_per_gem":
        return _figure(name, value)
    if name == "gems":
        if isinstance(value, dict):
            return {quality: _figure(name, price) for quality, price in value.items()}
        return _figure(name, value)
    if name == "character" and isinstance(value, dict):
        return checked_character(value)
    if name == "user_name" and isinstance(value, str) and value.strip():
        return value.strip()[:80]
    if name == "roleplay" and isinstance(value, bool):
        return value
    raise unusable(name)


def check(model: str, kind: MediaKind, wire: Mapping[str, JSON]) -> None:
    """What can be said of a model's wire data before it is used. Raises Misconfigured("model")."""
    age.of_request({}, wire)
    shape_of(wire)


def checked_character(given: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A chat's character but for its age: texts, and two levels from 0 to 2. Raises Misconfigured("model")."""
    for name, value in given.items():
        if name == "age":
            continue
        level = name in ("openness", "emotions")
        fits = (
            isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2
            if level
            else isinstance(value, str) and _CHARACTER_TEXTS.fullmatch(name)
        )
        if not fits:
            raise Misconfigured("model", note=f"The model's wire data has an unusable character.{name[:20]}.")
    return {name: value for name, value in given.items() if name != "age"}


def _texts(name: str, value: JSON) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(part, str) and 0 < len(part) <= 120 for part in value):
        return tuple(str(part) for part in value)
    raise unusable(name)


def _figure(name: str, value: JSON) -> Decimal:
    try:
        figure = Decimal(str(value))
    except InvalidOperation:
        figure = Decimal("NaN")
    if isinstance(value, bool) or not figure.is_finite() or not 0 <= figure <= 100_000:
        raise unusable(name)
    return figure
