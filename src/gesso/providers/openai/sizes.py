"""From our sizes and ratios to one that the model takes. Pure."""

import math
from collections.abc import Sequence

from gesso.providers.base import MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.openai.options import Shape
from gesso.providers.openai.wire import pixels

STEP = 16
MAX_RATIO = 3.0
LONGEST, AREA_MAX = 3840, 3840 * 2160
USUAL_AREA = 1024 * 1024


def size_of(request: MediaRequest, shape: Shape, warnings: list[str]) -> str | None:
    """Their `size`, or None to leave it to the model. Raises Rejected for a size or ratio that makes no sense."""
    wanted = _wanted(request)
    if wanted is None:
        return None
    if shape.size == "none":
        warnings.append("This model chooses the size of its pictures itself.")
        return None
    width, height, exact = wanted
    if shape.size == "listed":
        return _nearest(width, height, shape.sizes, exact, warnings)
    if shape.size == "as_given" and exact:
        return f"{width}x{height}"
    fitted = _fitted(width, height)
    if exact and fitted != (width, height):
        warnings.append(f"The size was changed to {fitted[0]}×{fitted[1]}, which this model can make.")
    return f"{fitted[0]}x{fitted[1]}"


def _wanted(request: MediaRequest) -> tuple[int, int, bool] | None:
    """Width, height, and whether they were asked for as pixels."""
    if request.width is not None and request.height is not None:
        if min(request.width, request.height) < 1:
            raise Rejected("The size must be at least one pixel.", field="size")
        return request.width, request.height, True
    if request.aspect_ratio in (None, "auto"):
        return None
    wide, _, high = str(request.aspect_ratio).partition(":")
    if not (wide.isdigit() and high.isdigit() and int(wide) and int(high)):
        raise Rejected("The aspect ratio must look like 16:9.", field="aspect_ratio")
    ratio = int(wide) / int(high)
    side = math.sqrt(USUAL_AREA)
    return max(1, round(side * math.sqrt(ratio))), max(1, round(side / math.sqrt(ratio))), False


def _nearest(width: int, height: int, sizes: Sequence[str], exact: bool, warnings: list[str]) -> str | None:
    known = {size: found for size in sizes if (found := pixels(size)) is not None}
    if not known:
        return None

    def apart(size: str) -> tuple[float, int]:
        wide, high = known[size]
        return abs(math.log(wide / high) - math.log(width / height)), abs(wide * high - width * height)

    best = min(known, key=apart)
    wide, high = known[best]
    if (wide, high) != (width, height) if exact else abs(math.log(wide / high) - math.log(width / height)) > 0.02:
        warnings.append(f"This model makes only certain sizes; {wide}×{high} was the nearest.")
    return best


def _fitted(width: int, height: int) -> tuple[int, int]:
    """The nearest size that gpt-image-2 and its kin take: a ratio of 1:3 to 3:1, no side and no area too large."""
    ratio = min(max(width / height, 1 / MAX_RATIO), MAX_RATIO)
    if ratio != width / height:
        area = width * height
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    scale = min(1.0, LONGEST / max(width, height), math.sqrt(AREA_MAX / (width * height)))
    wide, high = (max(STEP, round(side * scale / STEP) * STEP) for side in (width, height))
    # Rounding to steps may lead just past a limit: the longer side gives way.
    while wide * high > AREA_MAX or max(wide, high) > LONGEST or max(wide, high) > MAX_RATIO * min(wide, high):
        wide, high = (wide - STEP, high) if wide >= high else (wide, high - STEP)
    return wide, high
