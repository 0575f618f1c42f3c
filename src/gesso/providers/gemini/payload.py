"""Pictures: a MediaRequest to the body of generateContent. Pure and strict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from gesso.providers import asking
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.gemini.bodies import check_weight, picture_part, put, text_part, with_safety
from gesso.providers.gemini.options import Shape

SIDE_MAX = 16_384
_ORDINARY_QUALITY = (*asking.ORDINARY_QUALITY, "auto")


@dataclass(frozen=True)
class Payload:
    """A ready body."""

    body: dict[str, JSON]
    warnings: tuple[str, ...]


def build(request: MediaRequest, shape: Shape) -> Payload:
    """What to send. Raises Rejected."""
    most = shape.images_max if shape.images else 0
    asking.check_pictures(len(request.inputs), most, required=shape.images_required)
    check_weight(request.inputs, shape)
    warnings: list[str] = []
    prompt, _ = asking.prompts(request, shape.negative, warnings)
    config: dict[str, JSON] = {**shape.defaults, "responseModalities": list(shape.modalities)}
    for member, chosen in _image_config(request, shape, warnings).items():
        put(config, f"imageConfig.{member}", chosen)
    for name, value in request.options.items():
        if value is None:
            continue
        if name in shape.options:
            put(config, shape.options[name], value)
        else:
            warnings.append(asking.no_setting(name))
    config.update(asking.seed_field(request, shape.seed, warnings))
    asking.count_field(request, None, 1, warnings)
    parts: list[JSON] = [text_part(prompt), *(picture_part(picture) for picture in request.inputs)]
    body: dict[str, JSON] = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
    return Payload(with_safety(body, shape.safety), tuple(warnings))


def _image_config(request: MediaRequest, shape: Shape, warnings: list[str]) -> dict[str, str]:
    """Shape and size in their words; nothing asked for, nothing sent. Raises Rejected for a size that is none."""
    pixels = asking.pixels_asked(request, SIDE_MAX)
    config: dict[str, str] = {}
    ratio = _ratio(request, pixels, shape, warnings)
    if ratio is not None:
        config["aspectRatio"] = ratio
    if request.quality in shape.sizes:
        config["imageSize"] = str(request.quality)
    elif request.quality not in _ORDINARY_QUALITY:
        warnings.append(asking.no_quality(request.quality))
    elif pixels is not None and shape.sizes:
        config["imageSize"] = _nearest_size(pixels, shape.sizes)
    if pixels is not None and config:
        told = " at ".join(config.values())
        warnings.append(f"This model chooses the number of pixels itself; {told} was asked for.")
    return config


def _ratio(
    request: MediaRequest, pixels: tuple[int, int] | None, shape: Shape, warnings: list[str]
) -> str | None:  # fmt: skip
    wanted = request.aspect_ratio
    if pixels is None and wanted in (None, "auto"):
        return None
    if not shape.ratios:
        warnings.append("This model chooses the shape of its pictures itself.")
        return None
    if pixels is None and wanted in shape.ratios:
        return wanted
    exact = Fraction(*pixels) if pixels else asking.parse_ratio(str(wanted))
    nearest = min(shape.ratios, key=lambda known: abs(math.log(asking.parse_ratio(known) / exact)))
    if pixels is None and asking.parse_ratio(nearest) != exact:
        warnings.append(f"This model does not make {wanted}; the nearest, {nearest}, was asked for.")
    return nearest


def _nearest_size(pixels: tuple[int, int], sizes: Sequence[str]) -> str:
    """The size whose square is nearest in area: `1K` is about 1,024 × 1,024 pixels, `512` that many squared."""
    side = math.sqrt(pixels[0] * pixels[1])

    def apart(size: str) -> float:
        return abs(math.log(side / (int(size[:-1]) * 1024 if size.endswith("K") else int(size))))

    return min(sizes, key=apart)
