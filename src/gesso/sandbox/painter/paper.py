"""Paper cut: sheets laid over one another, each with a soft shadow and a lit edge."""

import math
import re

import numpy as np
from PIL import Image, ImageDraw

from gesso.sandbox.painter.brief import Brief, grain
from gesso.sandbox.painter.colour import Array, mix, rgb
from gesso.sandbox.painter.noise import blur, blur_line, fbm, ridge

_OPEN_AIR = re.compile(r"forest|tree|pine|mountain|hill|valley|village|fox|deer", re.IGNORECASE)
_CAVE = re.compile(r"\bcave|tunnel|layered|abstract|cavern", re.IGNORECASE)


class Sheets:
    """The stack so far. Lengths are in thousandths of the shorter side."""

    def __init__(self, brief: Brief, ground: Array) -> None:
        self.brief = brief
        self.unit = brief.short / 1000
        texture = fbm(brief.rng, brief.height, brief.width, max(2.5, 5 * self.unit), 2) - np.float32(0.5)
        self.paper = 1 + texture * np.float32(0.07)
        self.canvas: Array = ground * self.paper[..., None]

    def lay(
        self,
        mask: Array,
        colour: Array,
        *,
        shift: tuple[int, int],
        soft: float,
        dark: float,
        rows: tuple[float, float] = (0, math.inf),
    ) -> None:
        """Lays a sheet of the shape `mask` (0..1); its shadow falls `shift` (x, y) away.

        Only `rows` (first, last), and those its shadow reaches, are worked on: outside there is no sheet to see.
        """
        reach = math.ceil((abs(shift[1]) + 3 * soft) * self.unit)
        first, last = max(0, int(rows[0]) - reach), int(min(len(mask), rows[1] + reach + 1))
        if first >= last:
            return
        band, cut, paper = self.canvas[first:last], mask[first:last], self.paper[first:last]
        shadow = blur(_moved(cut, round(shift[0] * self.unit), round(shift[1] * self.unit)), soft * self.unit)
        edge_px = max(1, round(2 * self.unit))
        # The edge that faces the light (up) is brighter: the cut itself catches it.
        lit = np.clip(cut - _moved(cut, 0, edge_px), 0, 1) * np.float32(0.13)
        band *= (1 - shadow * np.float32(dark) * (1 - cut))[..., None]
        band += cut[..., None] * (colour * paper[..., None] + lit[..., None] - band)


def _moved(mask: Array, right: int, down: int) -> Array:
    """The mask moved, edges held: sheets go on beyond the frame."""
    if right == 0 and down == 0:
        return mask
    padded = np.pad(mask, ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0))), mode="edge")
    height, width = mask.shape
    top, left = max(-down, 0), max(-right, 0)
    return padded[top : top + height, left : left + width]


def paint_paper(brief: Brief) -> Array:
    is_cave = bool(_CAVE.search(brief.prompt)) or (not _OPEN_AIR.search(brief.prompt) and brief.rng.random() < 0.3)
    canvas = _cave(brief) if is_cave else _hills(brief)
    grain(brief.rng, canvas, 0.006)
    return canvas


def _disc(brief: Brief, x: float, y: float, radius: float) -> Array:
    distance = np.hypot(
        np.arange(brief.width, dtype=np.float32)[None, :] - np.float32(x),
        np.arange(brief.height, dtype=np.float32)[:, None] - np.float32(y),
    )
    disc: Array = np.clip(np.float32(radius + 0.5) - distance, 0, 1)
    return disc


def _sun(brief: Brief, sheets: Sheets, sky: Array, colour: Array, x: float, y: float, radius: float) -> None:
    for size, strength in ((1.9, 0.25), (1.45, 0.5), (1.0, 1.0)):
        disc = _disc(brief, x, y, radius * size)
        rows = (y - radius * size, y + radius * size)
        sheets.lay(disc, mix(sky, colour, strength), shift=(0, 4), soft=10, dark=0.22, rows=rows)


def _hills(brief: Brief) -> Array:
    h, w, rng, palette = brief.height, brief.width, brief.rng, brief.palette
    night = palette.name in ("night", "noir", "ocean")
    positions = [0.18, 0.3, 0.42, 0.34, 0.22, 0.12, 0.03] if night else [0.86, 0.72, 0.58, 0.44, 0.3, 0.17, 0.05]
    colours = [palette.shade(p) for p in positions]
    sheets = Sheets(brief, colours[0])
    sun = mix(rgb("#fff2c4"), palette.shade(1.0), 0.4)
    _sun(
        brief, sheets, colours[0], sun, brief.between(0.3, 0.7) * w, brief.between(0.26, 0.36) * h, brief.short * 0.115
    )
    for _ in range(int(rng.integers(2, 4))):
        _cloud(brief, sheets)
    tops = [_crest(brief, i / (len(colours) - 2), 3 if i < 4 else 4) for i in range(len(colours) - 1)]
    hidden = [min((float(later.max()) for later in tops[i + 1 :]), default=math.inf) for i in range(len(tops))]
    for i, (top, colour) in enumerate(zip(tops, colours[1:], strict=True)):
        mask = np.clip(np.arange(h, dtype=np.float32)[:, None] - top[None, :] + np.float32(0.5), 0, 1)
        sheets.lay(mask, colour, shift=(7, 10), soft=11, dark=0.5, rows=(float(top.min()), hidden[i]))
        if i >= len(tops) // 2:
            _trees(brief, sheets, top, i / (len(tops) - 1), colour)
    return sheets.canvas


