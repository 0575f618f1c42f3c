"""The site's visible mark on pictures: its name in a small dark pill at the lower right, legible on light and dark.

Pure and heavy, as `ingest`. Drawn once on the decoded picture, of which the thumbnails are made as well, so that a
marked picture costs one encoding more than another. Films get the same mark on every frame: `marked_film`.
"""

import io
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(__file__).parent.parent / "web" / "static" / "dist"
_FONT = "inter-latin-wght-normal-*.woff2"
_WEIGHT = 600
_LONGEST = 40

_TEXT_SHARE, _TEXT_LEAST = 0.034, 10
"""Height of the letters' body, as a share of the shorter side and in pixels."""
_WIDEST = 0.6
"""Share of the picture's width that the mark takes at most."""
_PILL, _INK = (10, 10, 14, 140), (255, 255, 255, 235)


def draw(picture: Image.Image, words: str) -> Image.Image:
    """A copy of `picture` (RGB or RGBA) with the mark. `words`: the site's name; what the font lacks is left out."""
    pill, (left, top) = placed(picture.size, words)
    marked = picture.copy()
    box = marked.crop((left, top, min(marked.width, left + pill.width), min(marked.height, top + pill.height)))
    pill = pill.crop((0, 0, *box.size))
    marked.paste(Image.alpha_composite(box.convert("RGBA"), pill).convert(marked.mode), (left, top))
    marked.info = dict(picture.info)
    return marked


def placed(size: tuple[int, int], words: str) -> tuple[Image.Image, tuple[int, int]]:
    """The mark for a picture of `size` (width, height), as RGBA without a hue, and where its left upper corner goes.
    In the smallest pictures it reaches over the edge."""
    words = " ".join("".join(c for c in words if c.isprintable() and ord(c) < 0x250).split())[:_LONGEST] or "AI"
    letters = max(_TEXT_LEAST, round(min(size) * _TEXT_SHARE))
    font = _font(letters)
    while letters > 4 and font.getlength(words) > size[0] * _WIDEST:
        letters = max(4, int(letters * 0.85))
        font = _font(letters)
    pill = _pill(words, font, letters)
    margin = max(1, round(letters * 0.8))
    return pill, (max(0, size[0] - pill.width - margin), max(0, size[1] - pill.height - margin))


def _pill(words: str, font: ImageFont.FreeTypeFont, size: int) -> Image.Image:
    """The mark itself. Drawn four times as large and made smaller, since rounded corners are not smoothed."""
    width, height = round(font.getlength(words) + size * 1.3), round(size * 1.9)
    large = Image.new("L", (width * 4, height * 4))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width * 4 - 1, height * 4 - 1), height * 2, fill=_PILL[3])
    pill = Image.new("RGBA", (width, height), _PILL[:3])
    pill.putalpha(large.resize((width, height), Image.Resampling.BOX))
    ink = Image.new("RGBA", (width, height), (*_INK[:3], 0))
    ImageDraw.Draw(ink).text((width / 2, height / 2), words, font=font, fill=_INK, anchor="mm")
    return Image.alpha_composite(pill, ink)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The product's own typeface, or the library's where the styles were not built."""
    for path in sorted(_FONTS.glob(_FONT)):
        font = ImageFont.truetype(path, size)
        font.set_variation_by_axes([_WEIGHT])
        return font
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    return built_in


def encode(picture: Image.Image, media_type: str, *, lossless: bool) -> tuple[str, bytes]:
    """(media type, bytes) of a marked picture: as it came, but JPEG or PNG instead of AVIF, which takes seconds."""
    profile = picture.info.get("icc_profile") or None
    out = io.BytesIO()
    if media_type == "image/webp":
        picture.save(out, "WEBP", quality=92, method=2, lossless=lossless, icc_profile=profile)
    elif media_type == "image/png" or "A" in picture.getbands():
        media_type = "image/png"
        picture.save(out, "PNG", compress_level=3, icc_profile=profile)
    else:
        media_type = "image/jpeg"
        picture.convert("RGB").save(out, "JPEG", quality=93, subsampling=0, icc_profile=profile)
    return media_type, out.getvalue()
