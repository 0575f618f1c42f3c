"""From fal's ways to say a size to pixels."""

import math

PRESETS: dict[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}

ONE_K = 1024 * 1024
TWO_K = 2048 * 2048
FOUR_K = 4096 * 4096
LARGEST_AREA = FOUR_K


def parse_ratio(text: str) -> float:
    """`16:9` → 1.78. The text has been validated; a zero counts as one."""
    width, height = (max(1, int(part)) for part in text.split(":"))
    return width / height


def from_ratio(ratio: float, area: int, step: int = 32) -> tuple[int, int]:
    """Sides of about `area` pixels in a ratio (held between 1:8 and 8:1), multiples of `step`."""
    held = min(max(ratio, 1 / 8), 8.0)
    width, height = math.sqrt(area * held), math.sqrt(area / held)
    return max(step, round(width / step) * step), max(step, round(height / step) * step)


def at_least(size: tuple[int, int], area: int) -> tuple[int, int]:
    """The size scaled up, in its ratio, to at least `area` pixels."""
    width, height = size
    if width * height >= area:
        return size
    factor = math.sqrt(area / (width * height))
    return math.ceil(width * factor), math.ceil(height * factor)
