"""Stained glass: rings around a rose, scattered panes beyond, lead where two cells meet."""

import math

import numpy as np

from gesso.sandbox.painter.brief import Brief, vignette
from gesso.sandbox.painter.colour import Array, mix, ramp, rgb
from gesso.sandbox.painter.noise import blur, fbm

_TILE_PX = 16
_CANDIDATES = 10
_RINGS = ((0.0, 1), (0.078, 7), (0.150, 12), (0.233, 16), (0.330, 22))
_RING_REACH = 0.40


def paint_glass(brief: Brief) -> Array:
    h, w, rng, palette = brief.height, brief.width, brief.rng, brief.palette
    centre = np.array([brief.between(0.36, 0.64) * w, brief.between(0.36, 0.6) * h], np.float32)
    points = _points(brief, centre)
    wobble = (fbm(rng, h, w, brief.short * 0.1, 3) - np.float32(0.5)) * np.float32(brief.short * 0.028)
    y = np.arange(h, dtype=np.float32)[:, None] + np.roll(wobble, h // 18, axis=0)
    x = np.arange(w, dtype=np.float32)[None, :] + wobble
    nearest, gap = _voronoi(points, x, y)

    away = points - centre
    reach = np.hypot(away[:, 0], away[:, 1]) / np.float32(math.hypot(w, h)) * np.float32(1.9)
    swirl = np.float32(0.1) * np.sin(np.arctan2(away[:, 1], away[:, 0]) * 3 + np.float32(rng.random() * 6))
    chance = rng.normal(0, 0.075, len(points)).astype(np.float32)
    stops = [mix(palette.shade(p), c, k) for p, c, k in _stops(palette.accent)]
    tints = ramp(stops, np.clip(reach + swirl + chance, 0, 1))
    tints *= (1 + rng.normal(0, 0.10, len(points)).astype(np.float32))[:, None]

    unit = np.float32(900 / brief.short)
    gap = gap * unit
    distance = np.hypot(x - centre[0], y - centre[1]) / np.float32(math.hypot(w, h))
    light = np.float32(0.80) + np.float32(0.45) * fbm(rng, h, w, brief.short * 0.038, 3)
    light *= np.float32(0.74) + np.float32(0.42 / 60) * np.clip(gap, 0, 60)
    light *= np.float32(1.12) - np.float32(0.62) * distance
    lead = np.clip((gap - np.float32(4.5)) / np.float32(1.8), 0, 1)
    canvas = tints.take(nearest, axis=0)
    canvas *= (light * lead)[..., None]
    sheen = np.exp(-np.square(distance / np.float32(0.12))) * np.float32(0.16) * lead
    canvas += sheen[..., None] * rgb("#fff1c9")
    edge = np.clip(1 - np.abs(gap - np.float32(2.2)) / np.float32(1.6), 0, 1) * np.float32(0.12)
    canvas += ((edge + np.float32(0.04)) * (1 - lead))[..., None]
    _saturate(canvas, 0.28)
    for channel in range(3):
        canvas[..., channel] += np.float32(0.17) * blur(canvas[..., channel], brief.short * 0.01)
    vignette(canvas, 0.25)
    return canvas


def _saturate(canvas: Array, amount: float) -> None:
    """Glass colours are purer than paint: pushes every pixel away from its grey."""
    grey = canvas.mean(axis=2, keepdims=True)
    canvas += np.float32(amount) * (canvas - grey)


def _stops(accent: Array) -> list[tuple[float, Array, float]]:
    """Position in the palette, colour mixed in and how much of it, from the rose outwards."""
    gold = rgb("#ffe27a")
    return [
        (0.95, gold, 0.45),
        (0.72, gold, 0.25),
        (0.52, accent, 0.55),
        (0.45, accent, 0.0),
        (0.30, accent, 0.1),
        (0.22, accent, 0.3),
        (0.08, accent, 0.05),
    ]


def _points(brief: Brief, centre: Array) -> Array:
    """Centres of the panes, shape (n, 2) as x, y."""
    rng, short = brief.rng, brief.short
    rings = [
        centre + np.float32(radius * short) * np.array([math.cos(a), math.sin(a)], np.float32)
        for number, (radius, count) in enumerate(_RINGS)
        for a in 2 * np.pi * (np.arange(count) + 0.5 * (number % 2)) / count
    ]
    step = short * 0.082
    rows = np.arange(-1, math.ceil(brief.height / (step * 0.87)) + 2)
    columns = np.arange(-1, math.ceil(brief.width / step) + 2)
    grid_x = columns[None, :] * step + (rows[:, None] % 2) * step / 2
    grid_y = np.repeat(rows[:, None] * step * 0.87, len(columns), axis=1)
    grid = np.stack([grid_x, grid_y], axis=-1).reshape(-1, 2)
    grid += rng.uniform(-0.36, 0.36, grid.shape) * step
    outside = np.hypot(*(grid - centre).T) > _RING_REACH * short
    return np.concatenate([np.array(rings), grid[outside]]).astype(np.float32)


def _voronoi(points: Array, x: Array, y: Array) -> tuple[np.ndarray, Array]:
    """For each pixel the index of its nearest point, and how much farther the second nearest is (pixels).

    Only the points near a tile of pixels are looked at; all tiles are computed together as one four-axis array.
    """
    h, w = x.shape
    rows, columns = -(-h // _TILE_PX), -(-w // _TILE_PX)
    pad = ((0, rows * _TILE_PX - h), (0, columns * _TILE_PX - w))
    shape = (rows, _TILE_PX, columns, _TILE_PX)
    tx, ty = (np.pad(a, pad, mode="edge").reshape(shape) for a in (x, y))
    middle_x, middle_y = tx.mean(axis=(1, 3)), ty.mean(axis=(1, 3))
    far = np.square(middle_x[..., None] - points[:, 0]) + np.square(middle_y[..., None] - points[:, 1])
    count = min(_CANDIDATES, len(points))
    near = np.argpartition(far, count - 1, axis=-1)[..., :count]
    best = np.full(shape, np.inf, np.float32)
    second = best.copy()
    index = np.zeros(shape, np.int32)
    for k in range(count):
        candidate = near[..., k][:, None, :, None].astype(np.int32)
        d = np.square(tx - points[candidate, 0]) + np.square(ty - points[candidate, 1])
        np.copyto(index, candidate, where=d < best)
        np.minimum(second, np.maximum(best, d), out=second)
        np.minimum(best, d, out=best)
    flat = (rows * _TILE_PX, columns * _TILE_PX)
    gap = (np.sqrt(second) - np.sqrt(best)).reshape(flat)[:h, :w]
    return index.reshape(flat)[:h, :w], gap
