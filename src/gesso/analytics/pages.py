"""`/dashboard`: what is left, what was used, what it was used for."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from gesso.accounts.access import Actor, CurrentActor
from gesso.analytics import repository, views
from gesso.billing.renewal import next_grant_at
from gesso.catalog.registry import Catalog
from gesso.credits import service as credits
from gesso.web.render import fragment, is_htmx, page

router = APIRouter(include_in_schema=False)

HISTORY_PAGE = 20
EXPORT_BATCH = 500
Days = Annotated[Literal["7", "30", "365"], Query()]


@router.get("/dashboard")
async def dashboard(request: Request, actor: CurrentActor, days: Days = "30") -> Response:
    """The figures of 7 days, 30 days or 12 months: a member's own, an admin's of the whole workspace."""
    now = request.app.state.clock.now()
    catalog: Catalog = request.app.state.catalog
    period, whose = views.Period.of(int(days), now), actor.only_user
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        balances = await credits.balances(tx, now=now)
        final = await repository.final_until(tx)
        used = await repository.used(tx, period.start, period.end, period.step, whose, final)
        before = await repository.used(tx, period.before, period.start, period.step, whose, final)
        rows = await repository.history(tx, whose, limit=HISTORY_PAGE + 1)
        next_grant = await next_grant_at(tx, catalog, now)
    request.state.balances = balances
    plan = catalog.plan(actor.plan_key)
    wide, narrow = views.charts(period, repository.spent_by_step(used))
    models = views.model_bars(repository.by_model(used))
    stats = views.stats(period, repository.totals(used), repository.totals(before), balances)
    return await page(
        request, "analytics/dashboard.html",
        period=period, links=views.period_links(), plan=plan, next_grant=next_grant,
        grant=plan.monthly_grants.get("credit", 0), stats=stats,
        wide=wide, narrow=narrow, models=models, lots=views.lot_bars(balances.lots),
        **_history(rows),
    )  # fmt: skip


@router.get("/dashboard/history")
async def more_history(request: Request, actor: CurrentActor, before: UUID) -> Response:
    """Older lines of the history."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        rows = await repository.history(tx, actor.only_user, before=before, limit=HISTORY_PAGE + 1)
    if is_htmx(request):
        return fragment(request, "analytics/_history_rows.html", **_history(rows))
    return await page(request, "analytics/history.html", **_history(rows))


@router.get("/dashboard/history.csv")
async def export(request: Request, actor: CurrentActor, days: Days = "30") -> Response:
    """The history of the period as CSV."""
    period = views.Period.of(int(days), request.app.state.clock.now())
    name = f"history-{period.start:%Y-%m-%d}-to-{period.end:%Y-%m-%d}.csv"
    return StreamingResponse(
        _csv(request, actor, period),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _csv(request: Request, actor: Actor, period: views.Period) -> AsyncIterator[str]:
    yield _lines([views.CSV_HEAD])
    before: UUID | None = None
    while True:
        async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            rows = await repository.history(tx, actor.only_user, before=before, since=period.start, limit=EXPORT_BATCH)
        if rows:
            yield _lines([views.csv_row(row) for row in rows])
            before = rows[-1].id
        if len(rows) < EXPORT_BATCH:
            return


def _lines(rows: object) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()


def _history(rows: list[repository.HistoryRow]) -> dict[str, Any]:
    shown = rows[:HISTORY_PAGE]
    return {
        "history": [views.history_line(row) for row in shown],
        "older": shown[-1].id if len(rows) > HISTORY_PAGE else None,
    }
