"""Ink wash: ridges that fade downwards, paper fibre, a red disc, birds and a seal."""

import numpy as np
from PIL import Image, ImageDraw

from gesso.sandbox.painter.brief import Brief, grain
from gesso.sandbox.painter.colour import Array, mix, rgb
from gesso.sandbox.painter.noise import fbm, ridge

_LAYERS = 5


def paint_ink(brief: Brief) -> Array:
    h, w, rng = brief.height, brief.width, brief.rng
    paper = mix(rgb("#f3eee2"), brief.palette.shade(1.0), 0.25)
    tint = mix(rgb("#1d242b"), brief.palette.shade(0.12), 0.65)
    fibre = fbm(rng, h, w, max(3.0, brief.short * 0.007), 3) - np.float32(0.5)
    canvas: Array = paper * (1 + fibre * np.float32(0.06))[..., None]
    granules = fbm(rng, h, w, brief.short * 0.027, 4)
    _stain_sun(brief, canvas, granules)
    _wash_ridges(brief, canvas, tint, granules)
    _draw_birds(brief, canvas, tint)
    _press_seal(brief, canvas, paper)
    grain(rng, canvas, 0.008)
    return canvas


def _stain(canvas: Array, cover: Array, colour: Array) -> None:
    """Ink is a filter: it darkens what lies under it."""
    canvas *= 1 - cover[..., None] * (1 - colour)


def _stain_sun(brief: Brief, canvas: Array, granules: Array) -> None:
    cx, cy = brief.between(0.56, 0.78) * brief.width, brief.between(0.16, 0.26) * brief.height
    radius = brief.short * brief.between(0.07, 0.095)
    x, y = np.arange(brief.width, dtype=np.float32)[None, :], np.arange(brief.height, dtype=np.float32)[:, None]
    distance = np.hypot(x - np.float32(cx), y - np.float32(cy)) + (granules - np.float32(0.5)) * np.float32(
        radius * 0.1
    )
    cover = np.clip((radius - distance) / np.float32(max(1.0, brief.short * 0.0025)), 0, 1)
    _stain(
        canvas, cover * (np.float32(0.78) + np.float32(0.26) * granules), mix(rgb("#d6492f"), brief.palette.accent, 0.3)
    )


def _wash_ridges(brief: Brief, canvas: Array, tint: Array, granules: Array) -> None:
    h, w, rng = brief.height, brief.width, brief.rng
    wobble = (fbm(rng, h, w, brief.short * 0.12, 4) - np.float32(0.5)) * np.float32(brief.short * 0.016)
    streaks = fbm(rng, h, w, brief.short * 0.09, 4, stretch=0.4)
    unit = brief.short / 1000
    for i in range(_LAYERS):
        t = i / (_LAYERS - 1)
        line = ridge(rng, w, brief.span * (0.5 - 0.18 * t), 7, 0.52)
        top = (0.30 + 0.50 * t + (0.5 - line) * (0.44 - 0.12 * t)) * h
        length = h * (0.085 + 0.07 * t)
        first = max(0, int(top.min() - brief.short * 0.02))
        last = min(h, int(top.max() + length * 5))
        if first >= last:
            continue
        band = slice(first, last)
        shift = i * w // _LAYERS
        depth = np.arange(first, last, dtype=np.float32)[:, None] - top[None, :].astype(np.float32)
        depth += np.roll(wobble[band], shift, axis=1)
        mottled = np.roll(granules[band], shift, axis=1)
        below = np.maximum(depth, 0)
        cover = np.clip(depth / np.float32(max(0.8, 1.6 * unit)), 0, 1) * np.exp(below * np.float32(-1 / length))
        cover *= np.float32(0.26 + 0.62 * t) * (np.float32(0.48) + np.float32(0.7) * mottled)
        cover *= np.float32(0.51) + np.float32(0.7) * np.roll(streaks[band], shift, axis=1)
        rim = np.exp(-np.square(depth / np.float32(max(0.8, 1.7 * unit)))) * np.float32(0.14 + 0.30 * t)
        cover += rim * (mottled > np.float32(0.42))
        _stain(canvas[band], np.minimum(cover, np.float32(0.95)), tint)


def _draw_birds(brief: Brief, canvas: Array, tint: Array) -> None:
    h, w = brief.height, brief.width
    sheet = Image.new("L", (w * 2, h // 2 * 2), 0)
    pen = ImageDraw.Draw(sheet)
    for _ in range(int(brief.rng.integers(4, 9))):
        x, y = brief.between(0.14, 0.46) * w * 2, brief.between(0.10, 0.30) * h * 2
        s = brief.between(0.009, 0.017) * brief.short
        wings = [(-1, -0.42), (-0.4, -0.1), (0, 0.18), (0.42, -0.14), (1, -0.5)]
        pen.line(
            [(x + a * s, y + b * s) for a, b in wings], fill=220, width=max(1, round(brief.short / 340)), joint="curve"
        )
    cover = np.asarray(sheet.reduce(2), np.float32) * np.float32(0.8 / 255)
    _stain(canvas[: cover.shape[0], : cover.shape[1]], cover, tint)


def _press_seal(brief: Brief, canvas: Array, paper: Array) -> None:
    """A small red stamp at the lower left; the picture's own label stands at the right."""
    side = max(6, int(brief.short * 0.05))
    x, y = int(brief.width * 0.08), int(brief.height * 0.92) - side
    if x + side > brief.width or y < 0:
        return
    stamp = np.empty((side, side, 3), np.float32)
    stamp[:] = rgb("#b3261e")
    a, b, line = side // 5, side - side // 5, max(1, side // 16)
    for row in (side // 4, side // 2, side * 3 // 4):
        stamp[row : row + line, a:b] = paper
    stamp[a:b, side // 2 : side // 2 + line] = paper
    worn = np.clip(1.15 - fbm(brief.rng, side, side, side / 6, 3) * np.float32(0.4), 0, 1) * np.float32(0.88)
    region = canvas[y : y + side, x : x + side]
    region += worn[..., None] * (stamp - region)
