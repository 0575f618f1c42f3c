"""What a recipe gets to work from, and the finishing touches every picture shares."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gesso.sandbox.painter.colour import Array
from gesso.sandbox.painter.palettes import Palette


@dataclass(frozen=True)
class Brief:
    """One commission. Sizes in pixels; `rng` is the only source of chance, so equal briefs give equal pictures."""

    rng: np.random.Generator
    width: int
    height: int
    palette: Palette
    prompt: str

    @cached_property
    def u(self) -> Array:
        """Column positions 0..1, shape (1, width)."""
        return (np.arange(self.width, dtype=np.float32) / np.float32(self.width))[None, :]

    @cached_property
    def v(self) -> Array:
        """Row positions 0..1, shape (height, 1)."""
        return (np.arange(self.height, dtype=np.float32) / np.float32(self.height))[:, None]

    @property
    def aspect(self) -> float:
        return self.width / self.height

    @property
    def span(self) -> float:
        """The length features are scaled by: the width, but not much more than the height of a very wide picture."""
        return min(self.width, 1.8 * self.height)

    @property
    def short(self) -> int:
        return min(self.width, self.height)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


def lay(canvas: Array, cover: Array, colour: Array) -> None:
    """Lays `colour` (one, or one per pixel) over `canvas` in place where `cover` (0..1) says."""
    canvas += cover[..., None] * (colour - canvas)


def vignette(canvas: Array, amount: float) -> None:
    """Darkens the corners by `amount` in place."""
    height, width = canvas.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
    distance = (y + x) * np.float32(0.5)
    canvas *= (1 - np.float32(amount) * distance * np.sqrt(distance))[..., None]


def grain(rng: np.random.Generator, canvas: Array, amount: float) -> None:
    """Film grain in place; one tile of chance, laid out shifted, is as good as a picture full and far cheaper."""
    height, width = canvas.shape[:2]
    tile = rng.standard_normal((min(height, 512), min(width, 512)), dtype=np.float32) * np.float32(amount)
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    canvas += np.tile(tile, (rows, columns))[:height, :width, None]


def to_image(canvas: Array) -> Image.Image:
    """0..1 canvas → RGB picture."""
    scaled = canvas * np.float32(255) + np.float32(0.5)
    np.clip(scaled, 0, 255, out=scaled)
    return Image.fromarray(scaled.astype(np.uint8))


def sign(picture: Image.Image, text: str = "SANDBOX") -> Image.Image:
    """Sets `text` small into the lower right corner, light on dark ground and dark on light."""
    short = min(picture.size)
    size = max(7.0, short * 0.0155)
    font = ImageFont.load_default(size)
    tracking = size * 0.2
    widths = [font.getlength(letter) + tracking for letter in text]
    margin = max(3.0, short * 0.022)
    x, y = picture.width - margin - sum(widths) + tracking, picture.height - margin - size
    ground = picture.crop((int(max(x, 0)), int(max(y, 0)), picture.width, picture.height)).convert("L").resize((1, 1))
    dark_ground = np.asarray(ground)[0, 0] < 140
    ink = (255, 255, 255, 165) if dark_ground else (20, 16, 28, 140)
    pen = ImageDraw.Draw(picture, "RGBA")
    for letter, width in zip(text, widths, strict=True):
        pen.text((x, y), letter, fill=ink, font=font)
        x += width
    return picture
