"""Pictures given as references: their colours, and showing them in the new picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from gesso.sandbox.painter.brief import sign, to_image
from gesso.sandbox.painter.colour import Array
from gesso.sandbox.painter.noise import fbm


def mean_colours(pictures: Sequence[Image.Image], count: int = 5) -> list[tuple[int, int, int]]:
    """The `count` leading colours of the pictures together, 0..255 each."""
    tiles = [ImageOps.fit(p.convert("RGB"), (64, 64)) for p in pictures]
    board = Image.new("RGB", (64 * len(tiles), 64))
    for i, tile in enumerate(tiles):
        board.paste(tile, (64 * i, 0))
    reduced = board.quantize(count, Image.Quantize.MEDIANCUT)
    palette = reduced.getpalette() or []
    counts = np.bincount(np.asarray(reduced).ravel(), minlength=count)
    used = [int(i) for i in np.argsort(-counts)[:count] if counts[i] > 0]
    return [(palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]) for i in used]


def compose(painting: Image.Image, references: Sequence[Image.Image], *, seed: int) -> Image.Image:
    """The references side by side, painted over from the edges inwards by `painting`; signed anew."""
    width, height = painting.size
    rng = np.random.default_rng(seed & (2**63 - 1))
    collage = _collage(references, width, height)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    edge = np.sqrt(np.square(x) * np.square(x) + np.square(y) * np.square(y))
    torn = (fbm(rng, height, width, min(width, height) * 0.3, 5) - np.float32(0.5)) * np.float32(1.1)
    share = np.clip((np.float32(0.62) - edge + torn) / np.float32(0.14), 0, 1)
    share = share * share * (3 - 2 * share) * np.float32(0.92)
    canvas = np.asarray(painting, np.float32) / np.float32(255)
    return sign(to_image(canvas + share[..., None] * (collage - canvas)))


def _collage(references: Sequence[Image.Image], width: int, height: int) -> Array:
    across = width >= height
    count = len(references)
    board = Image.new("RGB", (width, height))
    for i, picture in enumerate(references):
        start, end = (round(part * (width if across else height) / count) for part in (i, i + 1))
        size = (max(1, end - start), height) if across else (width, max(1, end - start))
        board.paste(ImageOps.fit(picture, size), (start, 0) if across else (0, start))
    return np.asarray(board, np.float32) / np.float32(255)
