"""ThumbHash (evanw/thumbhash): a picture's blur in at most 25 bytes, which browsers paint before it has come.

Our own few lines, because the package on PyPI fails on every picture with transparency.
"""

from math import floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 32
Plane = NDArray[np.float64]


def thumb_hash(picture: Image.Image) -> bytes:
    """The ThumbHash of a picture in any mode. Layout of the bytes as in the reference implementation."""
    small = picture.convert("RGBA")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    width, height = small.size
    pixels = np.asarray(small, dtype=np.float64) / 255
    alpha = pixels[..., 3]
    seen = alpha.sum()
    average = (pixels[..., :3] * alpha[..., None]).sum((0, 1)) / seen if seen else np.zeros(3)
    colour = average * (1 - alpha[..., None]) + pixels[..., :3] * alpha[..., None]
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]

    transparent = bool(seen < width * height)
    limit = 5 if transparent else 7
    across, down = (max(1, floor(limit * side / max(width, height) + 0.5)) for side in (width, height))
    l_dc, l_ac, l_scale = _waves((red + green + blue) / 3, max(3, across), max(3, down))
    p_dc, p_ac, p_scale = _waves((red + green) / 2 - blue, 3, 3)
    q_dc, q_ac, q_scale = _waves(red - green, 3, 3)

    landscape = width > height
    head = (
        _quantum(63, l_dc) | _quantum(31.5, 1 + p_dc) << 6 | _quantum(31.5, 1 + q_dc) << 12
        | _quantum(31, l_scale) << 18 | transparent << 23
    )  # fmt: skip
    more = (down if landscape else across) | _quantum(63, p_scale) << 3 | _quantum(63, q_scale) << 9
    out = head.to_bytes(3, "little") + (more | landscape << 15).to_bytes(2, "little")
    waves = [*l_ac, *p_ac, *q_ac]
    if transparent:
        a_dc, a_ac, a_scale = _waves(alpha, 5, 5)
        out += bytes([_quantum(15, a_dc) | _quantum(15, a_scale) << 4])
        waves += a_ac
    halves = [_quantum(15, wave) for wave in waves] + [0] * (len(waves) % 2)
    return out + bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))


def _waves(plane: Plane, across: int, down: int) -> tuple[float, list[float], float]:
    """A plane's mean, its lowest cosine waves scaled to 0…1, and the scale."""
    height, width = plane.shape
    x = np.cos(np.pi / width * np.outer(np.arange(across), np.arange(width) + 0.5))
    y = np.cos(np.pi / height * np.outer(np.arange(down), np.arange(height) + 0.5))
    factors = y @ plane @ x.T / (width * height)
    chosen = [
        float(factors[cy, cx])
        for cy in range(down)
        for cx in range(across)
        if cx * down < across * (down - cy) and (cx or cy)
    ]
    scale = max(map(abs, chosen), default=0.0)
    return float(factors[0, 0]), [0.5 + 0.5 / scale * wave if scale else 0.0 for wave in chosen], scale


def _quantum(steps: float, value: float) -> int:
    return min(max(floor(steps * value + 0.5), 0), int(steps * 2) if steps == 31.5 else int(steps))
