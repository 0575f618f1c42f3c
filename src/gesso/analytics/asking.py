"""What pages, exports and the API of this room read, each in one transaction."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request

from gesso.accounts.access import Actor
from gesso.analytics import history as requests
from gesso.analytics import usage
from gesso.analytics.history import Filter
from gesso.analytics.lines import Named, day_cells, days_head, history_cells, history_head
from gesso.analytics.periods import Period
from gesso.catalog.registry import Catalog
from gesso.credits import service as credits
from gesso.credits.types import Balances
from gesso.db import WorkspaceSession

EXPORT_BATCH = 500
EXPORT_DAYS = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Overview:
    """A period's use, what came and went besides, what is left, and who is there (nobody else, for a member)."""

    used: usage.Usage
    moved: Mapping[tuple[str, str], int]
    balances: Balances
    members: Mapping[UUID, str]

    @property
    def month(self) -> dict[str, int]:
        """What the plan gave for this month, by unit."""
        return {unit: amount for (kind, unit), amount in self.moved.items() if kind == "month"}


async def overview(tx: WorkspaceSession, actor: Actor, period: Period, reach: usage.Rolled) -> Overview:
    """In four statements, three for a member who is no admin."""
    balances = await credits.balances(tx, now=period.end)
    used = await usage.used(tx, period, actor.only_user, reach)
    moved = await usage.moved(tx, period.start, period.end)
    return Overview(used, moved, balances, await people(tx, actor))


def zone_of(request: Request) -> ZoneInfo:
    """Whose days are counted: the site's."""
    zone: ZoneInfo = request.app.state.settings.site.zone
    return zone


async def people(tx: WorkspaceSession, actor: Actor) -> Mapping[UUID, str]:
    """Members by id, as far as the actor sees what they do."""
    if actor.only_user is not None:
        return {actor.user_id: actor.name or actor.email}
    return await usage.names(tx)


def model_names(catalog: Catalog) -> Named:
    """What models are called: as the request noted it, else as the catalogue does."""
    known = {model.key: model.name for model in catalog.models(enabled_only=False)}

    def named(key: str, name: str) -> str:
        return name if name and name != key else known.get(key, key or "–")

    return named


def providers(catalog: Catalog) -> Mapping[str, str]:
    """The name of the connection each model is asked through now, by the model's key."""
    names = {connection.id: connection.name for connection in catalog.connections()}
    return {model.key: names.get(model.connection_id, "–") for model in catalog.models(enabled_only=False)}


async def history_csv(request: Request, actor: Actor, period: Period, wanted: Filter) -> AsyncIterator[str]:
    """The period's requests, newest first. Each batch is a transaction of its own, so that a slow reader holds none."""
    named = model_names(request.app.state.catalog)
    yield _lines([history_head()])
    before: UUID | None = None
    members: Mapping[UUID, str] | None = None
    while True:
        async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            members = members if members is not None else await people(tx, actor)
            rows = await requests.history(
                tx,
                wanted,
                await usage.rolled(tx, zone_of(request)),
                before=before,
                since=period.start,
                limit=EXPORT_BATCH,
            )
        if rows:
            yield _lines(history_cells(row, named, members) for row in rows)
            before = rows[-1].id
        if len(rows) < EXPORT_BATCH:
            return


async def days_csv(request: Request, actor: Actor, period: Period) -> AsyncIterator[str]:
    """What the period's figures are sums of, oldest day first, a month in each transaction."""
    named = model_names(request.app.state.catalog)
    yield _lines([days_head()])
    start = period.start
    members: Mapping[UUID, str] | None = None
    while start <= period.end:
        end = start + EXPORT_DAYS
        async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            members = members if members is not None else await people(tx, actor)
            found = await usage.days(tx, start, end, actor.only_user, await usage.rolled(tx, zone_of(request)))
        if found:
            yield _lines(day_cells(line, named, members) for line in found)
        start = end


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
