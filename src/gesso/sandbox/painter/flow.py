"""Flow field: paint pulled along a noise field, thick strokes under thin ones, lit as if it had relief."""

import numpy as np

from gesso.sandbox.painter.brief import Brief, vignette
from gesso.sandbox.painter.colour import Array, ramp
from gesso.sandbox.painter.noise import fbm, noise

_DOUBLINGS = 5


def paint_flow(brief: Brief) -> Array:
    h, w, rng = brief.height, brief.width, brief.rng
    size = brief.short * brief.between(0.24, 0.34)
    angle = fbm(rng, h, w, size, 3) * np.float32(2 * np.pi * brief.between(1.2, 1.9)) + np.float32(rng.random() * 6)
    direction_y, direction_x = np.sin(angle), np.cos(angle)
    unit = brief.short / 1024
    broad = _pull(noise(rng, h, w, 7 * unit + 1, 7 * unit + 1), direction_y, direction_x, 3.4 * unit)
    fine = _pull(rng.random((h, w), dtype=np.float32), direction_y, direction_x, 1.8 * unit)
    broad, fine = _spread(broad), _spread(fine)
    mood = _spread(fbm(rng, h, w, size * 1.4, 3)) * np.float32(0.19) + np.float32(0.5)
    position = mood + broad * np.float32(0.12) + fine * np.float32(0.035)
    palette = brief.palette
    stops = [palette.shade(p) for p in (0.0, 0.14, 0.34, 0.54, 0.74)] + [
        palette.accent,
        palette.shade(0.92),
        palette.shade(1.0),
    ]
    canvas = ramp(stops, position)
    relief = broad * np.float32(0.6) + fine * np.float32(0.4)
    light = np.zeros((h, w), np.float32)
    light[1:-1, 1:-1] = relief[2:, 1:-1] - relief[:-2, 1:-1] + relief[1:-1, 2:] - relief[1:-1, :-2]
    canvas *= (1 + np.clip(light * np.float32(0.09 / max(unit, 0.3)), -0.3, 0.4) + fine * np.float32(0.045))[..., None]
    vignette(canvas, 0.2)
    return canvas


def _spread(field: Array) -> Array:
    """The field with mean 0 and deviation 1."""
    spread: Array = (field - field.mean()) / np.float32(max(float(field.std()), 1e-6))
    return spread


def _pull(texture: Array, direction_y: Array, direction_x: Array, step: float) -> Array:
    """The texture averaged along the field over 2 × 2^doublings steps of `step` pixels.

    Each round doubles the reach: the mean over 2n steps is the mean over n steps here and n steps further on.
    """
    height, width = texture.shape
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    total = np.zeros_like(texture)
    for sign in (1, -1):
        mean, y, x = texture, direction_y * np.float32(sign * step), direction_x * np.float32(sign * step)
        for _ in range(_DOUBLINGS):
            at_y = np.clip(rows + y + np.float32(0.5), 0, height - 1).astype(np.int32)
            at_x = np.clip(columns + x + np.float32(0.5), 0, width - 1).astype(np.int32)
            at = at_y * np.int32(width) + at_x
            mean = (mean + mean.ravel().take(at)) * np.float32(0.5)
            y, x = y + y.ravel().take(at), x + x.ravel().take(at)
        total += mean
    return total
