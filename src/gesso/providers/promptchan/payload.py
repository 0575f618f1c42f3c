"""A MediaRequest to the body of a picture or a video. Pure and strict: fixed fields, an age always among them.

Unknown fields may be ignored there without a word, so that a misspelt one would lose its meaning; for the age that
is not to be risked. Fact sheet, sections 2 and 3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from gesso.providers import asking
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.promptchan import age
from gesso.providers.promptchan.options import (
    DEFAULT,
    QUALITIES,
    RESTORE_FACES_GEMS,
    SIZES,
    VIDEO_QUALITIES,
    Shape,
)

LONGEST_SIDE = 16_384
_NUMBERS: Mapping[str, tuple[str, float, float]] = {
    "detail": ("detail", -2, 2),
    "creativity": ("creativity", 0, 100),  # recommended: 30, 50, 70
    "weight": ("weight_slider", -1, 1),
}
"""Our name → their field, least, most. Whether the sliders take fractions is unconfirmed; the document says number."""


@dataclass(frozen=True)
class Payload:
    """A ready body. `gems`: what it should cost by the published list, None where none is published."""

    body: dict[str, JSON]
    gems: Decimal | None
    warnings: tuple[str, ...]


def picture(request: MediaRequest, shape: Shape) -> Payload:
    """The body of `create`. Raises Rejected, Misconfigured."""
    years, warnings, prompt, negative = _begin(request, "negative_prompt")
    asked = _settings(request, shape)
    style = str(asked["style"])
    quality = _quality(request, shape, tuple(QUALITIES), "Ultra")
    restore = _flag(asked.pop("restore_faces", False), "restore_faces")
    body: dict[str, JSON] = {
        "prompt": prompt, **negative, "style": style, "poses": _pose(asked.pop("pose"), style, shape),
        "filter": asked.pop("filter"), "emotion": asked.pop("emotion"), "quality": quality,
        "image_size": _size(request, warnings), "restore_faces": restore, "age_slider": years,
    }  # fmt: skip
    del asked["style"]
    body["seed"] = -1 if request.seed is None else request.seed
    for name, value in asked.items():
        theirs, least, most = _NUMBERS.get(name) or (shape.sliders.get(name), -1, 1)
        if theirs is not None:
            body[theirs] = _number(name, value, least, most)
        elif name not in ("age", "audio", "quality"):
            warnings.append(asking.no_setting(name))
    return Payload(body, QUALITIES[quality] + (RESTORE_FACES_GEMS if restore else 0), tuple(warnings))


def video(request: MediaRequest, shape: Shape) -> Payload:
    """The body of a video's `submit`. Raises Rejected, Misconfigured."""
    years, warnings, prompt, _ = _begin(request, None)
    quality = _quality(request, shape, VIDEO_QUALITIES, "Standard")
    asked: dict[str, JSON] = {**shape.defaults, **_given(request)}
    body: dict[str, JSON] = {
        "prompt": prompt, "age_slider": years, "video_quality": quality,
        "audioEnabled": _flag(asked.pop("audio", False), "audio"),
        "aspect": _aspect(request, ("Portrait", "Wide") if shape.api == "v2" else ("Portrait", "Square", "Landscape")),
    }  # fmt: skip
    if shape.api == "v3.1" and "style" in asked:
        body["style"] = _chosen("style", asked.pop("style"), shape.styles)
    if request.seed is not None:
        body["seed"] = request.seed
    if asked.pop("duration", None) is not None:
        warnings.append("This model chooses the length of its videos itself.")
    warnings.extend(asking.no_setting(name) for name in asked if name in request.options and name != "age")
    return Payload(body, shape.price(quality), tuple(warnings))


def micro_usd(gems: Decimal | None, shape: Shape) -> int | None:
    """Gems in micro-dollars, rounded up; None where the price of either is not known."""
    if gems is None or shape.usd_per_gem is None:
        return None
    return int((gems * shape.usd_per_gem * 1_000_000).to_integral_value(ROUND_CEILING))


