"""`/admin/webhooks`: the inbox of what a payment provider told this site, and doing it once more."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin import audit, webhooks
from gesso.admin.audit import Filters as AuditFilters
from gesso.admin.changed import outcome
from gesso.admin.frame import back_to, deed_of, panel
from gesso.admin.jobs_filter import clean
from gesso.admin.webhooks import Filters, Wanted
from gesso.admin.webhooks_payload import text_of
from gesso.core.errors import GessoError, NotFound
from gesso.web.render import toast

router = APIRouter(prefix="/admin/webhooks", include_in_schema=False)
HOME = "/admin/webhooks"
TABS: tuple[tuple[Wanted, str], ...] = (
    ("failed", "Failed"),
    ("all", "All"),
    ("done", "Done"),
    ("ignored", "Ignored"),
    ("received", "Received"),
)
NOTES = 10


@router.get("")
async def webhooks_page(
    request: Request,
    actor: CurrentOperator,
    state: Wanted | None = None,
    type: Annotated[str, Query(max_length=100)] = "",
    q: Annotated[str, Query(max_length=120)] = "",
    before: UUID | None = None,
) -> Response:
    """Events in one state; where none is asked for those that failed, and all when none did."""
    site = request.app.state
    filters, now = Filters(clean(type), clean(q)), site.clock.now()
    async with site.db.elevated("operator: payment notices") as tx:
        counts = await webhooks.counts(tx, now)
        wanted = state or ("failed" if counts.failed and not filters.query() else "all")
        events, following = await webhooks.listing(tx, wanted, filters=filters, before=before)
        known = await webhooks.types(tx)
    kept = {"state": wanted, **filters.query()}
    here = urlencode({**kept, **({"before": before} if before else {})})
    return await panel(
        request, "admin/webhooks.html", state=wanted, tabs=TABS, counts=counts, events=events, filters=filters,
        types=known, kept=urlencode(filters.query()), here=here, first=before is None, payments=site.payments, now=now,
        older=urlencode({**kept, "before": following}) if following else "",
    )  # fmt: skip


@router.get("/{event_id}")
async def webhook_page(request: Request, actor: CurrentOperator, event_id: UUID) -> Response:
    """One event: what came of it, and what it said."""
    async with request.app.state.db.elevated("operator: a payment notice") as tx:
        found = await webhooks.detail(tx, event_id)
        notes, _ = await audit.listing(tx, AuditFilters(about=str(event_id)), limit=NOTES)
    return await panel(
        request, "admin/webhook.html", detail=found, event=found.event, payload=text_of(found.payload), notes=notes,
        payments=request.app.state.payments, now=request.app.state.clock.now(),
    )  # fmt: skip


@router.post("/{event_id}/replay")
async def replay_event(request: Request, actor: CurrentOperator, event_id: UUID) -> Response:
    """Do once more what follows from it."""
    state, deed = request.app.state, deed_of(request, actor)
    answer = await back_to(request, HOME, f"{HOME}/{event_id}")
    try:
        taken = await webhooks.replay(state.db, state.payments, deed, event_id)
    except NotFound:
        raise
    except GessoError as error:
        return toast(answer, "It was not replayed", "bad", detail=error.detail)
    said, detail = outcome(taken)
    kind = "bad" if taken.received == "failed" else "ok"
    return toast(answer, said, kind, detail=detail)  # type: ignore[arg-type]


@router.post("/replay-failed")
async def replay_failed(request: Request, actor: CurrentOperator) -> Response:
    """Take up all that failed."""
    state, deed = request.app.state, deed_of(request, actor)
    answer = await back_to(request, HOME, HOME)
    try:
        async with state.db.elevated("operator: replay all that failed") as tx:
            count = await webhooks.replay_failed(tx, state.payments, deed)
    except GessoError as error:
        return toast(answer, "Nothing was replayed", "bad", detail=error.detail)
    if not count:
        return toast(answer, "Nothing to replay", detail="No event has failed.")
    said = f"{count:,} event{' is' if count == 1 else 's are'} tried again"
    return toast(answer, said, "ok", detail="Workers take them up within seconds; the list follows.")
