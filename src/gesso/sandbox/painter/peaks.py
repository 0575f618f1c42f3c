"""Mountain ranges fading into haze."""

from gesso.sandbox.painter.brief import Brief, grain, vignette
from gesso.sandbox.painter.colour import Array, mix, rgb
from gesso.sandbox.painter.landscape import Land, Sun, paint_land, paint_sky


def paint_peaks(brief: Brief) -> Array:
    palette = brief.palette
    pale = mix(palette.shade(1.0), rgb("#fff6df"), 0.5)
    sun = Sun(brief.between(0.22, 0.78), brief.between(0.28, 0.38), brief.between(0.04, 0.06), pale)
    sky = [palette.shade(0.06), palette.shade(0.34), palette.shade(0.72), palette.shade(0.95)]
    canvas = paint_sky(brief, sky, sun)
    far = mix(palette.shade(0.62), palette.shade(0.8), 0.4)
    near = palette.shade(0.0) * 0.85
    layers = int(brief.rng.integers(7, 10))
    paint_land(brief, canvas, Land(layers, brief.between(0.40, 0.48), True, near, far), sun)
    vignette(canvas, 0.22)
    grain(brief.rng, canvas, 0.009)
    return canvas
