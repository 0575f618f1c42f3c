"""`/admin/audit` and `/api/admin/audit`: who did what, when and from where."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import audit
from gesso.admin.audit import Event, Filters
from gesso.admin.finding import MOST, PAGE
from gesso.admin.frame import panel
from gesso.admin.jobs_filter import clean
from gesso.web.errors import problems

router = APIRouter(prefix="/admin", include_in_schema=False)
api = APIRouter(prefix="/api/admin/audit", tags=["operator"])

EXPORT_BATCH, EXPORT_MOST = 500, 50_000
Text = Annotated[str, Query(max_length=254)]


def _filters(everybody: str, who: str, action: str, about: str, since: str, until: str) -> tuple[Filters, list[str]]:
    """What the page's address asks for, and what is wrong with it."""
    wrong, days = [], [_day(text) for text in (since, until)]
    if (since and days[0] is None) or (until and days[1] is None):
        wrong.append("Give days such as 2026-05-11.")
    if days[0] and days[1] and days[0] > days[1]:
        wrong.append("The first day is after the last.")
    return Filters(everybody == "1", clean(who), clean(action), clean(about), days[0], days[1]), wrong


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


@router.get("/audit")
async def audit_page(
    request: Request,
    actor: CurrentOperator,
    who: Text = "",
    action: Text = "",
    about: Text = "",
    since: Text = "",
    until: Text = "",
    everybody: Annotated[str, Query(alias="all", max_length=1)] = "",
    before: UUID | None = None,
) -> Response:
    """What operators did; with `all`, what everybody did that bears on security."""
    filters, wrong = _filters(everybody, who, action, about, since, until)
    async with request.app.state.db.elevated("operator: audit log") as tx:
        events, following = await audit.listing(tx, filters, before=before)
        known = await audit.actions(tx)
    kept = filters.query()
    return await panel(
        request, "admin/audit.html", events=events, filters=filters, wrong=wrong, actions=known,
        typed={"since": since, "until": until}, kept=urlencode(kept),
        older=urlencode({**kept, "before": following}) if following else "",
    )  # fmt: skip


@router.get("/audit.csv")
async def audit_export(
    request: Request,
    actor: CurrentOperator,
    who: Text = "",
    action: Text = "",
    about: Text = "",
    since: Text = "",
    until: Text = "",
    everybody: Annotated[str, Query(alias="all", max_length=1)] = "",
) -> Response:
    """The same as CSV, the newest 50,000."""
    filters, _ = _filters(everybody, who, action, about, since, until)
    name = f"audit-{request.app.state.clock.now():%Y-%m-%d}.csv"
    return StreamingResponse(
        _csv(request, filters), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )  # fmt: skip


async def _csv(request: Request, filters: Filters) -> AsyncIterator[str]:
    yield _lines([audit.CSV_HEAD])
    before: UUID | None = None
    for _ in range(EXPORT_MOST // EXPORT_BATCH):
        async with request.app.state.db.elevated("operator: export the audit log") as tx:
            events, before = await audit.listing(tx, filters, before=before, limit=EXPORT_BATCH)
        yield _lines([audit.csv_row(event) for event in events])
        if before is None:
            return


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


class AuditItem(BaseModel):
    """Something that was done."""

    id: UUID
    at: datetime
    who: str | None = Field(description="E-mail address of who did it; null when nobody in particular, or forgotten.")
    action: str
    workspace_id: UUID | None = Field(description="Null for acts of operators.")
    ip: str | None
    detail: dict[str, Any] = Field(description="What it was done to; `before` and `after` where something changed.")

    @classmethod
    def of(cls, event: Event) -> "AuditItem":
        return cls(
            id=event.id, at=event.created_at, who=event.who, action=event.action, workspace_id=event.workspace_id,
            ip=event.ip, detail=dict(event.detail),
        )  # fmt: skip


class AuditAnswer(BaseModel):
    """A page of the log, newest first."""

    items: list[AuditItem]
    next: UUID | None = Field(description="`before` of the next page; null at the end.")


@api.get("", responses=problems(401, 404, 422))
async def list_audit_events(
    request: Request,
    actor: CurrentOperator,
    who: Annotated[str, Query(max_length=254, description="Part of the address of who did it.")] = "",
    action: Annotated[str, Query(max_length=254)] = "",
    about: Annotated[str, Query(max_length=254, description="An id or a short name.")] = "",
    since: date | None = None,
    until: date | None = None,
    everybody: Annotated[bool, Query(description="Not operators' acts alone.")] = False,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> AuditAnswer:
    """Who did what, when and from where."""
    filters = Filters(everybody, clean(who), clean(action), clean(about), since, until)
    async with request.app.state.db.elevated("operator: audit log") as tx:
        events, following = await audit.listing(tx, filters, before=before, limit=limit)
    return AuditAnswer(items=[AuditItem.of(event) for event in events], next=following)
