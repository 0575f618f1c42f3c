"""`/admin/deletions`: everything that was deleted, day by day and why; what is stored; which files are missing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from gesso.accounts.access import CurrentOperator
from gesso.admin.frame import panel
from gesso.core.errors import InvalidInput
from gesso.db import Database
from gesso.media import deletions
from gesso.media.deletions import Count, Line
from gesso.media.models import Reason
from gesso.web.spreadsheet import csv_lines

router = APIRouter(prefix="/admin/deletions", include_in_schema=False)

DAYS = 30
EXPORTED = timedelta(days=366)
_LISTED = 20

WHY: dict[Reason, str] = {
    "person": "Deleted by people",
    "retention": "Kept no longer by the plan",
    "unused": "Uploads that served nothing",
    "taken_down": "Taken down",
    "orphan": "Files nobody refers to",
    "sample": "Samples shown nowhere",
}
HEAD = ("day", "reason", "workspace_id", "workspace", "pictures", "videos", "uploads", "files", "bytes")


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the report, its lines and their sum."""

    day: date
    lines: tuple[Line, ...]
    total: Count


@router.get("")
async def deletions_page(request: Request, actor: CurrentOperator, before: str = "") -> Response:
    """Thirty days of the report, what is stored, and pictures without a file."""
    below = _day(before)
    async with request.app.state.db.elevated("operator: deletions") as tx:
        lines = await deletions.days(tx, below, DAYS)
        whole, stored = await deletions.stored(tx, _LISTED)
        missing, lost = await deletions.missing(tx, _LISTED)
    days = [Day(day, found := tuple(group), _sum(found)) for day, group in groupby(lines, key=lambda line: line.day)]
    return await panel(
        request, "admin/deletions.html", days=days, why=WHY, whole=whole, stored=stored, missing=missing, lost=lost,
        older=days[-1].day if len(days) == DAYS else None, first=below is None,
        zone=request.app.state.settings.site.time_zone,
    )  # fmt: skip


@router.get(".csv")
async def deletions_table(
    request: Request, actor: CurrentOperator, since: Annotated[str, Query(alias="from")] = ""
) -> Response:
    """The report by workspace as CSV, from a day on; of the last year when none is given."""
    first = _day(since) or request.app.state.clock.now().date() - EXPORTED
    name = f"deletions-from-{first}.csv"
    return StreamingResponse(
        _lines(request.app.state.db, first),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _lines(db: Database, since: date) -> AsyncIterator[str]:
    yield csv_lines([HEAD])
    async for owned in deletions.every(db, since):
        yield csv_lines(
            (
                one.day, one.reason, one.workspace_id or "", one.name, one.count.pictures, one.count.videos,
                one.count.uploads, one.count.files, one.count.bytes,
            )
            for one in owned
        )  # fmt: skip


def _sum(lines: tuple[Line, ...]) -> Count:
    return sum((line.count for line in lines), Count())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput("Give a day such as 2026-05-11.") from None
