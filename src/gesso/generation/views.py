"""A generation as a card among the results: its head, and one tile per picture asked for. Pure."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from gesso.catalog.rules import size_of
from gesso.core.money import Price
from gesso.generation.estimates import ALMOST
from gesso.generation.models import Output
from gesso.generation.rooms import Room, room_for
from gesso.generation.service import Standing
from gesso.media import taken
from gesso.media.models import Asset
from gesso.media.views import media_url, title_of
from gesso.web.render import credits_words
from gesso.web.wording import unit_words

TileState = Literal["pending", "running", "done", "failed", "cancelled"]

JUST_NOW = timedelta(seconds=4)
"""A picture that came within this time fades in."""
GONE = timedelta(seconds=30)
"""After this time a run without any picture is drawn small; before, its boxes keep still under the reader's eyes."""
WIDE = 1.3
"""From this ratio on a picture needs more width to show anything."""
HIGHEST = 52
"""How high a tile gets, in percent of the window (see .run__tiles)."""
_RULES = frozenset({"flagged", "rejected_safety"})


@dataclass(frozen=True, slots=True)
class Image:
    """The picture of a tile, as `components/tile.html` takes it; of a film `src` is the poster, `film` the film."""

    src: str
    srcset: str
    sizes: str
    width: int
    height: int
    alt: str
    blur: str
    film: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture asked for. Its box keeps `ratio` (width ÷ height as asked) in every state.

    While it is made, `percent` is how far it is and `eta` the seconds left.
    """

    id: UUID
    index: int
    state: TileState
    ratio: str
    title: str = ""
    note: str = ""
    icon: str = ""
    percent: int | None = None
    eta: int | None = None
    image: Image | None = None
    favourite: bool = False
    new: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One generation among the results. A `wide` one's tiles take the whole width of a phone; a `quiet` one came
    to nothing a while ago and needs no room for pictures.

    `ratio` (width ÷ height) bounds how wide its tiles grow: a picture is never higher than half the window.
    """

    id: UUID
    room: Room
    prompt: str
    facts: tuple[str, ...]
    at: datetime
    ended: bool
    cols: int
    ratio: str
    wide: bool
    quiet: bool
    tiles: tuple[Tile, ...]
    ready: int
    lost: int
    note: str

    @property
    def count(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True, slots=True)
class Results:
    """A page of runs, newest first. `next_href` leads to older ones."""

    room: Room
    runs: tuple[Run, ...]
    next_href: str
    newest: bool

    @property
    def running(self) -> int:
        """How many of them are not over."""
        return sum(not run.ended for run in self.runs)


def run(standing: Standing, now: datetime) -> Run:
    """The card of one generation."""
    generation = standing.generation
    ratio = _ratio(standing)
    tiles = tuple(_tile(standing, output, ratio, now) for output in standing.outputs)
    return Run(
        id=generation.id,
        room=room_for(generation.kind),
        prompt=" ".join(generation.prompt.split()),
        facts=_facts(standing),
        at=generation.created_at,
        ended=generation.ended,
        cols=columns(len(tiles), ratio),
        ratio=f"{ratio:.4f}",
        wide=_alone_on_phones(len(tiles), ratio),
        quiet=_long_gone(standing, now),
        tiles=tiles,
        ready=sum(tile.state == "done" for tile in tiles),
        lost=sum(tile.state == "failed" for tile in tiles),
        note=_note(standing),
    )


def _ratio(standing: Standing) -> float:
    """The ratio that was asked for, or a film's own once it is there: a film is never cut, and one that starts from
    a picture has that picture's shape."""
    if standing.generation.kind == "video" and standing.assets:
        asset = next(iter(standing.assets.values()))
        return asset.width / asset.height
    return ratio_of(standing.generation.params)


def _note(standing: Standing) -> str:
    """What was done about the pictures, such as another model's help; nothing once none came of it."""
    generation = standing.generation
    return "" if generation.ended and not _delivered_any(standing) else " ".join(generation.warnings)


def _long_gone(standing: Standing, now: datetime) -> bool:
    finished = standing.generation.finished_at
    return finished is not None and now - finished > GONE and not _delivered_any(standing)


def _delivered_any(standing: Standing) -> bool:
    return any(output.state == "delivered" for output in standing.outputs)


def columns(count: int, ratio: float) -> int:
    """How many tiles stand side by side: all, but of wide ones so few that each shows something."""
    if ratio >= WIDE:
        return 3 if count % 3 == 0 else min(count, 2)
    return min(count, 4)


def _alone_on_phones(count: int, ratio: float) -> bool:
    """Whether a picture takes a phone's whole width: half of it would show too little, or leave the rest empty."""
    return ratio >= WIDE or count == 1


def ratio_of(params: Mapping[str, Any]) -> float:
    """Width ÷ height as it was asked for; 1 when the model decides."""
    if pixels := size_of(params.get("size")):
        return pixels[0] / pixels[1]
    width, _, height = str(params.get("aspect_ratio") or "").partition(":")
    if width.isdecimal() and height.isdecimal() and int(height):
        return int(width) / int(height)
    return 1.0


def price_words(price: Price) -> str:
    """ "4 credits", "2 pictures of the plan", both, or "" when it is free."""
    parts = [f"{unit_words(unit, uses)} of the plan" for unit, uses in price.allowances.items() if uses]
    if price.credits:
        parts.append(credits_words(price.credits))
    return " + ".join(parts)


