"""Whether white text can be read on an edition's accent. Pure.

The stylesheet derives every colour from the edition's few (`web/styles/base.css`); white stands on
`primary_hover` and on the main button's gradient, whose end is
`color-mix(in oklab, secondary 86%, black)`.
"""

import re
from collections.abc import Iterator, Mapping

COLOURS = (
    "background", "surface", "primary", "primary_hover", "secondary", "text", "muted", "border",
)  # fmt: skip
LEAST_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, for text of normal size."""
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_GRADIENT_SHARE = 0.86

Rgb = tuple[float, float, float]


def problems(colours: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name of the colour, reason) for each that cannot be used."""
    bad = {name for name, value in colours.items() if not _HEX.fullmatch(value)}
    for name in sorted(bad):
        yield name, f"“{colours[name]}” is not a colour; write it as #rrggbb"
    if "primary_hover" in colours and "primary_hover" not in bad:
        contrast = _contrast_with_white(_linear(colours["primary_hover"]))
        if contrast < LEAST_CONTRAST:
            yield "primary_hover", _too_pale(colours["primary_hover"], contrast)
    if "secondary" in colours and "secondary" not in bad:
        contrast = _contrast_with_white(_towards_black(_linear(colours["secondary"]), _GRADIENT_SHARE))
        if contrast < LEAST_CONTRAST:
            yield "secondary", _too_pale(colours["secondary"], contrast)


def _too_pale(colour: str, contrast: float) -> str:
    return (
        f"{colour} is too pale for white text: contrast {contrast:.1f}, and it takes {LEAST_CONTRAST}; "
        "choose a darker one"
    )


def _linear(colour: str) -> Rgb:
    """Linear-light sRGB, each part 0 … 1."""
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return _decode(red), _decode(green), _decode(blue)


def _decode(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _contrast_with_white(colour: Rgb) -> float:
    """WCAG's contrast ratio against white."""
    luminance = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    return 1.05 / (luminance + 0.05)


def _towards_black(colour: Rgb, share: float) -> Rgb:
    """`color-mix(in oklab, colour share, black)` in linear light.

    Black is the origin of OKLab, so mixing scales all three coordinates; OKLab is the cube root of a linear
    map of linear light, so scaling it by `share` scales linear light by the cube of `share`.
    """
    factor = share**3
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
