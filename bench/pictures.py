"""(f) Taking pictures in, against the encoder that makes the same thumbnails and nothing else. One core."""

import io
import time
from collections.abc import Callable

from PIL import Image

from bench.report import Row
from gesso.media import ingest
from gesso.media.ingest import THUMB_SIDES
from gesso.sandbox.painter import encode, paint

RECIPES = ("dunes", "glass", "paper", "ink")
"""Soft, smooth, flat and grainy: encoders take different times over them."""
SIDE = 1024


def ingested(*, seconds: float) -> list[Row]:
    """Pictures a second through `ingest.prepare` ÷ through Pillow alone, in turns over the same pictures."""
    pictures = [paint("calm light", seed=7, width=SIDE, height=SIDE, recipe=recipe) for recipe in RECIPES]
    files = [encode(picture, "jpeg") for picture in pictures]
    ready = [_thumbs(data) for data in files]
    rates = {"ingest": 0.0, "plain": 0.0, "encoder": 0.0}
    rounds = 3
    for _ in range(rounds):
        rates["ingest"] += _rate(lambda i: ingest.prepare(files[i]), seconds / 9)
        rates["plain"] += _rate(lambda i: [_encode(thumb) for thumb in _thumbs(files[i])], seconds / 9)
        rates["encoder"] += _rate(lambda i: [_encode(thumb) for thumb in ready[i]], seconds / 9)
    found = {name: total / rounds for name, total in rates.items()}
    note = (
        f"{found['ingest']:.1f} ÷ {found['encoder']:.1f} a second and core; {SIDE}² JPEG, thumbnails scaled beforehand"
    )
    plain = f"{found['plain']:.1f} a second: Pillow decodes, scales and encodes, without checks, hash and blur"
    return [
        Row("pictures taken in ÷ the bare encoder", found["ingest"] / found["encoder"], "", 0.6, 0.8, note=note),
        Row("pictures taken in ÷ plain Pillow", found["ingest"] / found["plain"], note=plain),
    ]


def _thumbs(data: bytes) -> list[Image.Image]:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    found = []
    for side in THUMB_SIDES:
        thumb = picture.copy()
        thumb.thumbnail((side, side), Image.Resampling.BICUBIC)
        found.append(thumb)
    return [thumb for number, thumb in enumerate(found) if thumb.size not in {other.size for other in found[:number]}]


def _encode(thumb: Image.Image) -> bytes:
    buffer = io.BytesIO()
    thumb.save(buffer, "WEBP", quality=ingest._THUMB_QUALITY, method=ingest._THUMB_EFFORT)
    return buffer.getvalue()


def _rate(work: Callable[[int], object], seconds: float) -> float:
    begun, done = time.process_time(), 0
    while time.process_time() - begun < seconds:
        work(done % len(RECIPES))
        done += 1
    return done / (time.process_time() - begun)