def _begin(request: MediaRequest, negative_field: str | None) -> tuple[int, list[str], str, dict[str, JSON]]:
    """What comes first for both: no pictures, an adult age, words about adults; the prompts."""
    asking.check_pictures(len(request.inputs), 0, required=False)
    years = age.of_request(request.options, request.wire)
    texts = [value for value in request.options.values() if isinstance(value, str)]
    age.check_words([request.prompt, *texts], request.negative_prompt)
    if not request.prompt.strip():
        raise Rejected("Say what you would like to see.", field="prompt")
    warnings: list[str] = []
    prompt, negative = asking.prompts(request, negative_field, warnings)
    asking.count_field(request, None, 1, warnings)
    return years, warnings, prompt, negative


def _given(request: MediaRequest) -> dict[str, JSON]:
    return {name: value for name, value in request.options.items() if value is not None}


def _settings(request: MediaRequest, shape: Shape) -> dict[str, JSON]:
    """A picture's settings by our names, with their defaults, the choices among them checked."""
    asked: dict[str, JSON] = {
        "style": "Cinematic", "pose": DEFAULT, "filter": DEFAULT, "emotion": DEFAULT, **shape.defaults,
        **_given(request),
    }  # fmt: skip
    for name, choices in (("style", shape.styles), ("filter", shape.filters), ("emotion", shape.emotions)):
        asked[name] = _chosen(name, asked[name], choices)
    return asked


def _chosen(name: str, value: JSON, choices: Sequence[str]) -> str:
    """One of the values there are: what an unknown one would do is not known, and it might be paid for."""
    found = next((choice for choice in choices if isinstance(value, str) and choice.lower() == value.lower()), None)
    if found is None:
        raise Rejected(f"This model has no such {name}.", field=name)
    return found


def _pose(value: JSON, style: str, shape: Shape) -> str:
    """Which poses go with a style is up to the catalogue; what a wrong pair does is not known."""
    if not isinstance(value, str) or (value != DEFAULT and value not in shape.poses_of(style)):
        raise Rejected("This model has no such pose in this style.", field="pose")
    return value


def _quality(request: MediaRequest, shape: Shape, qualities: Sequence[str], usual: str) -> str:
    """The quality decides the price, so that an unknown one is refused and none is always said."""
    wanted: JSON = request.quality
    if request.quality in asking.ORDINARY_QUALITY and request.quality not in [name.lower() for name in qualities]:
        wanted = shape.defaults.get("quality", usual)
    return _chosen("quality", wanted, qualities)


def _size(request: MediaRequest, warnings: list[str]) -> str:
    """The nearest of the three sizes by ratio, then by area. Raises Rejected."""
    ratio, exact = _ratio(request)
    if ratio is None:
        return SIZES[0]
    known = {size: _sides(size) for size in SIZES}
    best = min(SIZES, key=lambda size: abs(math.log(known[size][0] / known[size][1]) - math.log(ratio)))
    wide, high = known[best]
    if (exact is not None and exact != (wide, high)) or (exact is None and abs(wide / high - ratio) > 0.02):
        warnings.append(f"This model makes only certain sizes; {wide}×{high} was the nearest.")
    return best


def _sides(size: str) -> tuple[int, int]:
    wide, _, high = size.partition("x")
    return int(wide), int(high)


def _ratio(request: MediaRequest) -> tuple[float | None, tuple[int, int] | None]:
    """Width by height, and the pixels where they were asked for."""
    exact = asking.pixels_asked(request, LONGEST_SIDE)
    if exact is not None:
        return exact[0] / exact[1], exact
    if request.aspect_ratio in (None, "auto"):
        return None, None
    return float(asking.parse_ratio(str(request.aspect_ratio))), None


def _aspect(request: MediaRequest, names: Sequence[str]) -> str:
    """Their word for the shape; `names` from the tallest to the widest."""
    ratio = _ratio(request)[0] or 1.0
    if len(names) == 3:
        return names[0] if ratio < 0.9 else names[2] if ratio > 1.1 else names[1]
    return names[0] if ratio < 1 else names[1]


def _number(name: str, value: JSON, least: float, most: float) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Rejected(f"“{name.replace('_', ' ')}” must be a number from {least:g} to {most:g}.", field=name)
    return value


def _flag(value: JSON, name: str) -> bool:
    if not isinstance(value, bool):
        raise Rejected(f"“{name.replace('_', ' ')}” is either on or off.", field=name)
    return value
