"""An edition's name and colours, as the pages need them.

The stylesheet derives every tone from nine colours (see styles/tokens.css). They are served as one rule,
`/brand.css`, after the stylesheet: the Content-Security-Policy allows no inline style.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gesso.core.errors import InvalidInput

# WCAG 2.2, 1.4.3: text against what it stands on.
MINIMUM_CONTRAST = 4.5

DEFAULTS = {
    "bg": "#0a0a0f",
    "surface": "#1a1a24",
    "border": "#2d2d3d",
    "primary": "#8b5cf6",
    "primary-hover": "#7c3aed",
    "secondary": "#ec4899",
    "text": "#ffffff",
    "muted": "#9ca3af",
    "radius": "8px",
}
_OTHER_NAMES = {"background": "bg"}
"""What editions call a colour otherwise than the stylesheet."""

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_RADIUS = re.compile(r"(?:\d|1\d|2[0-4])(?:\.\d+)?px")

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Brand:
    """What a page says and wears: the product's name, a line under it, its colours."""

    name: str = "gesso"
    tagline: str = "Pictures for products, people and ideas"
    colours: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Changes with the colours; part of the stylesheet's address, so that it may be cached for long."""
        return hashlib.sha256(repr(sorted(self.colours.items())).encode()).hexdigest()[:8]


def brand_css(colours: Mapping[str, str]) -> str:
    """The rule that sets an edition's colours.

    `colours` maps names of `DEFAULTS` (underscores are fine) to #rgb or #rrggbb, `radius` to 0–24 px.
    What is left out keeps the stylesheet's value. Colours that would make text unreadable are corrected,
    and the correction is written into the sheet as a comment; `corrections` gives the same sentences.
    Raises InvalidInput naming the entries that are unknown or malformed.
    """
    values, notes = _resolve(colours)
    lines = [f"/* {note} */\n" for note in notes]
    lines.append(":root{" + "".join(f"--e-{name}:{value};" for name, value in values.items()) + "}\n")
    return "".join(lines)


def brand_svg(colours: Mapping[str, str]) -> str:
    """The product's mark in the edition's colours, as a picture of its own: for tabs and home screens."""
    full = DEFAULTS | _resolve(colours)[0]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28"><defs><linearGradient id="g" x1="0" y1="0" x2="1" '
        f'y2="1"><stop stop-color="{full["primary"]}"/><stop offset="1" stop-color="{full["secondary"]}"/>'
        '</linearGradient></defs><rect width="28" height="28" rx="8" fill="url(#g)"/><path d="M19.5 9.3A7 7 0 1 0 21 '
        '14h-6.2" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


def manifest(brand: Brand) -> dict[str, Any]:
    """The web app manifest (W3C): how the product stands on a home screen."""
    full = DEFAULTS | _resolve(brand.colours)[0]
    return {
        "name": brand.name, "short_name": brand.name, "description": brand.tagline, "id": "/", "start_url": "/create",
        "scope": "/", "display": "standalone", "background_color": full["bg"], "theme_color": full["bg"],
        "icons": [{"src": f"/brand.svg?v={brand.version}", "type": "image/svg+xml", "sizes": "any"}],
    }  # fmt: skip


def corrections(colours: Mapping[str, str]) -> tuple[str, ...]:
    """What `brand_css` changes in `colours`, one sentence each, for the operator's log."""
    return _resolve(colours)[1]


def _resolve(colours: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    values = _validated(colours)
    full = DEFAULTS | values
    notes: list[str] = []

    def correct(name: str, fixed: str, why: str) -> None:
        if fixed != full[name]:
            notes.append(f"{name} {full[name]} became {fixed}: {why}.")
            values[name] = full[name] = fixed

    hover = _step(full["primary-hover"], _BLACK, lambda rgb: contrast(_WHITE, rgb))
    correct("primary-hover", hover, "white words on it must reach 4.5:1")
    # the main button's gradient ends in secondary with 14 % black (styles/tokens.css)
    secondary = _step(full["secondary"], _BLACK, lambda rgb: contrast(_WHITE, _mix(rgb, _BLACK, 0.14)))
    correct("secondary", secondary, "white words on the main button's end must reach 4.5:1")
    surface = _rgb(full["surface"])
    for name in ("text", "muted"):
        lighter = _step(full[name], _WHITE, lambda rgb: contrast(rgb, surface))
        correct(name, lighter, "words on a card must reach 4.5:1")
    return values, tuple(notes)


def _validated(colours: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    for given, value in colours.items():
        name = _OTHER_NAMES.get(given, given.replace("_", "-"))
        if name not in DEFAULTS:
            problems[given] = f"Not a colour; there are {', '.join(DEFAULTS)}."
        elif name == "radius":
            if not _RADIUS.fullmatch(value):
                problems[given] = "Give pixels between 0px and 24px, such as 8px."
        elif not _HEX.fullmatch(value):
            problems[given] = "Give a colour as #rrggbb."
        values[name] = value.lower()
    if problems:
        raise InvalidInput("The edition's colours cannot be used.", fields=problems)
    return values


def contrast(one: Rgb, other: Rgb) -> float:
    """WCAG contrast of two sRGB colours (channels 0–1), from 1 to 21."""
    first, second = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


_BLACK: Rgb = (0.0, 0.0, 0.0)
_WHITE: Rgb = (1.0, 1.0, 1.0)


def _step(colour: str, towards: Rgb, measure: Callable[[Rgb], float]) -> str:
    """`colour`, mixed with as much of `towards` as `measure` needs to reach the minimum."""
    start = _rgb(colour)
    if measure(start) >= MINIMUM_CONTRAST:
        return colour
    for percent in range(1, 101):
        # the rounded colour is what browsers get, so it is what must pass
        mixed = _hex(_mix(start, towards, percent / 100))
        if measure(_rgb(mixed)) >= MINIMUM_CONTRAST:
            return mixed
    return _hex(towards)


def _rgb(colour: str) -> Rgb:
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def _hex(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(min(1.0, max(0.0, channel)) * 255):02x}" for channel in rgb)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    channel = max(0.0, channel)
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _luminance(rgb: Rgb) -> float:
    red, green, blue = (_linear(channel) for channel in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """CSS color-mix(in oklab, one, other <share>), as Björn Ottosson's Oklab defines it."""
    first, second = _oklab(one), _oklab(other)
    lightness, a, b = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _gamma(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _gamma(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _gamma(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _oklab(rgb: Rgb) -> Rgb:
    red, green, blue = (_linear(channel) for channel in rgb)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
