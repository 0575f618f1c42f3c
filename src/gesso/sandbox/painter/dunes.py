"""Dunes under a low sun."""

import numpy as np

from gesso.sandbox.painter.brief import Brief, grain, vignette
from gesso.sandbox.painter.colour import Array, mix, rgb
from gesso.sandbox.painter.landscape import Land, Sun, paint_land, paint_sky


def paint_dunes(brief: Brief) -> Array:
    palette = brief.palette
    warm = mix(palette.shade(0.9), rgb("#fff1d2"), 0.6)
    sun = Sun(brief.between(0.2, 0.8), brief.between(0.33, 0.42), brief.between(0.045, 0.07), warm)
    sky = [palette.shade(0.1), palette.shade(0.32), palette.shade(0.6), palette.shade(0.82)]
    canvas = paint_sky(brief, [s.astype(np.float32) for s in sky], sun)
    far = mix(palette.shade(0.62), palette.shade(0.8), 0.35)
    near = mix(palette.shade(0.0), palette.shade(0.2), 0.3)
    layers = int(brief.rng.integers(6, 9))
    paint_land(brief, canvas, Land(layers, brief.between(0.43, 0.5), False, near, far), sun)
    vignette(canvas, 0.22)
    grain(brief.rng, canvas, 0.010)
    return canvas