def _crest(brief: Brief, t: float, octaves: int) -> Array:
    """Height of the hill line in pixels from the top; `t` is 0 for the farthest hill and 1 for the nearest."""
    line = ridge(brief.rng, brief.width, brief.span * (0.40 - 0.12 * t), octaves, 0.42)
    line = blur_line(line, max(1.0, brief.short * 0.003))
    crest: Array = ((0.42 + 0.46 * t + (0.5 - line) * (0.46 - 0.22 * t)) * brief.height).astype(np.float32)
    return crest


def _cloud(brief: Brief, sheets: Sheets) -> None:
    h, w, rng = brief.height, brief.width, brief.rng
    x, y, length = brief.between(0.12, 0.88) * w, brief.between(0.10, 0.32) * h, brief.between(0.12, 0.2) * brief.span
    first, last = max(0, int(y - h * 0.08)), min(h, int(y + h * 0.02) + 2)
    rows, columns = np.ogrid[first:last, 0:w]
    mask = np.zeros((h, w), np.float32)
    for i in range(4):
        across, up = length * (0.30 + 0.2 * rng.random()), h * 0.032 * (1.4 - abs(i - 1.5) * 0.35)
        centre = x + (i - 1.5) * length * 0.38
        puff = np.clip(up - np.hypot((columns - centre) * (up / across), rows - y), 0, 1) * (rows < y + h * 0.012)
        np.maximum(mask[first:last], puff, out=mask[first:last], casting="same_kind")
    pale = mix(rgb("#fff7ea"), brief.palette.shade(1.0), 0.5)
    sheets.lay(mask, pale, shift=(3, 6), soft=7, dark=0.25, rows=(first, last))


def _trees(brief: Brief, sheets: Sheets, top: Array, t: float, colour: Array) -> None:
    h, w, rng = brief.height, brief.width, brief.rng
    sheet = Image.new("L", (w * 2, h * 2), 0)
    pen = ImageDraw.Draw(sheet)
    highest, lowest = float(h), 0.0
    for _ in range(round(14 * brief.aspect**0.8) + 2):
        x = int(rng.integers(0, w))
        foot, size = float(top[x]), brief.short * (0.035 + 0.05 * rng.random()) * (0.7 + t * 0.5)
        highest, lowest = min(highest, foot - size * 1.5), max(lowest, foot + size * 0.1)
        for tier in range(3):
            y, half = foot - size * (0.15 + tier * 0.38), size * (0.40 - 0.09 * tier)
            low, peak = (y + size * 0.12) * 2, (y - size * 0.52) * 2
            pen.polygon([((x - half) * 2, low), ((x + half) * 2, low), (x * 2, peak)], fill=255)
        pen.rectangle(
            [(x - size * 0.05) * 2, (foot - size * 0.1) * 2, (x + size * 0.05) * 2, (foot + size * 0.1) * 2], fill=255
        )
    mask = np.asarray(sheet.reduce(2), np.float32) / np.float32(255)
    sheets.lay(
        mask, mix(colour, brief.palette.shade(0.0), 0.12), shift=(4, 6), soft=6, dark=0.35, rows=(highest, lowest)
    )


def _cave(brief: Brief) -> Array:
    h, w, rng, palette = brief.height, brief.width, brief.rng, brief.palette
    colours = [palette.shade(p) for p in (0.96, 0.82, 0.66, 0.5, 0.34, 0.18, 0.05)]
    sheets = Sheets(brief, colours[0])
    x, y = brief.between(0.4, 0.6), brief.between(0.4, 0.54)
    glow = mix(rgb("#fff8e6"), palette.shade(1.0), 0.5)
    _sun(brief, sheets, colours[0], glow, x * w, y * h, brief.short * 0.11)
    across = brief.u - np.float32(x)
    down = brief.v - np.float32(y + 0.04)
    if brief.aspect > 1:
        across = across * np.float32(min(brief.aspect, 1.3))
    reach = np.hypot(across, down)
    for i, colour in enumerate(colours[1:]):
        t = (i + 1) / (len(colours) - 1)
        wobble = fbm(rng, h, w, brief.short * 0.33, 3) - np.float32(0.5)
        mask = np.clip(
            (reach + wobble * np.float32(0.26) - np.float32((0.20 + 0.44 * t) * 0.9)) * np.float32(h * 0.9), 0, 1
        )
        sheets.lay(mask.astype(np.float32), colour, shift=(0, 0), soft=13, dark=0.6)
    return sheets.canvas