def ordinal(number: int) -> str:
    """1 → "1st", 2 → "2nd", 11 → "11th"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _facts(standing: Standing) -> tuple[str, ...]:
    generation = standing.generation
    params = generation.params
    size = size_of(params.get("size"))
    shape = f"{size[0]:,} × {size[1]:,}" if size else str(params.get("aspect_ratio") or "")
    if generation.kind == "video":
        # from a picture it has that one's shape, whatever was chosen
        shape = "" if generation.inputs else shape
    length = f"{params['duration']} s long" if params.get("duration") else ""
    if generation.own_key and (standing.assets or not generation.ended):
        money = "Own key"
    elif generation.ended:
        money = price_words(standing.charged) or ("Nothing charged" if not standing.assets else "Free")
    else:
        money = f"{price_words(generation.price) or 'Nothing'} held"
    took = ""
    if generation.started_at and generation.finished_at and generation.state == "succeeded":
        took = f"{(generation.finished_at - generation.started_at).total_seconds():.1f} s"
    return tuple(fact for fact in (generation.model_name, shape, length, money, took) if fact)


def _tile(standing: Standing, output: Output, ratio: float, now: datetime) -> Tile:
    shape = f"{ratio:.4f}"
    match output.state:
        case "delivered":
            return _delivered(standing, output, shape, now)
        case "failed":
            return _failed(output, shape)
        case "cancelled":
            held = price_words(Price.of([output.price]))
            note = f"The {held} held {_was(output)} given back." if held else "Nothing was charged."
            return Tile(output.asset_id, output.index, "cancelled", shape, "Cancelled", note, again=True)
    if standing.generation.state == "queued":
        return _waiting(standing, output, shape)
    return _painting(standing, output, shape)


def _was(output: Output) -> str:
    one = output.price.credits == 1_000_000 or sum(output.price.allowances.values()) == 1
    return "was" if one else "were"


def _delivered(standing: Standing, output: Output, shape: str, now: datetime) -> Tile:
    asset = standing.assets.get(output.index)
    if asset is None and output.asset_id in standing.taken_down:
        return Tile(output.asset_id, output.index, "cancelled", shape, "Taken down", taken.SENTENCE)
    if asset is None:
        note = f"You deleted this {room_for(standing.generation.kind).one}."
        return Tile(output.asset_id, output.index, "cancelled", shape, "Deleted", note)
    return Tile(
        output.asset_id, output.index, "done", shape,
        image=_image(asset, standing.generation.count),
        favourite=asset.favourite,
        new=output.finished_at is not None and now - output.finished_at < JUST_NOW,
    )  # fmt: skip


def _failed(output: Output, shape: str) -> Tile:
    sentence = output.error_message or "It could not be made."
    stopped = output.error_code in _RULES
    return Tile(
        output.asset_id, output.index, "failed", shape,
        title="Stopped by the rules" if stopped else "Not delivered",
        note=sentence if "Nothing was charged." in sentence else f"{sentence} Nothing was charged.",
        icon="shield" if stopped else "triangle-alert",
        again=True,
    )  # fmt: skip


def _waiting(standing: Standing, output: Output, shape: str) -> Tile:
    place = standing.queue_position or 1
    title = "Next in the queue" if place == 1 else f"{ordinal(place)} in the queue"
    note = f"ready in about {standing.eta_seconds} s" if standing.eta_seconds else "starts soon"
    return Tile(output.asset_id, output.index, "pending", shape, title, note, eta=standing.eta_seconds)


def _painting(standing: Standing, output: Output, shape: str) -> Tile:
    """All that are under way began together, so what is known of the whole tells how far each is."""
    ended = sum(one.state != "pending" for one in standing.outputs)
    count = len(standing.outputs)
    share = (standing.progress * count - ended) / max(count - ended, 1)
    share = min(max(share, 0.0), ALMOST)
    percent = round(share * 100)
    title = "Making the video" if standing.generation.kind == "video" else "Painting"
    if share >= ALMOST:
        return Tile(output.asset_id, output.index, "running", shape, title, "taking longer than usual", percent=percent)
    note = f"{percent} % · about {standing.eta_seconds} s left"
    return Tile(output.asset_id, output.index, "running", shape, title, note, percent=percent, eta=standing.eta_seconds)


def _image(asset: Asset, count: int) -> Image:
    longest = max(asset.width, asset.height)
    sources: dict[int, str] = {}
    for side in (320, 640, 1280):
        width = max(1, round(asset.width * min(side, longest) / longest))
        sources.setdefault(width, f"{media_url(asset.id, side)} {width}w")
    ratio = asset.width / asset.height
    phone = "92vw" if _alone_on_phones(count, ratio) else "46vw"
    side_by_side = f"{round(64 / columns(count, ratio))}vw"
    return Image(
        src=media_url(asset.id, 640),
        srcset=", ".join(sources.values()),
        sizes=f"(max-width: 767px) {phone}, min({side_by_side}, {round(HIGHEST * ratio)}vh)",
        width=asset.width,
        height=asset.height,
        alt=title_of(asset),
        blur=b64encode(asset.thumbhash).decode(),
        film=media_url(asset.id) if asset.kind == "video" else "",
    )


def results(
    standings: Sequence[Standing], following: UUID | None, now: datetime, room: Room, *, newest: bool
) -> Results:
    """A page of a room's runs."""
    href = f"{room.path}?before={following}" if following else ""
    return Results(room, tuple(run(standing, now) for standing in standings), href, newest)
