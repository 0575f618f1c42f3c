"""Random fields: smooth noise, fractal noise, ridge lines, blur and sampling, in numpy and Pillow alone."""

import math

import numpy as np
from PIL import Image

from gesso.sandbox.painter.colour import Array

_SMALLEST_CELL_PX = 1.5
# A field is computed so coarse that its finest cell still spans this many samples, then scaled up once.
_SAMPLES_A_CELL = 2.5


def resize(field: Array, height: int, width: int, *, smooth: bool = False) -> Array:
    """A 2-D field in another size; `smooth` is bicubic, else bilinear."""
    if field.shape == (height, width):
        return field
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(field).resize((width, height), method))


def noise(rng: np.random.Generator, height: int, width: int, cell_y: float, cell_x: float) -> Array:
    """Smooth value noise, about 0..1, one random value per cell (pixels)."""
    rows, columns = math.ceil(height / cell_y) + 3, math.ceil(width / cell_x) + 3
    grid = rng.random((rows, columns), dtype=np.float32)
    box = (1.0, 1.0, 1.0 + width / cell_x, 1.0 + height / cell_y)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box))


def fbm(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int = 4,
    *,
    gain: float = 0.5,
    stretch: float = 1.0,
) -> Array:
    """Fractal noise, about 0..1. `cell` is the largest feature in pixels; `stretch` > 1 makes it wider than high."""
    cell_y, cell_x = max(cell / stretch, _SMALLEST_CELL_PX), max(cell, _SMALLEST_CELL_PX)
    finest = max(min(cell_y, cell_x) / 2 ** (octaves - 1), _SMALLEST_CELL_PX)
    shrink = max(1.0, finest / _SAMPLES_A_CELL)
    h, w = max(2, math.ceil(height / shrink)), max(2, math.ceil(width / shrink))
    total, weight, amount = np.zeros((h, w), np.float32), 0.0, 1.0
    for octave in range(octaves):
        scale = shrink * 2**octave
        y, x = max(cell_y / scale, _SMALLEST_CELL_PX), max(cell_x / scale, _SMALLEST_CELL_PX)
        total += np.float32(amount) * noise(rng, h, w, y, x)
        weight += amount
        amount *= gain
    total /= np.float32(weight)
    return resize(total, height, width)


def ridge(rng: np.random.Generator, width: int, cell: float, octaves: int = 5, gain: float = 0.5) -> Array:
    """A fractal line of `width` samples, about 0..1; `cell` is the widest bump in pixels."""
    line, weight, amount = np.zeros(width, np.float32), 0.0, 1.0
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        knots = rng.random(int(width / step) + 5, dtype=np.float32)
        at = np.arange(width, dtype=np.float32) / np.float32(step) + 1
        i = at.astype(np.intp)
        f = at - i
        f = f * f * (3 - 2 * f)
        line += np.float32(amount) * (knots[i] * (1 - f) + knots[i + 1] * f)
        weight += amount
        amount *= gain
    return (line / np.float32(weight)).astype(np.float32)


def _kernel(sigma: float) -> Array:
    reach = max(1, math.ceil(sigma * 2.5))
    x = np.arange(-reach, reach + 1, dtype=np.float32)
    bell = np.exp(-0.5 * (x / np.float32(max(sigma, 0.05))) ** 2)
    weights: Array = (bell / bell.sum()).astype(np.float32)
    return weights


def _weighted(parts: list[Array], weights: Array) -> Array:
    total = np.zeros(parts[0].shape, np.float32)
    for part, weight in zip(parts, weights, strict=True):
        total += weight * part
    return total


def blur_line(line: Array, sigma: float) -> Array:
    """Gaussian blur of a 1-D line, ends held."""
    kernel = _kernel(sigma)
    reach = len(kernel) // 2
    soft: Array = np.convolve(np.pad(line, reach, mode="edge"), kernel, mode="valid").astype(np.float32)
    return soft


def blur(field: Array, sigma: float) -> Array:
    """Gaussian blur of a 2-D field, sigma in pixels. A wide blur works on a smaller copy: same look, less time."""
    height, width = field.shape
    shrink = max(1, int(sigma / 1.6))
    h, w = max(2, height // shrink), max(2, width // shrink)
    small = field
    if shrink > 1:
        small = np.asarray(Image.fromarray(field).resize((w, h), Image.Resampling.BOX))
    kernel = _kernel(sigma / shrink)
    reach = len(kernel) // 2
    padded = np.pad(small, ((reach, reach), (0, 0)), mode="edge")
    small = _weighted([padded[i : i + h] for i in range(len(kernel))], kernel)
    padded = np.pad(small, ((0, 0), (reach, reach)), mode="edge")
    small = _weighted([padded[:, i : i + w] for i in range(len(kernel))], kernel)
    return resize(small, height, width, smooth=True)


def sample(field: Array, y: Array, x: Array) -> Array:
    """Bilinear look-up at float coordinates, edges held."""
    height, width = field.shape[:2]
    y, x = np.clip(y, 0, height - 1.001), np.clip(x, 0, width - 1.001)
    top, left = y.astype(np.intp), x.astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    fy, fx = (y - top).astype(np.float32), (x - left).astype(np.float32)
    if field.ndim == 3:
        fy, fx = fy[..., None], fx[..., None]
    upper = field[top, left] * (1 - fx) + field[top, right] * fx
    lower = field[bottom, left] * (1 - fx) + field[bottom, right] * fx
    mixed: Array = (upper * (1 - fy) + lower * fy).astype(np.float32)
    return mixed
