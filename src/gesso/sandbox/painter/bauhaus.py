"""Bauhaus: a grid of quarter circles, bars, rings and triangles in a few flat colours, on grained paper."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from gesso.sandbox.painter.brief import Brief, grain
from gesso.sandbox.painter.colour import Array, mix, rgb
from gesso.sandbox.painter.noise import fbm

Ink = tuple[int, int, int]
Tile = Callable[[ImageDraw.ImageDraw, int, np.random.Generator, Ink, Ink, Ink], None]
_OVERSAMPLING = 2


def paint_bauhaus(brief: Brief) -> Array:
    h, w, rng = brief.height, brief.width, brief.rng
    ground = _ink(mix(rgb("#f5efe0"), brief.palette.shade(1.0), 0.4))
    inks = [_ink(brief.palette.shade(p)) for p in (0.08, 0.36, 0.6, 0.8)] + [_ink(brief.palette.accent), ground]
    across = int(rng.integers(4, 8))
    cell = max(8, round(max(w, h) * _OVERSAMPLING / max(across, round(across * max(w, h) / brief.short * 0.8))))
    columns, rows = -(-w * _OVERSAMPLING // cell), -(-h * _OVERSAMPLING // cell)
    sheet = Image.new("RGB", (columns * cell, rows * cell), ground)
    for row in range(rows):
        for column in range(columns):
            back, first, second = _choose(rng, inks, ground)
            tile = Image.new("RGB", (cell, cell), back)
            _TILES[rng.integers(len(_TILES))](ImageDraw.Draw(tile), cell, rng, back, first, second)
            sheet.paste(tile, (column * cell, row * cell))
    left, top = (sheet.width - w * _OVERSAMPLING) // 2, (sheet.height - h * _OVERSAMPLING) // 2
    cut = sheet.crop((left, top, left + w * _OVERSAMPLING, top + h * _OVERSAMPLING)).reduce(_OVERSAMPLING)
    canvas = np.asarray(cut, np.float32) / np.float32(255)
    paper = (fbm(rng, h, w, max(3.0, brief.short * 0.012), 3) - np.float32(0.5)) * np.float32(0.09)
    paper += (fbm(rng, h, w, brief.short * 0.3, 2) - np.float32(0.5)) * np.float32(0.08)
    canvas *= (1 + paper)[..., None]
    grain(rng, canvas, 0.010)
    return canvas


def _ink(colour: Array) -> Ink:
    r, g, b = (round(float(c) * 255) for c in colour)
    return r, g, b


def _choose(rng: np.random.Generator, inks: list[Ink], ground: Ink) -> tuple[Ink, Ink, Ink]:
    """Background and two colours on it, all different; every fifth tile or so stands on paper."""
    shuffled = [inks[i] for i in rng.permutation(len(inks))]
    if rng.random() < 0.2:
        shuffled = [ground, *(ink for ink in shuffled if ink != ground)]
    return shuffled[0], shuffled[1], shuffled[2]


def _quarter(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    x, y = ((0, 0), (n, 0), (n, n), (0, n))[rng.integers(4)]
    inner = second if rng.random() < 0.6 else back
    for radius, ink in ((n, first), (n * 0.66, inner), (n * 0.33, first if inner == back else back)):
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=ink)


def _disc(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    box = [n * 0.12, n * 0.12, n * 0.88, n * 0.88]
    pen.ellipse(box, fill=first)
    start = int(rng.integers(4)) * 90
    pen.pieslice(box, start, start + 180, fill=second)


def _triangle(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    corners = [(0, 0), (n, 0), (n, n), (0, n)]
    del corners[rng.integers(4)]
    pen.polygon(corners, fill=first)


def _bars(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    upright = rng.random() < 0.4
    for i in range(4):
        a, b = n * i / 4, n * i / 4 + n / 8
        pen.rectangle([a, 0, b, n] if upright else [0, a, n, b], fill=first)


def _hills(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    pen.pieslice([0, -n // 2, n, n // 2], 0, 180, fill=first)
    pen.pieslice([0, n // 2, n, n + n // 2], 180, 360, fill=second)


def _rings(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    for i, ink in enumerate((first, back, second)):
        inset = n * (0.08 + 0.15 * i)
        pen.ellipse([inset, inset, n - inset, n - inset], fill=ink)


def _square(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    pen.rectangle([n * 0.22, n * 0.22, n * 0.78, n * 0.78], fill=first)


def _petals(pen: ImageDraw.ImageDraw, n: int, rng: np.random.Generator, back: Ink, first: Ink, second: Ink) -> None:
    for x, y, ink in ((0, 0, first), (n, n, first), (n, 0, second), (0, n, second)):
        pen.ellipse([x - n / 2, y - n / 2, x + n / 2, y + n / 2], fill=ink)


# A tile listed twice comes up twice as often.
_TILES: tuple[Tile, ...] = (
    _quarter, _quarter, _quarter, _disc, _triangle, _bars, _hills, _rings, _square, _petals,
)  # fmt: skip
