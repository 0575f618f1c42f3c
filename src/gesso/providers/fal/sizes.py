"""A size in our words to a size in the model's: pixels, a named preset, or an aspect ratio. Pure."""

import math
from fractions import Fraction

from gesso.providers.asking import parse_ratio, pixels_asked
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.fal.options import Shape

MEGAPIXEL = 1024**2
SIDE_MAX = 14142  # fal's own limit for image_size
_STEP = 16  # latent models round to multiples of 16 by themselves; asking for one keeps what is shown true
_TERM_MAX = 99  # 1366×768 is 683:384, which is no ratio anyone has trained on
_PRESET_OF = {
    Fraction(1): "square_hd",
    Fraction(3, 4): "portrait_4_3",
    Fraction(9, 16): "portrait_16_9",
    Fraction(4, 3): "landscape_4_3",
    Fraction(16, 9): "landscape_16_9",
}


def size_fields(request: MediaRequest, shape: Shape) -> tuple[dict[str, JSON], list[str]]:
    """The model's fields for the wanted size, and warnings. Nothing asked → nothing sent.

    Raises Rejected on a size or ratio that makes no sense.
    """
    preset = request.options.get("preset")
    pixels = pixels_asked(request, SIDE_MAX)
    if preset is None and pixels is None and request.aspect_ratio is None:
        return {}, []
    if shape.size == "none":
        return {}, ["This model chooses the size itself; the wanted size was left out."]
    if isinstance(preset, str):
        if preset in shape.presets:
            return {"image_size": preset}, []
        raise Rejected(f"This model has no size named “{preset[:40]}”.", field="preset")
    if shape.size == "aspect_ratio":
        return _as_ratio(request.aspect_ratio, pixels, shape)
    if pixels is not None:
        return _as_pixels(pixels, shape)
    if request.aspect_ratio == "auto":
        return ({"image_size": "auto"}, []) if "auto" in shape.presets else ({}, [])
    return _from_ratio(parse_ratio(request.aspect_ratio or ""), shape)


def _as_pixels(pixels: tuple[int, int], shape: Shape) -> tuple[dict[str, JSON], list[str]]:
    width, height = fitted(pixels, shape.min_pixels, shape.max_pixels)
    warnings = []
    if (width, height) != pixels:
        warnings.append(f"This model does not make {pixels[0]}×{pixels[1]}; {width}×{height} was asked for.")
    return {"image_size": {"width": width, "height": height}}, warnings


def _from_ratio(ratio: Fraction, shape: Shape) -> tuple[dict[str, JSON], list[str]]:
    preset = _PRESET_OF.get(ratio)
    if preset in shape.presets and shape.min_pixels is None:
        return {"image_size": preset}, []
    area = max(MEGAPIXEL, shape.min_pixels or 0)
    height = math.sqrt(area / ratio)
    wanted = (round(height * ratio / _STEP) * _STEP or _STEP, round(height / _STEP) * _STEP or _STEP)
    width, tall = fitted(wanted, shape.min_pixels, shape.max_pixels)
    return {"image_size": {"width": width, "height": tall}}, []


def fitted(pixels: tuple[int, int], smallest: int | None, largest: int | None) -> tuple[int, int]:
    """`pixels` scaled, keeping its shape, so that the area lies within the limits; unchanged when it does."""
    width, height = pixels
    area = width * height
    if smallest is not None and area < smallest:
        scale = math.sqrt(smallest / area)
        return tuple(min(math.ceil(side * scale / _STEP) * _STEP, SIDE_MAX) for side in pixels)  # type: ignore[return-value]
    if largest is not None and area > largest:
        scale = math.sqrt(largest / area)
        return tuple(max(math.floor(side * scale / _STEP) * _STEP, _STEP) for side in pixels)  # type: ignore[return-value]
    return width, height


def _as_ratio(wanted: str | None, pixels: tuple[int, int] | None, shape: Shape) -> tuple[dict[str, JSON], list[str]]:
    if pixels is None and wanted is not None and (wanted in shape.ratios or wanted == "auto"):
        return ({"aspect_ratio": wanted} if wanted in shape.ratios else {}), []
    ratio = Fraction(*pixels) if pixels else parse_ratio(wanted or "")
    plain = ratio if max(ratio.numerator, ratio.denominator) <= _TERM_MAX else ratio.limit_denominator(32)
    chosen = f"{plain.numerator}:{plain.denominator}" if pixels or wanted is None else wanted
    known = [name for name in shape.ratios if ":" in name]
    if known and chosen not in known:
        chosen = min(known, key=lambda name: abs(math.log(parse_ratio(name) / ratio)))
    warnings = []
    if pixels:
        warnings.append(f"This model chooses the number of pixels itself; the aspect ratio {chosen} was asked for.")
    elif chosen != wanted and parse_ratio(chosen) != ratio:
        warnings.append(f"This model does not make {wanted}; the nearest, {chosen}, was asked for.")
    return {"aspect_ratio": chosen}, warnings
