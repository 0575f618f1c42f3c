"""Palettes: six shades from dark to pale and one accent, named so that a prompt can ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gesso.sandbox.painter.colour import Array, luminance, mix, rgb, saturation


@dataclass(frozen=True)
class Palette:
    """`shades` has shape (6, 3), dark to pale; `accent` stands against them."""

    name: str
    shades: Array
    accent: Array

    def shade(self, position: float) -> Array:
        """The colour at `position`: 0 darkest, 1 palest."""
        at = min(max(position, 0.0), 1.0) * (len(self.shades) - 1)
        low = min(int(at), len(self.shades) - 2)
        return mix(self.shades[low], self.shades[low + 1], at - low)


def _palette(name: str, shades: str, accent: str) -> Palette:
    return Palette(name, np.stack([rgb(code) for code in shades.split()]), rgb(accent))


PALETTES: dict[str, Palette] = {
    p.name: p
    for p in (
        _palette("amber", "#24101f #6b2d3c #c8553d #f28f3b #ffc98b #fff0dc", "#2f7f86"),
        _palette("dawn", "#2b1f45 #5d4a80 #b07a9a #f0a987 #ffd3a8 #fff3df", "#e4572e"),
        _palette("rose", "#3a1230 #8a2b55 #d9567a #f394a6 #fbcfcf #fff3ef", "#3f8f9b"),
        _palette("teal", "#06171f #0f4350 #20808a #66b7ae #b6dcd0 #f6f0da", "#f2a13b"),
        _palette("ocean", "#07152e #10366b #1f6fa8 #58aed0 #b4dfe8 #f3faf2", "#f6bd60"),
        _palette("night", "#080c22 #182152 #34478f #6c88cb #b8c9ef #fdf4d6", "#ffd166"),
        _palette("noir", "#0c0a18 #1d1633 #3b2b60 #70599a #b8a6d2 #f0eaf6", "#d0a95c"),
        _palette("violet", "#150d33 #3d2a84 #7c5cf0 #b79dfa #e3d2fb #fff0f8", "#ec6fae"),
        _palette("mint", "#0f2f2a #2a6a5a #5fb39b #94d4bd #cfeadf #f7fcf6", "#ef7f5f"),
        _palette("forest", "#0d1f17 #1f4a32 #44794a #86ab63 #ccd7a0 #f7f3dc", "#d9772f"),
        _palette("sand", "#33211a #75503a #b98a62 #dcb68c #f0dcc0 #fbf4e8", "#2f6f73"),
        _palette("coral", "#2a1438 #7a2f58 #e0566a #ff8f73 #ffc8a8 #fff2e3", "#2ec4b6"),
        _palette("slate", "#11161c #2c3640 #566573 #8f9ca6 #cbd2d6 #f5f4ef", "#d6492f"),
        _palette("carnival", "#29204f #7b2cbf #e4405f #ffb347 #ffe38f #fff8e7", "#18b6a6"),
    )
}


def palette_from(colours: Sequence[tuple[int, int, int]]) -> Palette:
    """A palette out of a reference's colours (0..255 each): its own shades, the most colourful one as accent."""
    found = sorted((np.array(c, np.float32) / np.float32(255) for c in colours), key=luminance)
    if not found:
        raise ValueError("at least one colour is needed")
    dark, pale = mix(found[0], rgb("#0b0910"), 0.55), mix(found[-1], rgb("#fffaf2"), 0.55)
    stops = np.stack([dark, *found, pale])
    at = np.linspace(0, len(stops) - 1, 6)
    shades = np.stack([np.interp(at, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=1)
    return Palette("reference", shades.astype(np.float32), max(found, key=saturation))
