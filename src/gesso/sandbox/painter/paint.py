"""One call from a prompt to a picture."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from gesso.sandbox.painter.aurora import paint_aurora
from gesso.sandbox.painter.bauhaus import paint_bauhaus
from gesso.sandbox.painter.brief import Brief, sign, to_image
from gesso.sandbox.painter.colour import Array
from gesso.sandbox.painter.dunes import paint_dunes
from gesso.sandbox.painter.flow import paint_flow
from gesso.sandbox.painter.glass import paint_glass
from gesso.sandbox.painter.ink import paint_ink
from gesso.sandbox.painter.palettes import PALETTES, palette_from
from gesso.sandbox.painter.paper import paint_paper
from gesso.sandbox.painter.peaks import paint_peaks
from gesso.sandbox.painter.still import paint_still
from gesso.sandbox.painter.words import choose_palette, choose_recipe, prompt_number

MIN_SIDE_PX = 16
MAX_SIDE_PX = 8192
# Larger pictures are painted at this area and scaled up: arithmetic has no more detail to give.
_LARGEST_PAINTED_AREA = 1280 * 1280

Recipe = Callable[[Brief], Array]

RECIPES: Mapping[str, Recipe] = {
    "aurora": paint_aurora,
    "bauhaus": paint_bauhaus,
    "dunes": paint_dunes,
    "flow": paint_flow,
    "glass": paint_glass,
    "ink": paint_ink,
    "paper": paint_paper,
    "peaks": paint_peaks,
    "still": paint_still,
}


def paint(
    prompt: str,
    *,
    seed: int,
    width: int,
    height: int,
    reference_colours: Sequence[tuple[int, int, int]] | None = None,
    recipe: str | None = None,
) -> Image.Image:
    """An RGB picture of `width` × `height` pixels, signed SANDBOX.

    The words choose recipe and palette, `seed` and the prompt's hash the rest: equal arguments, equal pixels.
    `reference_colours` (0..255 each) replace the palette. `recipe` overrides the words' choice.
    Raises ValueError for a size outside MIN_SIDE_PX..MAX_SIDE_PX or an unknown recipe.
    """
    if not (MIN_SIDE_PX <= width <= MAX_SIDE_PX and MIN_SIDE_PX <= height <= MAX_SIDE_PX):
        raise ValueError(f"sides must be {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")
    name = recipe or choose_recipe(prompt)
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    palette = palette_from(reference_colours) if reference_colours else PALETTES[choose_palette(prompt, name, seed)]
    scale = min(1.0, math.sqrt(_LARGEST_PAINTED_AREA / (width * height)))
    rng = np.random.default_rng(prompt_number(prompt, f"{name} {seed}"))
    brief = Brief(rng, max(MIN_SIDE_PX, round(width * scale)), max(MIN_SIDE_PX, round(height * scale)), palette, prompt)
    picture = to_image(RECIPES[name](brief))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return sign(picture)
