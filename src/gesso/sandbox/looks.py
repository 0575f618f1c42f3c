"""What can truly be said of a picture without knowing what it shows: size, shape, colours, light."""

import math

import numpy as np
from PIL import Image

from gesso.sandbox.painter.colour import Array

_NAMED: tuple[tuple[str, int, int, int], ...] = (
    ("black", 12, 12, 14), ("charcoal", 54, 56, 60), ("grey", 128, 128, 128), ("silver", 192, 194, 196),
    ("white", 250, 250, 248), ("cream", 250, 240, 215), ("beige", 222, 200, 168), ("sand", 205, 170, 120),
    ("brown", 110, 70, 42), ("dark brown", 58, 36, 26), ("rust", 165, 75, 40), ("terracotta", 205, 100, 70),
    ("red", 205, 32, 40), ("crimson", 150, 20, 50), ("coral", 250, 125, 105), ("pink", 245, 170, 190),
    ("rose", 215, 90, 125), ("magenta", 200, 40, 150), ("plum", 95, 40, 85), ("purple", 115, 60, 165),
    ("violet", 140, 105, 225), ("lavender", 200, 190, 235), ("indigo", 50, 45, 120), ("navy", 20, 30, 75),
    ("blue", 40, 85, 190), ("azure", 70, 150, 225), ("sky blue", 155, 205, 240), ("petrol", 18, 75, 90),
    ("teal", 30, 130, 135), ("turquoise", 85, 195, 190), ("mint", 170, 225, 200), ("dark green", 20, 60, 40),
    ("green", 55, 135, 65), ("moss green", 115, 125, 60), ("lime", 170, 205, 60), ("olive", 95, 95, 40),
    ("yellow", 245, 215, 60), ("amber", 245, 165, 45), ("orange", 240, 130, 40), ("gold", 205, 165, 75),
    ("peach", 250, 200, 165),
)  # fmt: skip
_RATIOS = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 10), (16, 9), (2, 1), (21, 9), (3, 1))
_COLOURS = 8
_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of the squares of red, green and blue: how bright a colour looks (the HSP model)."""


def look(picture: Image.Image) -> str:
    """Three sentences, all of them true."""
    width, height = picture.size
    tile = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    light = np.sqrt(np.square(np.asarray(tile, np.float32) / np.float32(255)) @ _BRIGHTNESS)
    names = _colour_names(tile)
    return (
        f"A {_shape(width, height)} picture of {width} × {height} pixels. "
        f"Its main colours are {_listed(names)}, on the whole {_light(light)}, with {_contrast(light)}. "
        f"{_balance(light)}"
    )


def _shape(width: int, height: int) -> str:
    if width == height:
        return "square"
    long, short = max(width, height), min(width, height)
    near = min(_RATIOS, key=lambda ratio: abs(math.log(long / short) - math.log(ratio[0] / ratio[1])))
    ratio = near if width > height else near[::-1]
    about = "" if long * near[1] == short * near[0] else "about "
    return f"{'landscape' if width > height else 'portrait'} ({about}{ratio[0]}:{ratio[1]})"


def _colour_names(tile: Image.Image) -> list[str]:
    """The leading colours by share, at most three different names."""
    reduced = tile.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    palette = reduced.getpalette() or []
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=_COLOURS)
    shares: dict[str, int] = {}
    for index in range(_COLOURS):
        if counts[index]:
            name = _name(palette[3 * index], palette[3 * index + 1], palette[3 * index + 2])
            shares[name] = shares.get(name, 0) + int(counts[index])
    leading = sorted(shares, key=lambda name: (-shares[name], name))[:3]
    return [name for name in leading if shares[name] >= 0.04 * counts.sum()] or leading[:1]


def _name(red: int, green: int, blue: int) -> str:
    """The nearest named colour, by a distance that follows the eye better than plain RGB ("redmean")."""

    def distance(named: tuple[str, int, int, int]) -> float:
        mean = (red + named[1]) / 2
        r, g, b = red - named[1], green - named[2], blue - named[3]
        return (2 + mean / 256) * r * r + 4 * g * g + (2 + (255 - mean) / 256) * b * b

    return min(_NAMED, key=distance)[0]


def _light(light: Array) -> str:
    mean = float(light.mean())
    return (
        "dark" if mean < 0.3 else "rather dark" if mean < 0.45 else "of middle brightness" if mean < 0.6 else "bright"
    )


def _contrast(light: Array) -> str:
    spread = float(light.std())
    return "soft contrasts" if spread < 0.12 else "moderate contrasts" if spread < 0.24 else "strong contrasts"


def _balance(light: Array) -> str:
    upper, lower = float(light[:32].mean()), float(light[32:].mean())
    left, right = float(light[:, :32].mean()), float(light[:, 32:].mean())
    across, down = right - left, lower - upper
    if max(abs(across), abs(down)) < 0.04:
        return "Light is spread evenly."
    if abs(down) >= abs(across):
        return f"The {'lower' if down > 0 else 'upper'} half is the brighter one."
    return f"The {'right' if across > 0 else 'left'} side is the brighter one."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
