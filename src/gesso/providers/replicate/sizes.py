"""A size in our words to a size in the model's: pixels, an aspect ratio, or "custom" with pixels. Pure."""

import math
from fractions import Fraction

from gesso.providers.asking import fitting_sides, parse_ratio, pixels_asked, sides_of
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.replicate.options import Shape

MEGAPIXEL = 1024**2
SIDE_MAX = 16384
_BUCKET = 64  # the models' training sizes; a ratio is met as closely as they allow

Fields = tuple[dict[str, JSON], list[str]]


def size_fields(request: MediaRequest, shape: Shape) -> Fields:
    """The model's fields for the wanted size, and warnings. Nothing asked → nothing sent.

    Raises Rejected on a size or ratio that makes no sense.
    """
    pixels, ratio = pixels_asked(request, SIDE_MAX), request.aspect_ratio
    if pixels is None and ratio in (None, "auto"):
        return {}, []
    if shape.size == "none":
        return {}, ["This model chooses the size itself; the wanted size was left out."]
    if pixels is None:
        wanted = parse_ratio(ratio or "")
        return (
            _pixel_fields(sides_of(wanted, MEGAPIXEL, _BUCKET), shape)
            if shape.size == "pixels"
            else _as_ratio(ratio, wanted, shape)
        )
    if shape.size == "aspect_ratio":
        fields, _ = _as_ratio(None, Fraction(*pixels), shape)
        return fields, [
            f"This model chooses the number of pixels itself; the aspect ratio {fields['aspect_ratio']} was asked for."
        ]
    return _pixel_fields(pixels, shape)


def _pixel_fields(pixels: tuple[int, int], shape: Shape) -> Fields:
    """Sides within the model's limits, the shape kept, divisible as it wants; a warning where that changed them."""
    width, height = fitting_sides(pixels, step=shape.step, least=shape.min_side, most=shape.max_side)
    fields: dict[str, JSON] = {"width": width, "height": height}
    if shape.size == "custom":
        fields["aspect_ratio"] = "custom"
    if (width, height) == pixels:
        return fields, []
    return fields, [f"This model does not make {pixels[0]}×{pixels[1]}; {width}×{height} was asked for."]


def _as_ratio(wanted: str | None, ratio: Fraction, shape: Shape) -> Fields:
    plain = ratio.limit_denominator(32)
    chosen = wanted or f"{plain.numerator}:{plain.denominator}"
    if shape.ratios and chosen not in shape.ratios:
        chosen = min(shape.ratios, key=lambda name: abs(math.log(parse_ratio(name) / ratio)))
    if wanted is None or parse_ratio(chosen) == ratio:
        return {"aspect_ratio": chosen}, []
    return {"aspect_ratio": chosen}, [f"This model does not make {wanted}; the nearest, {chosen}, was asked for."]
