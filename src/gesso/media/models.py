"""What a picture is to the rest of the product, and which pictures are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, Self
from uuid import UUID

Kind = Literal["image", "video"]
Source = Literal["generated", "upload"]

Reason = Literal["person", "retention", "unused", "taken_down", "orphan", "sample"]
"""Why something was deleted: a person wanted it, the plan keeps it no longer, an upload served nothing, an operator
took it down, a file had no row, an operator's sample was shown nowhere any more."""

_LOWEST, _HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Clean:
    """The file as it was made, behind a delivered one with the site's mark. `sha256` has 32 bytes."""

    key: str
    sha256: bytes
    size_bytes: int
    media_type: str

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "sha256": self.sha256.hex(), "bytes": self.size_bytes, "media_type": self.media_type}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        return cls(found["key"], bytes.fromhex(found["sha256"]), found["bytes"], found["media_type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAsset:
    """A file that was stored and shall become a row. Meanings as in `Asset`."""

    id: UUID
    user_id: UUID | None
    storage_key: str
    sha256: bytes
    media_type: str
    size_bytes: int
    width: int
    height: int
    thumbhash: bytes
    kind: Kind = "image"
    source: Source = "generated"
    duration_ms: int | None = None
    generation_id: UUID | None = None
    output_index: int | None = None
    prompt: str = ""
    negative_prompt: str | None = None
    model_key: str | None = None
    model_name: str | None = None
    seed: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    charged: Mapping[str, Any] | None = None
    took_ms: int | None = None
    clean: Clean | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset(NewAsset):
    """One picture of a workspace.

    `id` is a UUIDv7 whose time is when it was asked for; `created_at` is when it arrived. `width` and `height` in
    pixels, upright; `duration_ms` for videos; `charged` is an output's price as JSON (`{"credits": "1"}` or
    `{"credits": "0", "allowances": {"image": 1}}`); `took_ms` from hand-over to arrival; `params` what was asked
    besides prompt and model. `clean` is there where the file delivered so far carries the site's mark: what may be
    handed out is decided by `terms.opened`, and by nothing else.
    """

    workspace_id: UUID
    favourite: bool
    created_at: datetime
    used_at: datetime | None
    deleted_at: datetime | None

    @property
    def made_at(self) -> datetime:
        """The moment in the id: what the gallery is ordered and grouped by."""
        return datetime.fromtimestamp((self.id.int >> 80) / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of a workspace's pictures. `since` is inclusive, `until` exclusive, both by `made_at`."""

    q: str = ""
    kind: Kind | None = None
    model: str | None = None
    favourite: bool = False
    source: Source | None = "generated"
    since: datetime | None = None
    until: datetime | None = None

    def bounds(self) -> tuple[UUID, UUID]:
        """`since` and `until` as ids, both exclusive: an id carries its time, so a date is a range of the index."""
        low = UUID(int=max(first_id(self.since).int - 1, 0)) if self.since else _LOWEST
        high = first_id(self.until) if self.until else _HIGHEST
        return low, high


@dataclass(frozen=True, slots=True)
class Usage:
    """What a workspace keeps: made pictures and videos, and bytes of everything. The bin is not counted."""

    pictures: int
    videos: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Known:
    """Since when a workspace is known to keep what it makes for so many days, and what its admins were told of.

    All that has a lower id than `told_below` was told of by `told_at` at the latest, what is below `earlier_below` by
    an earlier mail. None: of nothing yet, under this term.
    """

    days: int
    since: datetime
    told_at: datetime | None = None
    told_below: UUID | None = None
    earlier_below: UUID | None = None


@dataclass(frozen=True, slots=True)
class Going:
    """How many made pictures and videos come of age within a week, counted up to a limit; and what is known of the
    term."""

    count: int
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """What is said above a gallery. `models` as (key, name) by name; `months` as (first day, how many), newest first.

    Months are those of UTC, and count what `Usage` counts as pictures and videos. `going`: what is below the id that
    was asked about.
    """

    usage: Usage
    models: tuple[tuple[str, str], ...]
    months: tuple[tuple[date, int], ...]
    going: Going = Going(0)


@dataclass(frozen=True, slots=True)
class Around:
    """A picture and its neighbours under some filters, nearest first on both sides.

    `position` counts from 1 at the newest and `total` is how many there are. Both are None for text search;
    `position` beyond `repository.COUNT_LIMIT`, `total` beyond it unless nothing filters.
    """

    asset: Asset
    newer: tuple[Asset, ...]
    older: tuple[Asset, ...]
    position: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A row whose files are to be removed, and why. `keys`: all of its files."""

    id: UUID
    workspace_id: UUID
    reason: Reason
    keys: tuple[str, ...]
    deleted_at: datetime


def first_id(moment: datetime) -> UUID:
    """The lowest id of a moment; all that was made before it has a lower one. Never below zero."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)
