"""`/admin/moderation`: what waits for the operator, and what was stopped, with pictures and prompts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import moderation
from gesso.admin.frame import deed_of, panel
from gesso.admin.moderation import Tab
from gesso.core.errors import GessoError, NotFound
from gesso.media.service import variant_key
from gesso.media.taken import UNDO
from gesso.safety.scales import words_of
from gesso.web.forms import read
from gesso.web.render import redirect, toast
from gesso.web.security import FILE_POLICY

router = APIRouter(prefix="/admin/moderation", include_in_schema=False)
HOME = "/admin/moderation"
TABS: tuple[tuple[Tab, str], ...] = (
    ("waiting", "To decide"),
    ("unjudged", "Not judged"),
    ("blocked", "Blocked"),
    ("decided", "Decided"),
)
SUBJECTS = {"image": "Picture", "video": "Video", "improve": "Prompt to improve"}
RULES = {
    "minors": "minors, by the built-in rules",
    "real_person": "a real person, by the built-in rules",
    "sexual": "sexual content, by the built-in rules",
}
SHOWN_SIDE = "320"


class ReasonForm(BaseModel):
    """Why."""

    reason: Annotated[str, Field(max_length=moderation.REASON_MOST)] = ""
    tab: Annotated[str, Field(max_length=20)] = "waiting"


@router.get("")
async def moderation_page(
    request: Request, actor: CurrentOperator, tab: Tab = "waiting", before: UUID | None = None
) -> Response:
    """One tab, a page at a time."""
    state = request.app.state
    async with state.db.elevated("operator: moderation") as tx:
        counts = await moderation.counts(tx, state.clock.now())
        cases, following = await moderation.listing(tx, tab, before=before)
    return await panel(
        request, "admin/moderation.html", tab=tab, tabs=TABS, cases=cases, counts=counts, following=following,
        subjects=SUBJECTS, rules=RULES, words_of=words_of, judged=state.moderation.judges_prompts,
        sees=state.moderation.judges_pictures,
    )  # fmt: skip


@router.get("/{event_id}/pictures/{asset_id}")
async def moderation_picture(request: Request, actor: CurrentOperator, event_id: UUID, asset_id: UUID) -> Response:
    """A small picture of what a line is about; of nothing else, and kept by nobody."""
    state = request.app.state
    async with state.db.elevated("operator: a picture that was judged") as tx:
        found = await moderation.picture(tx, event_id, asset_id)
    try:
        data = await state.storage.get(variant_key(found.storage_key, SHOWN_SIDE))
    except NotFound:
        raise NotFound("This is not here any more.") from None
    headers = {"Cache-Control": "private, no-store", "Content-Security-Policy": FILE_POLICY}
    return Response(data, media_type="image/webp", headers=headers)


@router.post("/{event_id}/keep")
async def keep_judged(request: Request, actor: CurrentOperator, event_id: UUID) -> Response:
    """It may stay."""
    form = await read(request, ReasonForm)
    await moderation.keep(request.app.state.db, deed_of(request, actor), event_id, form.value.reason if form.ok else "")
    return toast(
        _back(request, form.get("tab")), "Kept", "ok", detail="Its owner notices nothing.", undo=_undo(event_id)
    )


@router.post("/{event_id}/take-down")
async def take_down_judged(request: Request, actor: CurrentOperator, event_id: UUID) -> Response:
    """Take it away from its owner, with a reason."""
    form = await read(request, ReasonForm)
    back = _back(request, form.get("tab"))
    if not form.ok:
        return toast(back, "Not taken down", "bad", detail=" ".join(form.errors.values()))
    try:
        await moderation.take_down(request.app.state.db, deed_of(request, actor), event_id, form.value.reason)
    except NotFound:
        raise
    except GessoError as error:
        return toast(back, "Not taken down", "bad", detail=error.detail)
    said = f"Nobody sees it any more. It can be undone for {UNDO.days} days."
    return toast(back, "Taken down", "ok", detail=said, undo=_undo(event_id))


@router.post("/{event_id}/undo")
async def undo_judged(request: Request, actor: CurrentOperator, event_id: UUID) -> Response:
    """Take a decision back."""
    case, back = await moderation.undo(request.app.state.db, deed_of(request, actor), event_id)
    said = "Its owner sees it again." if back else "It waits to be decided again."
    return toast(_back(request, "waiting" if case.outcome == "review" else "unjudged"), "Undone", "ok", detail=said)


def _undo(event_id: UUID) -> str:
    return f"{HOME}/{event_id}/undo"


def _back(request: Request, tab: object) -> Response:
    known = {key for key, _ in TABS}
    return redirect(request, f"{HOME}?tab={tab}" if tab in known else HOME)
