"""A small ray marcher: solids on an endless floor, one soft key light, sky fill, occlusion.

Every solid is marched by itself and only by the rays that meet the sphere around it, which is what makes this quick.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gesso.sandbox.painter.colour import Array, to_linear
from gesso.sandbox.painter.solids import Point, Solid

FLOOR = -1
BACKDROP = -2
_FAR = 26.0
_TOUCH = 0.0015
_STEPS = 40
_SHADOW_STEPS = 14
_SOFTNESS = 0.085
_LABEL_INK = np.array([0.165, 0.14, 0.188], np.float32)

Vectors = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Scene:
    """Colours are linear light."""

    solids: Sequence[Solid]
    eye: Point
    target: Point
    zoom: float
    """Half the height of the picture at distance 1."""
    light: Point
    key: Array
    fill: Array
    floor: Array
    backdrop_top: Array
    backdrop_low: Array
    glow: Array


def _unit(v: Vectors) -> Vectors:
    length = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) + np.float32(1e-9)
    return v[0] / length, v[1] / length, v[2] / length


def _dot(a: Vectors, b: Vectors) -> Array:
    product: Array = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _as_vectors(point: Point) -> Vectors:
    x, y, z = (np.float32(c) for c in point)
    return np.asarray(x), np.asarray(y), np.asarray(z)


def rays(scene: Scene, u: Array, v: Array) -> Vectors:
    """Directions of the rays through picture coordinates (v from -1 below to 1 above, u in the same unit)."""
    forward = np.subtract(scene.target, scene.eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross([0, 1, 0], forward)
    right = right / np.linalg.norm(right)
    up = np.cross(forward, right)
    a, b = u * np.float32(scene.zoom), v * np.float32(scene.zoom)
    parts = [np.float32(forward[i]) + a * np.float32(right[i]) + b * np.float32(up[i]) for i in range(3)]
    return _unit((parts[0], parts[1], parts[2]))


def _meets(origin: Vectors, ray: Vectors, middle: Point, reach: float) -> tuple[Array, Array]:
    """Where along each ray a sphere is entered, and how far inside it the ray passes (≤ 0: it misses)."""
    to = tuple(np.float32(m) - o for m, o in zip(middle, origin, strict=True))
    along = to[0] * ray[0] + to[1] * ray[1] + to[2] * ray[2]
    off = to[0] * to[0] + to[1] * to[1] + to[2] * to[2] - along * along
    inside = np.float32(reach * reach) - off
    return along - np.sqrt(np.maximum(inside, 0)), inside


def trace(scene: Scene, ray: Vectors) -> tuple[Array, np.ndarray]:
    """Distance to what each ray meets, and which: the index of a solid, FLOOR or BACKDROP."""
    eye = _as_vectors(scene.eye)
    with np.errstate(divide="ignore"):
        floor = np.where(ray[1] < -1e-6, -eye[1] / np.minimum(ray[1], np.float32(-1e-6)), np.float32(_FAR))
    t = np.minimum(floor, np.float32(_FAR)).astype(np.float32)
    hit = np.where(t < _FAR, FLOOR, BACKDROP).astype(np.int16)
    for index, solid in enumerate(scene.solids):
        enter, inside = _meets(eye, ray, solid.middle, solid.reach)
        some = np.flatnonzero((inside > 0) & (enter < t))
        if len(some) == 0:
            continue
        at, found = _march(solid, eye, tuple(r[some] for r in ray), np.maximum(enter[some], 0), 2 * solid.reach)
        closer = found & (at < t[some])
        t[some[closer]], hit[some[closer]] = at[closer], index
    return t, hit


def _march(solid: Solid, eye: Vectors, ray: tuple[Array, ...], start: Array, length: float) -> tuple[Array, np.ndarray]:
    """Walks rays from `start` until they touch the solid or have walked `length`."""
    t, end = start.copy(), start + np.float32(length)
    found = np.zeros(len(t), bool)
    active = np.arange(len(t))
    rx, ry, rz = ray
    for _ in range(_STEPS):
        d = solid.distance(eye[0] + rx * t[active], eye[1] + ry * t[active], eye[2] + rz * t[active])
        t[active] += d
        touched = d < _TOUCH
        found[active[touched]] = True
        stay = ~touched & (t[active] < end[active])
        if not stay.any():
            break
        active, rx, ry, rz = active[stay], rx[stay], ry[stay], rz[stay]
    return t, found


def _normals(scene: Scene, hit: np.ndarray, p: Vectors) -> Vectors:
    nx, ny, nz = np.zeros_like(p[0]), np.ones_like(p[0]), np.zeros_like(p[0])
    e = np.float32(0.004)
    for index, solid in enumerate(scene.solids):
        some = np.flatnonzero(hit == index)
        x, y, z = (c[some] for c in p)
        nx[some] = solid.distance(x + e, y, z) - solid.distance(x - e, y, z)
        ny[some] = solid.distance(x, y + e, z) - solid.distance(x, y - e, z)
        nz[some] = solid.distance(x, y, z + e) - solid.distance(x, y, z - e)
    return _unit((nx, ny, nz))


def _shadow(scene: Scene, p: Vectors) -> Array:
    """How much of the key light reaches each point, 0..1, with soft edges."""
    light = _unit(_as_vectors(scene.light))
    lit = np.ones_like(p[0])
    for solid in scene.solids:
        # Rays that pass near enough to fall into the soft edge count too.
        enter, inside = _meets(p, light, solid.middle, solid.reach * 1.1 + 0.12)
        some = np.flatnonzero((inside > 0) & (enter > -2 * solid.reach))
        if len(some) == 0:
            continue
        x, y, z = (c[some] for c in p)
        t = np.maximum(enter[some], np.float32(0.03))
        end = t + np.float32(2.4 * solid.reach + 0.3)
        through = lit[some]
        for _ in range(_SHADOW_STEPS):
            d = solid.distance(x + light[0] * t, y + light[1] * t, z + light[2] * t)
            share = np.clip(np.float32(0.5) + np.float32(0.5 / _SOFTNESS) * d / t, 0, 1)
            through = np.where(t < end, np.minimum(through, share), through)
            t = t + np.clip(d, np.float32(0.03), np.float32(0.30))
        lit[some] = through
    return np.power(lit, np.float32(1.3))


def _occlusion(scene: Scene, p: Vectors, n: Vectors) -> Array:
    """How open each point is to the sky, 0.12..1."""
    open_ = np.ones_like(p[0])
    weight = 0.55
    for step in (0.06, 0.17, 0.42):
        nearest = np.maximum(p[1] + n[1] * np.float32(step), 0)
        for solid in scene.solids:
            mx, my, mz = solid.middle
            limit = (solid.reach + 2 * step) ** 2
            some = np.flatnonzero(np.square(p[0] - mx) + np.square(p[1] - my) + np.square(p[2] - mz) < limit)
            x, y, z = (c[some] + m[some] * np.float32(step) for c, m in zip(p, n, strict=True))
            nearest[some] = np.minimum(nearest[some], solid.distance(x, y, z))
        open_ -= np.float32(weight * 0.6 / step) * np.clip(np.float32(step) - nearest, 0, np.float32(step))
        weight *= 0.62
    return np.clip(open_, np.float32(0.12), 1)


def _surface(scene: Scene, hit: np.ndarray, p: Vectors) -> tuple[Array, Array, Array]:
    """Colour (linear), gloss and shine at each point, labels and the print on them included."""
    colour = np.empty((len(hit), 3), np.float32)
    colour[:] = scene.floor
    gloss, shine = np.full(len(hit), 0.05, np.float32), np.full(len(hit), 12.0, np.float32)
    for index, solid in enumerate(scene.solids):
        some = np.flatnonzero(hit == index)
        colour[some], gloss[some], shine[some] = to_linear(solid.colour), solid.gloss, solid.shine
        if solid.label is None:
            continue
        paper, low, high = solid.label
        up = (p[1][some] - np.float32(solid.centre[1]) - low) / np.float32(high - low)
        across = np.abs(p[0][some] - np.float32(solid.centre[0]))
        on = (up > 0) & (up < 1)
        colour[some[on]], gloss[some[on]] = to_linear(paper), 0.06
        printed = on & (
            ((np.abs(up - 0.68) < 0.05) & (across < 0.15))
            | ((np.abs(up - 0.48) < 0.018) & (across < 0.11))
            | ((np.abs(up - 0.37) < 0.018) & (across < 0.08))
        )
        colour[some[printed]] = to_linear(_LABEL_INK)
    return colour, gloss, shine


def shade(scene: Scene, u: Array, v: Array) -> Array:
    """Linear light along the rays through (u, v); both 1-D. Shape (n, 3)."""
    ray = rays(scene, u, v)
    t, hit = trace(scene, ray)
    eye = _as_vectors(scene.eye)
    p = (eye[0] + ray[0] * t, eye[1] + ray[1] * t, eye[2] + ray[2] * t)
    n = _normals(scene, hit, p)
    above = (p[0] + n[0] * np.float32(0.006), p[1] + n[1] * np.float32(0.006), p[2] + n[2] * np.float32(0.006))
    lit, open_ = _shadow(scene, above), _occlusion(scene, p, n)
    colour, gloss, shine = _surface(scene, hit, p)

    light = _unit(_as_vectors(scene.light))
    half = _unit((light[0] - ray[0], light[1] - ray[1], light[2] - ray[2]))
    direct = np.clip(_dot(n, light), 0, 1) * lit
    spark = np.power(np.clip(_dot(n, half), 0, 1), shine) * lit * gloss
    rim = np.square(np.clip(_dot(n, _as_vectors((-0.75, 0.25, 0.55))), 0, 1))
    graze = np.square(np.square(np.clip(1 + _dot(n, ray), 0, 1))) * gloss * open_
    sky = np.clip(np.float32(0.5) + np.float32(0.5) * n[1], 0, 1)

    backdrop = _backdrop(scene, u, v)
    mean = (scene.backdrop_top + scene.backdrop_low) / 2
    result = scene.key * (direct * np.float32(1.55))[:, None]
    result += scene.fill * ((sky * np.float32(0.75) + np.float32(0.18)) * open_ * np.float32(1.15))[:, None]
    result += (mean * np.float32(1.4)) * (rim * open_)[:, None]
    result *= colour
    result += scene.key * (spark * np.float32(1.6))[:, None]
    result += backdrop * (graze * np.float32(1.6))[:, None]
    fade = np.clip((np.hypot(p[0], p[2]) - np.float32(2.4)) / np.float32(5.5), 0, 1) ** np.float32(0.8)
    fade = np.where(hit == FLOOR, fade, np.where(hit == BACKDROP, 1, 0)).astype(np.float32)[:, None]
    result += fade * (backdrop - result)
    return result


def _backdrop(scene: Scene, u: Array, v: Array) -> Array:
    share = np.clip((1 - v) * np.float32(0.5), 0, 1)[:, None]
    wall = scene.backdrop_top * (1 - share) + scene.backdrop_low * share
    distance = np.square(u * np.float32(scene.zoom) - np.float32(0.05))
    distance += np.square(v * np.float32(scene.zoom) - np.float32(0.10))
    pool = np.exp(distance * np.float32(-1 / 0.16))[:, None]
    lit: Array = wall * (np.float32(0.66) + np.float32(0.30) * pool) + scene.glow * (np.float32(0.22) * pool**1.5)
    return lit
