"""Solids by their distance functions: how far a point in space is from the surface (negative inside).

Points come as three arrays x, y, z; y is up and the floor is y = 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gesso.sandbox.painter.colour import Array

_WALL_SAMPLES = 256

Point = tuple[float, float, float]
Label = tuple[Array, float, float]


@dataclass(frozen=True)
class Solid(ABC):
    """`gloss` 0..1 is the strength of highlights, `shine` their sharpness. A label is colour, lower and upper edge."""

    centre: Point
    colour: Array
    gloss: float = 0.35
    shine: float = 60.0
    label: Label | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def reach(self) -> float:
        """Radius of a sphere around `middle` that holds the solid."""

    @property
    def middle(self) -> Point:
        return self.centre

    @abstractmethod
    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """How far each point is from the surface."""


@dataclass(frozen=True)
class Sphere(Solid):
    radius: float = field(kw_only=True)

    @property
    def reach(self) -> float:
        return self.radius

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        cx, cy, cz = self.centre
        squared = np.square(x - cx) + np.square(y - cy) + np.square(z - cz)
        distance: Array = np.sqrt(squared) - np.float32(self.radius)
        return distance


def _rounded(across: Array, along: Array) -> Array:
    """Distance to the corner of a profile, given the distances past its two sides."""
    inside = np.minimum(np.maximum(across, along), 0)
    distance: Array = inside + np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    return distance


@dataclass(frozen=True)
class Cylinder(Solid):
    """Upright, with rounded edges."""

    radius: float = field(kw_only=True)
    half_height: float = field(kw_only=True)
    edge: float = 0.03

    @property
    def reach(self) -> float:
        return math.hypot(self.radius, self.half_height)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        cx, cy, cz = self.centre
        across = np.hypot(x - cx, z - cz) - np.float32(self.radius - self.edge)
        along = np.abs(y - cy) - np.float32(self.half_height - self.edge)
        return _rounded(across, along) - np.float32(self.edge)


@dataclass(frozen=True)
class Box(Solid):
    """Turned by `turn` radians about the upright axis, with rounded edges."""

    half: Point = field(kw_only=True)
    turn: float = 0.0
    edge: float = 0.03

    @property
    def reach(self) -> float:
        return math.hypot(*self.half)

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        cx, cy, cz = self.centre
        cos, sin = np.float32(math.cos(self.turn)), np.float32(math.sin(self.turn))
        px, py, pz = x - cx, y - cy, z - cz
        a = np.abs(cos * px + sin * pz) - np.float32(self.half[0] - self.edge)
        b = np.abs(py) - np.float32(self.half[1] - self.edge)
        c = np.abs(cos * pz - sin * px) - np.float32(self.half[2] - self.edge)
        inside = np.minimum(np.maximum(np.maximum(a, b), c), 0)
        outside = np.sqrt(sum(np.square(np.maximum(d, 0)) for d in (a, b, c)))
        distance: Array = (inside + outside - self.edge).astype(np.float32)
        return distance


@dataclass(frozen=True)
class Torus(Solid):
    """A ring standing up, facing the viewer, leaning back by `tilt` radians."""

    ring: float = field(kw_only=True)
    tube: float = field(kw_only=True)
    tilt: float = 0.0

    @property
    def reach(self) -> float:
        return self.ring + self.tube

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        cx, cy, cz = self.centre
        cos, sin = np.float32(math.cos(self.tilt)), np.float32(math.sin(self.tilt))
        px, py, pz = x - cx, y - cy, z - cz
        up, back = cos * py - sin * pz, sin * py + cos * pz
        distance: Array = np.hypot(np.hypot(px, up) - np.float32(self.ring), back) - np.float32(self.tube)
        return distance


@dataclass(frozen=True)
class Vase(Solid):
    """Turned on the wheel: `profile` holds radii at even heights from the foot; `centre` is the middle of the foot."""

    height: float = field(kw_only=True)
    profile: tuple[float, ...] = field(kw_only=True)

    @property
    def middle(self) -> Point:
        x, y, z = self.centre
        return x, y + self.height / 2, z

    @property
    def reach(self) -> float:
        return math.hypot(max(self.profile), self.height / 2) + 0.03

    @cached_property
    def _radii(self) -> Array:
        """Radii up the wall, on a curve through the profile (Catmull-Rom), so that the wall has no kinks."""
        knots = np.pad(np.asarray(self.profile), 1, mode="edge")
        at = np.linspace(0, len(self.profile) - 1, _WALL_SAMPLES)
        i = np.minimum(at.astype(np.intp), len(self.profile) - 2)
        f = at - i
        a, b, c, d = (knots[i + k] for k in range(4))
        curve = 2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - 3 * c + d - a) * f**3
        radii: Array = (curve / 2).astype(np.float32)
        return radii

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        cx, cy, cz = self.centre
        share = np.clip((y - cy) * np.float32((_WALL_SAMPLES - 1) / self.height), 0, _WALL_SAMPLES - 1.001)
        low = share.astype(np.intp)
        part = (share - low).astype(np.float32)
        radius = self._radii.take(low) * (1 - part) + self._radii.take(low + 1) * part
        across = np.hypot(x - cx, z - cz) - radius
        along = np.abs(y - (cy + self.height / 2)) - np.float32(self.height / 2)
        # The wall slants, so the level distance is too long a step: shortened to stay outside.
        distance: Array = (_rounded(across, along) - np.float32(0.02)) * np.float32(0.8)
        return distance
