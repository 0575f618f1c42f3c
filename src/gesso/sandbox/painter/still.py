"""Still life: bottles, vases, spheres and rings on a sweep of paper, lit like a product photograph."""

import math
import re

import numpy as np
from PIL import Image, ImageFilter

from gesso.sandbox.painter.brief import Brief, grain, vignette
from gesso.sandbox.painter.colour import Array, luminance, mix, rgb, to_linear, to_srgb
from gesso.sandbox.painter.march import Scene, shade
from gesso.sandbox.painter.palettes import Palette
from gesso.sandbox.painter.solids import Box, Cylinder, Solid, Sphere, Torus, Vase

_COARSE_AREA = 380 * 380
_EDGE = 0.045
_LARGEST_REFINED = 90_000

_BOTTLES = re.compile(
    r"bottle|serum|perfume|cosmetic|skincare|shampoo|product|pack ?shot|cream|jar|advert|commercial", re.I
)
_VASES = re.compile(r"vase|ceramic|pottery|jug|mug|cup|candle|lamp|still life", re.I)
_BALLS = re.compile(r"sphere|ball|torus|abstract|3d|toy|shape", re.I)


def paint_still(brief: Brief) -> Array:
    scene = _scene(brief)
    h, w = brief.height, brief.width
    canvas = _render(scene, h, w)
    vignette(canvas, 0.18)
    grain(brief.rng, canvas, 0.006)
    return canvas


def _arrangement(brief: Brief) -> list[Solid]:
    """What stands on the table: the words say, else chance."""
    for pattern, build in ((_BALLS, _balls), (_VASES, _vases), (_BOTTLES, _bottles)):
        if pattern.search(brief.prompt):
            return build(brief)
    return (_bottles, _vases, _balls)[brief.rng.integers(3)](brief)


def _scene(brief: Brief) -> Scene:
    palette = brief.palette
    dark = palette.name in ("noir", "night")
    ground = palette.shade(0.22 if dark else 0.86)
    floor = mix(ground, palette.shade(0.12 if dark else 0.7), 0.35)
    solids = _arrangement(brief)
    side = 1.0 if brief.rng.random() < 0.6 else -1.0
    # A narrow picture needs a wider angle, or the things beside the middle fall out of it.
    widen = max(1.0, 1.02 / brief.aspect) ** 0.8
    tallest = max(solid.middle[1] + solid.reach for solid in solids)
    return Scene(
        solids,
        eye=(brief.between(-0.5, 0.5), brief.between(1.15, 1.6), -6.4),
        target=(0.0, 0.36 * tallest + 0.22, 0.0),
        zoom=0.265 * widen * max(1.0, tallest / 2.3),
        light=(0.55 * side, 0.9, -0.6),
        key=np.array([1.0, 0.93, 0.84], np.float32),
        fill=mix(np.array([0.40, 0.44, 0.58], np.float32), to_linear(palette.shade(0.7)), 0.3) * (0.8 if dark else 1.0),
        floor=to_linear(floor),
        backdrop_top=to_linear(ground),
        backdrop_low=to_linear(mix(ground, floor, 0.5)),
        glow=to_linear(palette.shade(0.5 if dark else 0.95)),
    )


def _things(palette: Palette) -> list[Array]:
    """Colours for things, far enough from the ground they stand on."""
    dark = palette.name in ("noir", "night")
    positions = (0.08, 0.45, 0.85) if dark else (0.46, 0.3, 0.98)
    return [palette.accent, *(palette.shade(p) for p in positions)]


def _bottle(
    x: float, z: float, scale: float, colour: Array, cap: Array, label: Array | None, base: float
) -> list[Solid]:
    s = scale
    body = Cylinder(
        (x, base + 0.62 * s, z), colour, 0.5, 90, radius=0.36 * s, half_height=0.62 * s, edge=0.07,
        label=None if label is None else (label, -0.34 * s, 0.22 * s),
    )  # fmt: skip
    neck = Cylinder((x, base + 1.30 * s, z), colour, 0.5, radius=0.13 * s, half_height=0.10 * s, edge=0.02)
    lid = Cylinder((x, base + 1.50 * s, z), cap, 0.6, 120, radius=0.19 * s, half_height=0.16 * s, edge=0.04)
    return [body, neck, lid]


