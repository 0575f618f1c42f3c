"""Aurora: curtains sharp below and long above, stars, a dark ridge, and mostly a lake that mirrors it all."""

import numpy as np

from gesso.sandbox.painter.brief import Brief, vignette
from gesso.sandbox.painter.colour import Array, mix, ramp, rgb
from gesso.sandbox.painter.noise import blur, fbm, resize, ridge

_CURTAINS = 4
_STARS_PER_MEGAPIXEL = 1200


def paint_aurora(brief: Brief) -> Array:
    lake = brief.aspect < 3 and brief.rng.random() < 0.85
    horizon = max(8, round(brief.height * 0.70)) if lake else brief.height
    canvas = _paint_sky(brief, horizon)
    _add_stars(brief, canvas)
    _stand_ridge(brief, canvas)
    if lake:
        canvas = np.concatenate([canvas, _mirror(brief, canvas)], axis=0)
    canvas *= np.float32(-1.45)
    canvas = 1 - np.exp(canvas)
    vignette(canvas, 0.22)
    return canvas


def _glow_colours(brief: Brief) -> list[Array]:
    """From the curtain's foot upwards: a bright green-white, then the palette's own light."""
    palette = brief.palette
    foot = mix(rgb("#8dffc0"), palette.shade(0.8), 0.12)
    low = mix(rgb("#2ee6a0"), palette.shade(0.55), 0.22)
    return [foot, low, mix(rgb("#3a9bd8"), palette.shade(0.5), 0.5), mix(rgb("#8f5be8"), palette.accent, 0.4)]


def _paint_sky(brief: Brief, height: int) -> Array:
    """Gradient and curtains at half size: they have no fine detail up and down."""
    rng = brief.rng
    h, w = max(4, height // 2), max(4, brief.width // 2)
    v = np.linspace(0, 1, h, dtype=np.float32)
    top, deep = rgb("#05060f"), mix(rgb("#0a1030"), brief.palette.shade(0.05), 0.4)
    sky = np.repeat(ramp([top, deep, mix(rgb("#142a4a"), brief.palette.shade(0.2), 0.4)], v)[:, None, :], w, axis=1)
    y = np.arange(h, dtype=np.float32)[:, None]
    span, glow = brief.span / 2, _glow_colours(brief)
    for i in range(_CURTAINS):
        path = ridge(rng, w, span * 0.5, 4, 0.5)
        base = (0.26 + 0.13 * i + (path - 0.5) * 0.55) * h
        strength = np.clip((ridge(rng, w, span * 0.25, 4, 0.6) - 0.25) * 1.9, 0, 1)
        strength = strength * (0.5 + 0.9 * ridge(rng, w, max(6.0, span * 0.02), 3, 0.6))
        length = h * (0.20 + 0.18 * ridge(rng, w, span * 0.3, 3))
        above = (base[None, :] - y).astype(np.float32)
        foot = np.float32(h * 0.008)
        light = np.exp(np.where(above > 0, -above / length[None, :], above / foot)).astype(np.float32)
        light *= (strength * 0.62)[None, :].astype(np.float32)
        colours: Array = ramp(glow, (above / (length[None, :] * 2.1)).astype(np.float32))
        sky += light[..., None] * colours
    channels = [
        resize(blur(np.ascontiguousarray(sky[..., c]), 0.5), height, brief.width, smooth=True) for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def _add_stars(brief: Brief, sky: Array) -> None:
    rng = brief.rng
    height, width = sky.shape[:2]
    count = max(12, int(_STARS_PER_MEGAPIXEL * height * width / 1e6))
    y, x = rng.integers(1, height - 1, count), rng.integers(1, width - 1, count)
    bright = (rng.random(count) ** 4 * 1.3 + 0.12).astype(np.float32) * (1 - 0.6 * y / height).astype(np.float32)
    colour = np.array([0.95, 0.97, 1.0], np.float32)
    for dy, dx, share in ((0, 0, 1.0), (0, 1, 0.32), (0, -1, 0.32), (1, 0, 0.32), (-1, 0, 0.32)):
        sky[y + dy, x + dx] += (bright * np.float32(share))[:, None] * colour


def _stand_ridge(brief: Brief, sky: Array) -> None:
    rng = brief.rng
    height, width = sky.shape[:2]
    line = ridge(rng, width, brief.span * 0.28, 7, 0.5)
    top = ((0.82 + (0.5 - line) * 0.34) * height).astype(np.float32)
    first = max(0, int(top.min()) - 1)
    depth = np.arange(first, height, dtype=np.float32)[:, None] - top[None, :]
    body = rgb("#070b16") + np.clip(depth / np.float32(height), 0, 1)[..., None] * rgb("#16283f") * np.float32(0.55)
    snow = np.exp(-np.maximum(depth, 0) / np.float32(max(2.0, height * 0.016)))
    snow *= fbm(rng, height - first, width, brief.short * 0.02, 3) > np.float32(0.5)
    snow *= np.clip((np.float32(height * 0.83) - top) / np.float32(height * 0.14), 0, 1)[None, :] * np.float32(0.34)
    body += snow[..., None] * np.array([0.6, 0.85, 0.9], np.float32)
    band = sky[first:]
    band += np.clip(depth + np.float32(0.5), 0, 1)[..., None] * (body - band)


def _mirror(brief: Brief, sky: Array) -> Array:
    """The lake: the sky upside down, pulled about by ripples that grow towards the viewer."""
    horizon, width = sky.shape[:2]
    height = brief.height - horizon
    ripple = fbm(brief.rng, height, width, brief.short * 0.05, 3, stretch=3.0) - np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, None]
    near = y / np.float32(height)
    from_y = horizon - 1 - y * np.float32(horizon / height * 0.86) + ripple * np.float32(brief.height * 0.016)
    from_x = np.arange(width, dtype=np.float32)[None, :] + ripple * (near * np.float32(brief.short * 0.04) + 4)
    rows = np.clip(from_y, 0, horizon - 1).astype(np.intp)
    columns = np.clip(from_x, 0, width - 1).astype(np.intp)
    mirrored = sky.reshape(-1, 3).take(rows * width + columns, axis=0)
    soft = np.stack([blur(np.ascontiguousarray(mirrored[..., c]), brief.short * 0.002) for c in range(3)], axis=-1)
    return soft * (np.float32(0.72) - np.float32(0.22) * near)[..., None] + rgb("#081426") * np.float32(0.25)
