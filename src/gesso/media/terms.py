"""What a plan says of pictures, in this room's own words: the composer tells, since plans are another room's matter."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import TypeVar
from uuid import UUID

from gesso.media.models import Asset, Known

Some = TypeVar("Some", bound=Asset)

TOLD_BEFORE = timedelta(days=7)
"""So long before a picture goes one is told; and so long a term that became stricter takes nothing away."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`marked`: pictures are delivered with the site's mark, and only so. `days`: how long made pictures and films are
    kept after they were asked for; None for good."""

    marked: bool = False
    days: int | None = None


TermsOf = Callable[[str], Terms]
"""The terms of a plan, by its key."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a workspace's pictures are kept: `days` after they were asked for, but not before `earliest`, and not
    before `TOLD_BEFORE` has passed since the admins were told of it."""

    days: int
    earliest: datetime
    now: datetime
    known: Known

    @classmethod
    def of(cls, terms: Terms, known: Known | None, now: datetime) -> "Keeping | None":
        """None where pictures are kept for good. A term nobody has been told of yet, or a stricter one than was
        known, takes nothing away for `TOLD_BEFORE`."""
        if terms.days is None:
            return None
        holds = known if known and known.days == terms.days else Known(terms.days, now)
        since = known.since if known and known.days <= terms.days else now
        return cls(terms.days, since + TOLD_BEFORE, now, holds)

    def until(self, asset: Asset) -> datetime | None:
        """The moment until which it is kept at least; the night after it goes. None: it is kept for good."""
        if asset.source != "generated":
            return None
        return max(asset.made_at + timedelta(days=self.days), self.earliest, told(self.known, asset.id, self.now))

    def day(self, asset: Asset, zone: tzinfo) -> date | None:
        """The same as a reader's date."""
        until = self.until(asset)
        return until.astimezone(zone).date() if until else None


def told(known: Known, asset_id: UUID, now: datetime) -> datetime:
    """Before this moment it may not go: `TOLD_BEFORE` after its mail, where that was not sent yet, from now on."""
    if known.earlier_below and asset_id < known.earlier_below:
        return datetime.min.replace(tzinfo=now.tzinfo)
    return (known.told_at if known.told_at and known.told_below and asset_id < known.told_below else now) + TOLD_BEFORE


def may_go_below(known: Known, now: datetime) -> UUID:
    """What has a lower id was told of long enough ago to go, if it is of age."""
    long_ago = known.told_at is not None and known.told_at + TOLD_BEFORE <= now
    return (known.told_below if long_ago else known.earlier_below) or UUID(int=0)


def opened(asset: Some, terms: Terms) -> Some:
    """The picture as it is delivered under `terms`: its clean file where a mark is not called for any more."""
    clean = asset.clean
    if clean is None or terms.marked:
        return asset
    return replace(
        asset, storage_key=clean.key, sha256=clean.sha256, size_bytes=clean.size_bytes, media_type=clean.media_type,
        clean=None,
    )  # fmt: skip