def _bottles(brief: Brief) -> list[Solid]:
    rng, palette = brief.rng, brief.palette
    # The bottle mostly wears the palette's own colour: whoever asks for an amber bottle gets one.
    second, first, third, pale = _things(palette) if rng.random() < 0.75 else _shuffled(brief)
    cap = palette.shade(0.04) if luminance(first) > 0.35 else mix(rgb("#f4efe6"), palette.shade(1.0), 0.5)
    paper = mix(rgb("#faf6ee"), palette.shade(1.0), 0.4)
    base, x = 0.0, 0.0
    solids: list[Solid] = []
    if rng.random() < 0.6:
        base = brief.between(0.2, 0.36)
        stone = mix(palette.shade(0.75), first, 0.12)
        if rng.random() < 0.6:
            solids.append(Cylinder((0, base / 2, 0), stone, 0.08, radius=0.86, half_height=base / 2))
        else:
            solids.append(Box((0, base / 2, 0), stone, 0.12, half=(0.85, base / 2, 0.7), turn=brief.between(-0.5, 0.5)))
    else:
        x = brief.between(-0.5, -0.3)
        solids += _bottle(x + brief.between(0.95, 1.1), -0.2, brief.between(0.66, 0.8), pale, second, None, 0.0)
    solids += _bottle(x, 0.0, brief.between(0.95, 1.05), first, cap, paper, base)
    side = 1 if rng.random() < 0.5 else -1
    solids.append(_ball(-1.12 * side, -0.3, brief.between(0.2, 0.3), second))
    solids.append(_ball(1.05 * side, -0.55, brief.between(0.13, 0.2), third))
    if rng.random() < 0.5:
        ring = brief.between(0.42, 0.54)
        solids.append(
            Torus((1.3 * side, ring + 0.13, 1.1), second, 0.45, 100, ring=ring, tube=brief.between(0.07, 0.15))
        )
    else:
        half = brief.between(0.45, 0.75)
        solids.append(
            Box(
                (1.35 * side, half, 1.3), mix(palette.shade(0.66), second, 0.2), 0.06, half=(0.42, half, 0.42), turn=0.5
            )
        )
    return solids


_PROFILES = (
    (0.30, 0.42, 0.56, 0.52, 0.34, 0.19, 0.16, 0.24),
    (0.28, 0.44, 0.52, 0.50, 0.40, 0.30),
    (0.22, 0.29, 0.34, 0.33, 0.24, 0.15, 0.12, 0.13),
    (0.34, 0.50, 0.58, 0.48, 0.26, 0.20, 0.30),
    (0.26, 0.32, 0.30, 0.26, 0.30, 0.40),
)


def _vases(brief: Brief) -> list[Solid]:
    rng = brief.rng
    colours = _shuffled(brief)
    order = rng.permutation(len(_PROFILES))
    places = ((-1.18, 0.2), (0.02, -0.25), (1.2, 0.25))
    solids: list[Solid] = [
        Vase(
            (x + brief.between(-0.06, 0.06), 0.02, z), colours[i], 0.28, 50,
            height=brief.between(1.0, 1.35) + 0.7 * (i != 1) * rng.random(), profile=_PROFILES[order[i]],
        )
        for i, (x, z) in enumerate(places)
    ]  # fmt: skip
    solids.append(_ball(0.68, -0.9, brief.between(0.16, 0.22), colours[3]))
    solids.append(_ball(-0.5, -0.98, brief.between(0.12, 0.18), brief.palette.accent))
    return solids


def _balls(brief: Brief) -> list[Solid]:
    first, second, third, fourth = _shuffled(brief)
    side = 1 if brief.rng.random() < 0.5 else -1
    large = brief.between(0.64, 0.78)
    ring = brief.between(0.38, 0.46)
    return [
        _ball(-0.4 * side, 0.25, large, first, 0.55),
        _ball(0.74 * side, -0.25, brief.between(0.4, 0.5), second, 0.55),
        _ball(0.12 * side, -1.0, brief.between(0.18, 0.26), third, 0.5),
        Torus((1.25 * side, ring + 0.15, 0.95), fourth, 0.5, 100, ring=ring, tube=0.14, tilt=0.25),
        Cylinder((-1.42 * side, 0.35, 0.55), second, 0.4, radius=0.34, half_height=0.35, edge=0.08),
        _ball(-1.42 * side, 0.55, 0.22, third, 0.4, lift=0.70),
    ]


