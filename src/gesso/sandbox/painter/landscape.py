"""Shared ground of dunes and peaks: a sky with a sun, and ridges from far to near."""

from dataclasses import dataclass

import numpy as np

from gesso.sandbox.painter.brief import Brief, lay
from gesso.sandbox.painter.colour import Array, mix, ramp
from gesso.sandbox.painter.noise import blur_line, fbm, resize, ridge


@dataclass(frozen=True)
class Sun:
    """Centre and radius as shares of the picture (x of width, y and radius of height)."""

    x: float
    y: float
    radius: float
    colour: Array


@dataclass(frozen=True)
class Land:
    """How ridges look: `sharp` ones are rock with crisp crests, others are sand with ripples."""

    layers: int
    start: float
    sharp: bool
    near: Array
    far: Array


def paint_sky(brief: Brief, stops: list[Array], sun: Sun) -> Array:
    """Gradient, glow, thin streaks of cloud, and the disc of the sun."""
    h, w = brief.height, brief.width
    canvas = np.repeat(ramp(stops, brief.v[:, 0] / np.float32(0.75))[:, None, :], w, axis=1)
    half_h, half_w = max(2, h // 4), max(2, w // 4)
    u = np.linspace(0, 1, half_w, dtype=np.float32)[None, :]
    v = np.linspace(0, 1, half_h, dtype=np.float32)[:, None]
    distance = np.hypot((u - np.float32(sun.x)) * np.float32(brief.aspect), v - np.float32(sun.y))
    glow = np.exp(-np.power(distance / np.float32(0.34), np.float32(1.4))) * np.float32(0.55)
    cloud = fbm(brief.rng, half_h, half_w, brief.span * 0.09, 4, stretch=3.0)
    cloud = np.clip((cloud - np.float32(0.52)) * 4, 0, 1) * np.clip(1 - v / np.float32(0.6), 0, 1) * np.float32(0.3)
    lay(canvas, resize(np.maximum(glow, cloud).astype(np.float32), h, w), sun.colour)
    _paint_disc(brief, canvas, sun)
    return canvas


def _paint_disc(brief: Brief, canvas: Array, sun: Sun) -> None:
    h, w = brief.height, brief.width
    cx, cy, radius = sun.x * w, sun.y * h, sun.radius * h
    y0, y1 = max(0, int(cy - radius - 2)), min(h, int(cy + radius + 3))
    x0, x1 = max(0, int(cx - radius - 2)), min(w, int(cx + radius + 3))
    if y0 >= y1 or x0 >= x1:
        return
    y, x = np.ogrid[y0:y1, x0:x1]
    disc = np.clip(radius - np.hypot(x - cx, y - cy) + 0.5, 0, 1).astype(np.float32)
    lay(canvas[y0:y1, x0:x1], disc, mix(sun.colour, np.ones(3, np.float32), 0.35))


def paint_land(brief: Brief, canvas: Array, land: Land, sun: Sun) -> None:
    """Ridges far to near in place. Only the band a ridge will still show in is painted."""
    h, w = brief.height, brief.width
    tops = [_crest(brief, land, i) for i in range(land.layers)]
    texture = fbm(brief.rng, h, w, brief.short * 0.06, 4) - np.float32(0.5)
    for i, top in enumerate(tops):
        first = max(0, int(top.min()) - 1)
        covered = [int(later.max()) + 2 for later in tops[i + 1 :]]
        last = min([h, *covered])
        if first < last:
            _paint_ridge(brief, canvas[first:last], land, sun, top - first, i, texture[first:last])


def _crest(brief: Brief, land: Land, index: int) -> Array:
    """Height of one ridge line in pixels from the top."""
    t = index / (land.layers - 1)
    cell = brief.span * (0.36 if land.sharp else 0.55 - 0.1 * t)
    line = ridge(brief.rng, brief.width, cell, 6 if land.sharp else 3, 0.5 if land.sharp else 0.32)
    base = land.start + (1 - land.start) * 0.9 * t**1.15
    swing = 0.26 - 0.1 * t if land.sharp else 0.20 - 0.02 * t
    crest: Array = (np.float32(base) + (np.float32(0.5) - line) * np.float32(swing)) * np.float32(brief.height)
    return crest


def _paint_ridge(brief: Brief, band: Array, land: Land, sun: Sun, top: Array, index: int, texture: Array) -> None:
    h, t = brief.height, index / (land.layers - 1)
    depth = np.arange(band.shape[0], dtype=np.float32)[:, None] - top[None, :]
    nearness = 1 - (1 - t) ** 1.1
    slope = np.gradient(blur_line(top, max(1.0, brief.width * 0.012))).astype(np.float32)
    lit = np.clip(0.5 - slope * np.float32(1.1 if sun.x >= 0.5 else -1.1), 0, 1) - np.float32(0.5)
    strength, reach = (0.24, 0.10) if land.sharp else (0.34, 0.14)
    below = np.maximum(depth, 0)
    shade = lit[None, :] * np.float32(strength) * np.exp(below * np.float32(-1 / (h * reach)))
    shade += texture * np.float32(0.11 if land.sharp else 0.08)
    if not land.sharp and t > 0.4:
        scale = 1024 / brief.short
        drift = np.arange(brief.width, dtype=np.float32)[None, :] * np.float32(0.06 if index % 2 else -0.06)
        ripple = np.sin((below * np.float32(0.42) + drift) * np.float32(scale) + texture * 42)
        shade += ripple * np.float32(0.016 * t) * np.clip(below * np.float32(1 / (h * 0.03)), 0, 1)
    colour = mix(land.far, land.near, nearness) * (1 + shade)[..., None]
    haze = np.clip(below * np.float32(1 / (h * 0.30)), 0, 1) * np.float32(0.38 * (1 - t * 0.8))
    lay(colour, haze, mix(land.far, sun.colour, 0.4))
    towards_sun = np.exp(-(((brief.u - np.float32(sun.x)) / np.float32(0.35)) ** 2)) * np.float32(0.35 * (1 - t * 0.5))
    crest = np.exp(below * np.float32(-1024 / (3.0 * h))) * towards_sun
    colour += crest[..., None] * sun.colour
    lay(band, np.clip(depth + np.float32(0.5), 0, 1), colour)
