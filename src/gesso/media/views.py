"""What JSON and pages see of a picture."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import gcd
from typing import Any
from uuid import UUID

from gesso.core.money import parse_credits
from gesso.media.ingest import THUMB_SIDES
from gesso.media.models import Asset, Kind
from gesso.web.render import bytes_text, credits_words
from gesso.web.wording import title, unit_words, word

_EXTENSIONS = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif", "video/mp4": "mp4",
    "video/webm": "webm",
}  # fmt: skip
_TYPE_NAMES = {
    "image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/avif": "AVIF", "video/mp4": "MP4",
    "video/webm": "WebM",
}  # fmt: skip


MARKED = "marked"
"""In the address of a picture with the site's mark: this file is meant, whatever the plan is by now."""


def media_url(asset_id: UUID, variant: str | int = "original", base: str = "") -> str:
    """The stable address of one file, under `base` (an origin without trailing slash, or "" for a path)."""
    return f"{base}/media/{asset_id}/{variant}"


def _shown(asset: Asset, variant: str | int) -> str:
    """Where a page finds a file that browsers may keep: with the site's mark, as long as there is a clean one."""
    return media_url(asset.id, variant) + (f"?{MARKED}" if asset.clean is not None else "")


def asset_json(asset: Asset, base: str = "") -> dict[str, Any]:
    """The frozen JSON shape of an asset.

    `url` and `thumbnails` are stable addresses that need the session's cookie; paths unless `base` is given.
    `thumbhash` is base64; `charged` the price of this one output; times are ISO 8601 in UTC; `seed` a number.
    """
    return {
        "id": str(asset.id),
        "kind": asset.kind,
        "url": media_url(asset.id, base=base),
        "thumbnails": {str(side): media_url(asset.id, side, base) for side in THUMB_SIDES},
        "width": asset.width,
        "height": asset.height,
        "media_type": asset.media_type,
        "size_bytes": asset.size_bytes,
        "seed": asset.seed,
        "duration_ms": asset.duration_ms,
        "thumbhash": b64encode(asset.thumbhash).decode(),
        "source": asset.source,
        "generation_id": str(asset.generation_id) if asset.generation_id else None,
        "prompt": asset.prompt,
        "negative_prompt": asset.negative_prompt,
        "model": asset.model_key,
        "model_name": asset.model_name,
        "params": dict(asset.params),
        "charged": dict(asset.charged) if asset.charged is not None else None,
        "took_ms": asset.took_ms,
        "favourite": asset.favourite,
        "created_at": asset.created_at.isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in the grid. `ratio` is width ÷ height; `blur` a ThumbHash in base64; `length` a film's, "0:04"."""

    id: UUID
    alt: str
    href: str
    src: str
    small: str
    srcset: str
    sizes: str
    width: int
    height: int
    ratio: str
    blur: str
    favourite: bool
    length: str


@dataclass(frozen=True, slots=True)
class Day:
    """Pictures of one day. `count` is all of that day, not just of this page; "" when it was not counted."""

    key: str
    title: str
    count: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture or film in the lightbox. `glow` is small: it is blurred to light behind the picture. Of a film `src`
    is the poster, `full` the film itself, and `length` how long it plays, "0:04"."""

    id: UUID
    alt: str
    glow: str
    src: str
    srcset: str
    full: str
    download: str
    width: int
    height: int
    blur: str
    favourite: bool
    generated: bool
    prompt: str
    negative_prompt: str | None
    facts: tuple[tuple[str, ...], ...]
    created_at: datetime
    length: str


def title_of(asset: Asset) -> str:
    """A short name for a picture: how its prompt begins."""
    words = " ".join(asset.prompt.split())
    if not words:
        if asset.kind == "video":
            return "Video without a prompt"
        return f"Uploaded {word('picture')}" if asset.source == "upload" else f"{title('picture')} without a prompt"
    first = words.split(",")[0].split(". ")[0]
    name = first if 8 <= len(first) <= 60 else words
    return name if len(name) <= 60 else name[:60].rsplit(" ", 1)[0].rstrip(" ,;:-") + "…"


def things(kinds: Mapping[Kind, int]) -> str:
    """A number of pictures and videos in words: "1 picture", "3 pictures and 1 video"; "Nothing" for none."""
    shown: tuple[Kind, ...] = ("image", "video")
    parts = [unit_words(kind, kinds[kind]) for kind in shown if kinds.get(kind)]
    return " and ".join(parts) or "Nothing"


def file_name(asset: Asset) -> str:
    """A friendly name for the downloaded file: words of the prompt, then enough of the id to be one of its kind."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in asset.prompt.casefold()).split()
    while len("-".join(words)) > 48 and len(words) > 1:
        words.pop()
    stem = "-".join(words)[:48] or asset.source
    return f"{stem}-{asset.id.hex[-8:]}.{_EXTENSIONS.get(asset.media_type, 'bin')}"


def tile(asset: Asset, query: str) -> Tile:
    """`query` carries the gallery's filters ("?…" or "")."""
    ratio = asset.width / asset.height
    # The rows are 236 px high, 150 on phones, and stretch a little to fill the width.
    sizes = f"(max-width: 767px) {round(165 * ratio)}px, {round(255 * ratio)}px"
    return Tile(
        id=asset.id,
        alt=title_of(asset),
        href=f"/gallery/{asset.id}{query}",
        src=_shown(asset, 640),
        small=_shown(asset, 320),
        srcset=_srcset(asset, (320, 640, 1280)),
        sizes=sizes,
        width=asset.width,
        height=asset.height,
        ratio=f"{ratio:.4f}",
        blur=b64encode(asset.thumbhash).decode(),
        favourite=asset.favourite,
        length=length_of(asset),
    )


def length_of(asset: Asset) -> str:
    """How long a film plays: "0:04", "12:30"; "" for a picture."""
    if asset.kind != "video" or asset.duration_ms is None:
        return ""
    minutes, seconds = divmod(max(round(asset.duration_ms / 1000), 1), 60)
    return f"{minutes}:{seconds:02d}"


def picture(asset: Asset, until: str = "") -> Picture:
    """Everything the lightbox says about an asset. `until`: the day until which it is kept, "" for good."""
    return Picture(
        id=asset.id,
        alt=title_of(asset),
        glow=_shown(asset, 320),
        src=_shown(asset, 1280),
        srcset=_srcset(asset, (640, 1280)),
        full=media_url(asset.id),
        download=f"{media_url(asset.id)}?download=1",
        width=asset.width,
        height=asset.height,
        blur=b64encode(asset.thumbhash).decode(),
        favourite=asset.favourite,
        generated=asset.source == "generated",
        prompt=asset.prompt,
        negative_prompt=asset.negative_prompt,
        facts=(*_facts(asset), *((("Kept until", until),) if until else ())),
        created_at=asset.created_at,
        length=length_of(asset),
    )


def _srcset(asset: Asset, sides: Sequence[int]) -> str:
    """Widths as they really are: a variant's longer side is its name, or the picture's own if that is less."""
    longest = max(asset.width, asset.height)
    sources: dict[int, str] = {}
    for side in sides:
        width = max(1, round(asset.width * min(side, longest) / longest))
        sources.setdefault(width, f"{_shown(asset, side)} {width}w")
    return ", ".join(sources.values())


def _facts(asset: Asset) -> tuple[tuple[str, ...], ...]:
    """What is known of an asset as (name, value) or (name, value, class) rows."""
    params = asset.params
    facts: tuple[tuple[str, ...], ...] = (
        ("Model", asset.model_name or asset.model_key or ""),
        ("Size", f"{asset.width:,} × {asset.height:,}{_shape(asset.width, asset.height)}"),
        ("Length", f"{asset.duration_ms / 1000:g} s" if asset.duration_ms else ""),
        ("Quality", _word(params.get("quality"))),
        ("Seed", str(asset.seed) if asset.seed is not None else "", "mono"),
        ("Steps", _number(params.get("steps") or params.get("num_inference_steps"))),
        ("Guidance", _number(params.get("guidance") or params.get("guidance_scale"))),
        ("Time", f"{asset.took_ms / 1000:.1f} s" if asset.took_ms is not None else ""),
        ("Cost", cost_words(asset.charged) if asset.charged is not None else ""),
        ("File", f"{_TYPE_NAMES.get(asset.media_type, asset.media_type)}, {bytes_text(asset.size_bytes)}"),
    )
    return tuple(fact for fact in facts if fact[1])


def cost_words(charged: Mapping[str, Any]) -> str:
    """One output's price in words: "1 credit", "0.5 credits", "1 image of the plan", "Own key", "Free"."""
    if charged.get("own_key"):
        return "Own key"
    allowances: Mapping[str, int] = charged.get("allowances") or {}
    parts = [f"{unit_words(unit, uses)} of the plan" for unit, uses in allowances.items() if uses]
    if credits := parse_credits(str(charged.get("credits", "0"))):
        parts.append(credits_words(credits))
    return " + ".join(parts) or "Free"


def day_title(day: date, today: date) -> str:
    """ "Today", "Yesterday", "Monday, 11 May", and with the year when it is another."""
    if day == today:
        return "Today"
    if (today - day).days == 1:
        return "Yesterday"
    words = f"{day:%A}, {day.day} {day:%B}"
    return words if day.year == today.year else f"{words} {day.year}"


def _shape(width: int, height: int) -> str:
    """ " · 3:4" where the ratio is one that people name."""
    for across, down in ((1, 1), (4, 3), (3, 2), (16, 9), (21, 9), (2, 1), (5, 4)):
        for w, h in ((across, down), (down, across)):
            if abs(width / height - w / h) < 0.01 * w / h:
                return f" · {w}:{h}"
    divisor = gcd(width, height)
    small = max(width, height) // divisor <= 32
    return f" · {width // divisor}:{height // divisor}" if small else ""


def _word(value: Any) -> str:
    return str(value).replace("_", " ").capitalize() if value else ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