def _ball(x: float, z: float, radius: float, colour: Array, gloss: float = 0.32, lift: float = 0.0) -> Sphere:
    return Sphere((x, lift + radius, z), colour, gloss, 90, radius=radius)


def _shuffled(brief: Brief) -> list[Array]:
    colours = _things(brief.palette)
    return [colours[i] for i in brief.rng.permutation(len(colours))][:4]


def _tone(linear: Array) -> Array:
    """Bright parts are held back, as film does, and go to white rather than to another hue; sRGB."""
    held = linear * (1 + np.float32(0.12) * linear) / (1 + np.float32(0.32) * linear) * np.float32(1.12)
    over = np.maximum(held.max(axis=-1, keepdims=True), 1)
    held /= over
    return to_srgb(held + (1 - held) * np.clip((over - 1) * np.float32(0.6), 0, np.float32(0.9)))


def _coordinates(rows: Array, columns: Array, height: int, width: int) -> tuple[Array, Array]:
    """Pixel positions → ray coordinates."""
    u = (columns + np.float32(0.5) - np.float32(width / 2)) / np.float32(height / 2)
    v = (np.float32(height / 2) - rows - np.float32(0.5)) / np.float32(height / 2)
    return u, v


def _render(scene: Scene, height: int, width: int) -> Array:
    """Shades a coarse picture, scales it up, and shades anew, two rays a pixel, where edges run."""
    shrink = max(1.0, math.sqrt(height * width / _COARSE_AREA))
    h, w = max(2, round(height / shrink)), max(2, round(width / shrink))
    rows, columns = np.mgrid[0:h, 0:w].astype(np.float32).reshape(2, -1)
    # The middles of the coarse pixels, in pixels of the full picture: scaling up puts them back there.
    rows, columns = (
        (rows + np.float32(0.5)) * np.float32(height / h),
        (columns + np.float32(0.5)) * np.float32(width / w),
    )
    coarse = _tone(shade(scene, *_coordinates(rows - np.float32(0.5), columns - np.float32(0.5), height, width)))
    coarse = coarse.reshape(h, w, 3)
    edges = _edges(coarse)
    canvas = np.stack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(coarse[..., c])).resize((width, height), Image.Resampling.BILINEAR)
            )
            for c in range(3)
        ],
        axis=-1,
    )
    wanted = np.asarray(Image.fromarray(edges).resize((width, height), Image.Resampling.NEAREST))
    y, x = np.nonzero(wanted)
    if len(y) > _LARGEST_REFINED:
        strongest = np.argsort(-wanted[y, x], kind="stable")[:_LARGEST_REFINED]
        y, x = y[strongest], x[strongest]
    total = np.zeros((len(y), 3), np.float32)
    offsets = ((-0.25, -0.25), (0.25, 0.25))
    for dy, dx in offsets:
        at = _coordinates((y + dy).astype(np.float32), (x + dx).astype(np.float32), height, width)
        total += _tone(shade(scene, *at))
    canvas[y, x] = total / np.float32(len(offsets))
    return canvas


def _edges(picture: Array) -> Array:
    """Strength of edges where they are worth refining, else 0."""
    grey = picture.mean(axis=2)
    jump = np.zeros_like(grey)
    down, right = np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1))
    jump[1:], jump[:-1] = np.maximum(jump[1:], down), np.maximum(jump[:-1], down)
    jump[:, 1:], jump[:, :-1] = np.maximum(jump[:, 1:], right), np.maximum(jump[:, :-1], right)
    found = np.where(jump > _EDGE, jump, 0).astype(np.float32)
    # Scaling up smears an edge into the pixels beside it: those are refined too.
    return np.asarray(Image.fromarray(found).filter(ImageFilter.MaxFilter(3)))
