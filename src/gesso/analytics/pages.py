"""`/dashboard`: what is left, what was used, what it was used for."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from gesso.accounts.access import CurrentActor
from gesso.analytics import asking, routes, usage, views
from gesso.analytics.history import KINDS, Filter, HistoryRow, history
from gesso.analytics.lines import STATE_WORDS, Named, history_line
from gesso.analytics.periods import Period
from gesso.billing.renewal import next_grant_at
from gesso.catalog.costs import counted
from gesso.catalog.registry import Catalog
from gesso.media import keeping
from gesso.media import repository as media
from gesso.media.terms import Terms
from gesso.web.render import fragment, is_htmx, page

pages = APIRouter(include_in_schema=False)

HISTORY_PAGE = 20
FILTERS = ("kind", "model", "state", "member")
Days = Annotated[Literal["7", "30", "90", "365"], Query()]
Step = Annotated[Literal["day", "week", "month"] | None, Query()]
Show = Annotated[Literal["credits", "requests"] | None, Query()]


@pages.get("/dashboard")
async def dashboard(
    request: Request, actor: CurrentActor, days: Days = "30", step: Step = None, show: Show = None
) -> Response:
    """The figures of a period: a member's own, an admin's of the whole workspace."""
    now = request.app.state.clock.now()
    catalog: Catalog = request.app.state.catalog
    period, wanted = (
        Period.of(int(days), now, asking.zone_of(request), step),
        Filter.of(request.query_params, actor.only_user),
    )
    terms: Terms = request.app.state.terms(actor.plan_key)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        reach = await usage.rolled(tx, asking.zone_of(request))
        found = await asking.overview(tx, actor, period, reach)
        rows = await history(tx, wanted, reach, limit=HISTORY_PAGE + 1)
        renews = await next_grant_at(tx, catalog, now)
        stored, going = await media.stored(tx, keeping.going_below(terms, now))
    request.state.balances = found.balances
    used, named, lots = found.used, asking.model_names(catalog), found.balances.lots
    plan, measure = catalog.plan(actor.plan_key), views.measure_of(show, used.total, credited=catalog.credited)
    in_credits = catalog.credited or used.total.spent > 0
    here = {"days": days, "step": step, "show": show}
    return await page(
        request, "analytics/dashboard.html",
        period=period, periods=views.period_links(show), steps=views.step_links(period, show),
        measures=views.measure_links(period) if in_credits else (), measure=measure,
        drawing=views.drawing(period, used, measure),
        plan=plan, renews=renews, plan_bars=views.plan_bars(lots, found.month), lots=views.lot_bars(lots),
        running_out=views.running_out(lots, found.month, renews, credited=catalog.credited),
        flows=views.flows(period, used, found.moved, found.balances) if actor.only_user is None and in_credits else (),
        stats=views.stats(period, used, found.balances, counted=counted(plan, credited=catalog.credited)),
        kinds=views.kind_bars(used),
        models=views.model_bars(used, named),
        members=views.member_bars(used, found.members) if len(found.members) > 1 or len(used.members) > 1 else (),
        providers=views.provider_bars(used, asking.providers(catalog)) if actor.is_operator else (),
        filters=_filters(request.query_params, here, used, named, found.members),
        shop=catalog.shop, everything="/dashboard/history", zone=asking.zone_of(request).key,
        stored=keeping.stored_words(stored, terms),
        kept=keeping.notice(terms, going, now, request.app.state.settings.site.zone),
        **_history(rows, request.query_params, named, found.members),
    )  # fmt: skip


@pages.get("/dashboard/history")
async def all_history(request: Request, actor: CurrentActor, before: UUID | None = None) -> Response:
    """The history by itself; for a script that asks, only its next lines."""
    wanted = Filter.of(request.query_params, actor.only_user)
    named = asking.model_names(request.app.state.catalog)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        rows = await history(
            tx, wanted, await usage.rolled(tx, asking.zone_of(request)), before=before, limit=HISTORY_PAGE + 1
        )
        members = await asking.people(tx, actor)
    lines = _history(rows, request.query_params, named, members)
    if is_htmx(request) and before is not None:
        return fragment(request, "analytics/_history_rows.html", **lines)
    return await page(request, "analytics/history.html", **lines)


@pages.get("/dashboard/history.csv")
async def export_history(request: Request, actor: CurrentActor, days: Days = "30") -> Response:
    """The requests of the period, filtered as the table is."""
    period = Period.of(int(days), request.app.state.clock.now(), asking.zone_of(request))
    wanted = Filter.of(request.query_params, actor.only_user)
    return _csv("history", period, asking.history_csv(request, actor, period, wanted))


@pages.get("/dashboard/usage.csv")
async def export_days(request: Request, actor: CurrentActor, days: Days = "30") -> Response:
    """The sums of every day of the period by kind, model and member."""
    period = Period.of(int(days), request.app.state.clock.now(), asking.zone_of(request))
    return _csv("usage", period, asking.days_csv(request, actor, period))


def _csv(what: str, period: Period, lines: AsyncIterator[str]) -> Response:
    name = f"{what}-{period.start:%Y-%m-%d}-to-{period.end:%Y-%m-%d}.csv"
    return StreamingResponse(
        lines,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


def _history(
    rows: list[HistoryRow], query: Mapping[str, str], named: Named, members: Mapping[UUID, str]
) -> dict[str, Any]:
    shown = rows[:HISTORY_PAGE]
    kept = {name: query.get(name) for name in FILTERS}
    older = views.address("/dashboard/history", before=shown[-1].id, **kept) if len(rows) > HISTORY_PAGE else None
    return {
        "history": [history_line(row, named, members) for row in shown],
        "older": older,
        "filtered": any(kept.values()),
        "by_member": len(members) > 1,
    }


def _filters(
    query: Mapping[str, str], here: Mapping[str, str | None], used: usage.Usage, named: Named,
    members: Mapping[UUID, str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Menus above the history: what can be chosen, and where each choice leads."""
    chosen = {name: query.get(name, "") for name in FILTERS}
    choices = {
        "kind": ("Every kind", "shapes", [(kind, views.kind_name(kind)) for kind in KINDS]),
        "model": ("Every model", "box", [(one.key, named(one.key, one.name)) for one in used.models if one.key]),
        "state": ("Any state", "circle-check", [(state, words) for state, (words, _) in STATE_WORDS.items()]),
        "member": ("Everybody", "users", [(str(user_id), name) for user_id, name in members.items()]),
    }
    if len(members) < 2:
        del choices["member"]
    menus = []
    for name, (any_words, icon, options) in choices.items():
        links = [
            {
                "label": words, "current": value == chosen[name],
                "href": views.address("/dashboard", **here, **{**chosen, name: value}) + "#history",
            }
            for value, words in [("", any_words), *options]
        ]  # fmt: skip
        label = next((link["label"] for link in links if link["current"]), chosen[name])
        menus.append({"name": name, "label": label, "icon": icon, "set": bool(chosen[name]), "links": links})
    return menus


router = APIRouter()
router.include_router(pages)
router.include_router(routes.router)
