"""Colour helpers. A colour is three float32 in 0..1, sRGB unless a name says linear."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_LUT_SIZE = 1024
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def rgb(code: str) -> Array:
    """`#rrggbb` → colour."""
    digits = code.lstrip("#")
    return np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def to_linear(colour: Array) -> Array:
    """sRGB → linear light."""
    low, high = colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4
    return np.where(colour <= 0.04045, low, high).astype(np.float32)


def to_srgb(linear: Array) -> Array:
    """Linear light → sRGB, clipped to 0..1."""
    clipped = np.clip(linear, 0, 1)
    low, high = clipped * 12.92, 1.055 * np.power(clipped, 1 / 2.4) - 0.055
    return np.where(clipped <= 0.0031308, low, high).astype(np.float32)


def luminance(colour: Array) -> float:
    """Perceived brightness of one colour, 0..1."""
    return float(colour @ _LUMA)


def saturation(colour: Array) -> float:
    """0 for grey, 1 for a pure colour."""
    top = float(colour.max())
    return 0.0 if top <= 0 else float(top - colour.min()) / top


def mix(a: Array, b: Array, share: float) -> Array:
    """`share` of `b` in `a`."""
    return (a * (1 - share) + b * share).astype(np.float32)


def ramp(stops: Sequence[Array], t: Array) -> Array:
    """Colours along `stops` (evenly spaced, eased between) at `t` in 0..1; shape of `t` plus a last axis of 3."""
    table = np.asarray(stops, np.float32)
    x = np.linspace(0, len(table) - 1, _LUT_SIZE, dtype=np.float32)
    i = np.minimum(x.astype(np.intp), len(table) - 2)
    f = (x - i)[:, None]
    f = f * f * (3 - 2 * f)
    lut = (table[i] * (1 - f) + table[i + 1] * f).astype(np.float32)
    at = np.clip(t * (_LUT_SIZE - 1), 0, _LUT_SIZE - 1).astype(np.intp)
    picked: Array = lut.take(at, axis=0)
    return picked
