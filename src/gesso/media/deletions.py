"""The report of every deletion: how much went, on which of the site's days, of whom and why."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import astuple, dataclass
from datetime import date, datetime
from uuid import UUID

from gesso.db import Database, ElevatedSession
from gesso.media.models import Reason

_SUMS = ", ".join(
    f"sum({name})::bigint AS {name}" for name in ("pictures", "videos", "uploads", "files", "bytes")
)  # fmt: skip


Owner = tuple[UUID | None, Reason]
"""Whose something was, None for nobody's, and why it went."""


@dataclass(frozen=True, slots=True)
class Count:
    """What went: rows by what they were, files, and bytes (of rows their originals', of other files their own)."""

    pictures: int = 0
    videos: int = 0
    uploads: int = 0
    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rows(self) -> int:
        """Pictures, videos and uploads together."""
        return self.pictures + self.videos + self.uploads


@dataclass(frozen=True, slots=True)
class Line:
    """Of one day and reason, in `workspaces` workspaces."""

    day: date
    reason: Reason
    workspaces: int
    count: Count


@dataclass(frozen=True, slots=True)
class Owned:
    """Of one day, reason and workspace. `workspace_id`: None for files of nobody; `name`: "" once it is gone."""

    day: date
    reason: Reason
    workspace_id: UUID | None
    name: str
    count: Count


@dataclass(frozen=True, slots=True)
class Stored:
    """What a workspace keeps; `bytes` of the files people get, without thumbnails and without what is in the bin."""

    workspace_id: UUID
    name: str
    pictures: int
    videos: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A picture whose file is not in the store. Nothing is deleted for it: the file may come back from a backup."""

    asset_id: UUID
    workspace: str
    key: str
    found_at: datetime


async def record(tx: ElevatedSession, day: date, counts: Mapping[Owner, Count]) -> None:
    """Add to the report, in the transaction that removes the rows."""
    lines = sorted(counts.items(), key=lambda line: (str(line[0][0]), line[0][1]))  # whoever else adds, waits in turn
    if not lines:
        return
    await tx.execute_raw(
        "INSERT INTO media_deletion AS d (day, workspace_id, reason, pictures, videos, uploads, files, bytes) "
        "SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], "
        "$8::bigint[]) ON CONFLICT ON CONSTRAINT media_deletion_day_key DO UPDATE SET "
        "pictures = d.pictures + excluded.pictures, videos = d.videos + excluded.videos, "
        "uploads = d.uploads + excluded.uploads, files = d.files + excluded.files, bytes = d.bytes + excluded.bytes",
        day, [owner for (owner, _), _ in lines], [reason for (_, reason), _ in lines],
        *([astuple(count)[place] for _, count in lines] for place in range(5)),
    )  # fmt: skip


async def days(tx: ElevatedSession, before: date | None, limit: int) -> list[Line]:
    """The lines of up to `limit` days before a day, newest first."""
    rows = await tx.fetch(
        f"SELECT day, reason, count(workspace_id) AS workspaces, {_SUMS} FROM media_deletion WHERE day IN ("
        "SELECT DISTINCT day FROM media_deletion WHERE $1::date IS NULL OR day < $1 ORDER BY day DESC LIMIT $2) "
        "GROUP BY day, reason ORDER BY day DESC, reason",
        before, limit,
    )  # fmt: skip
    return [Line(row["day"], row["reason"], row["workspaces"], _count(row)) for row in rows]


async def every(db: Database, since: date) -> AsyncIterator[list[Owned]]:
    """The whole report from a day on, oldest first, a day at a time."""
    after: date | None = None
    while True:
        async with db.elevated("operator: the report of deletions") as tx:
            day = await tx.fetchval(
                "SELECT min(day) FROM media_deletion WHERE day >= $1 AND ($2::date IS NULL OR day > $2)", since, after
            )
            if day is None:
                return
            rows = await tx.fetch(
                "SELECT d.*, coalesce(w.name, '') AS name FROM media_deletion d "
                "LEFT JOIN workspace w ON w.id = d.workspace_id WHERE d.day = $1 ORDER BY reason, d.workspace_id",
                day,
            )
        after = day
        yield [Owned(row["day"], row["reason"], row["workspace_id"], row["name"], _count(row)) for row in rows]


async def stored(tx: ElevatedSession, limit: int) -> tuple[Stored, list[Stored]]:
    """What all workspaces keep together, and those that keep most."""
    rows = await tx.fetch(
        "SELECT u.workspace_id, w.name, u.pictures, u.videos, u.bytes FROM media_usage u "
        "JOIN workspace w ON w.id = u.workspace_id WHERE u.bytes > 0 ORDER BY u.bytes DESC LIMIT $1",
        limit,
    )
    total = await tx.fetchrow(
        "SELECT coalesce(sum(pictures), 0)::bigint AS pictures, coalesce(sum(videos), 0)::bigint AS videos, "
        "coalesce(sum(bytes), 0)::bigint AS bytes FROM media_usage"
    )
    assert total is not None
    whole = Stored(UUID(int=0), "", total["pictures"], total["videos"], total["bytes"])
    return whole, [Stored(**dict(row)) for row in rows]


async def missing(tx: ElevatedSession, limit: int) -> tuple[int, list[Missing]]:
    """How many pictures miss their file, and those found last."""
    total: int = await tx.fetchval("SELECT count(*) FROM media_missing")
    rows = await tx.fetch(
        "SELECT m.asset_id, w.name AS workspace, m.storage_key AS key, m.found_at FROM media_missing m "
        "JOIN workspace w ON w.id = m.workspace_id ORDER BY m.found_at DESC, m.asset_id LIMIT $1",
        limit,
    )
    return total, [Missing(**dict(row)) for row in rows]


def _count(row: Mapping[str, int]) -> Count:
    return Count(row["pictures"], row["videos"], row["uploads"], row["files"], row["bytes"])
