"""`/api/media`: pictures as JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, File, Query, Request, UploadFile
from pydantic import BaseModel, Field

from gesso.accounts.access import Actor, CurrentActor
from gesso.core.errors import InvalidInput, NotFound, TooLarge
from gesso.db import WorkspaceSession
from gesso.db.paging import decode_cursor, encode_cursor
from gesso.media import repository, service
from gesso.media.inputs import QUERY_LENGTH, parse_moment, parse_place
from gesso.media.models import Asset, Filters, Kind
from gesso.media.terms import Terms, opened
from gesso.media.views import asset_json
from gesso.web.errors import ANY_BODY, problems
from gesso.web.ratelimit import hit

router = APIRouter(prefix="/api/media", tags=["media"])

UPLOADS_PER_HOUR = 300
PAGE = 50
PAGE_MAX = 100

NameFilter = Annotated[str | None, Query(max_length=QUERY_LENGTH, pattern=r"^[^\x00]*$")]


class AssetItem(BaseModel):
    """A picture: its addresses need the session's cookie."""

    id: UUID
    kind: Kind
    url: str
    thumbnails: dict[str, str] = Field(description="WebP, by pixels of the longer side: 320, 640, 1280.")
    width: int
    height: int
    media_type: str
    size_bytes: int
    seed: int | None
    duration_ms: int | None
    thumbhash: str = Field(description="A blur to show before the picture has come, in base64.")
    source: Literal["generated", "upload"]
    generation_id: UUID | None
    prompt: str
    negative_prompt: str | None
    model: str | None = Field(description="Key of the model.")
    model_name: str | None
    params: dict[str, Any] = Field(description="What else was asked for.")
    charged: dict[str, Any] | None = Field(description="What it cost; null for uploads.")
    took_ms: int | None = Field(description="From hand-over to the provider until arrival.")
    favourite: bool
    created_at: datetime

    @classmethod
    def of(cls, asset: Asset) -> "AssetItem":
        return cls.model_validate(asset_json(asset))


class MediaPage(BaseModel):
    """Pictures, newest first."""

    items: list[AssetItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


@router.get("", responses=problems(401, 422))
async def read_media(
    request: Request,
    actor: CurrentActor,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
    q: Annotated[NameFilter, Query(description="Words of the prompt, each as a beginning.")] = None,
    kind: Kind | None = None,
    model: NameFilter = None,
    favourite: bool = False,
    source: Literal["generated", "upload", "all"] = "generated",
    since: Annotated[str | None, Query(alias="from", description="Date or moment, inclusive.")] = None,
    until: Annotated[str | None, Query(alias="to", description="Date (inclusive) or moment.")] = None,
    at: Annotated[
        str | None,
        Query(max_length=40, description="Where to begin instead of at the newest: a month (2026-05), date or id."),
    ] = None,
    direction: Annotated[
        Literal["older", "newer"],
        Query(description="`newer` goes up from `at` or `cursor`, the oldest of what is newer first."),
    ] = "older",
) -> MediaPage:
    """The workspace's pictures, newest first. Everything given must match.

    `at` reaches any place at once, and leaves nothing out: `at=2026-05` is answered with the newest pictures of May
    2026 and goes on to older ones, `at=2026-05&direction=newer` with those from June on, going up.
    """
    filters = Filters(
        q=(q or "").strip(),
        kind=kind,
        model=model,
        favourite=favourite,
        source=None if source == "all" else source,
        since=parse_moment(since, "from") if since else None,
        until=parse_moment(until, "to", end=True) if until else None,
    )
    place = before_cursor(cursor) or (parse_place(at) if at else None)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        if direction == "older":
            found, following = await repository.page(tx, filters, before=place, limit=limit)
        elif place is None:
            found, following = (), None  # nothing is newer than the newest
        else:
            # a cursor is the last picture that was seen, a place the first that may be
            after = place if cursor else UUID(int=max(place.int - 1, 0))
            found, following = await repository.page_newer(tx, filters, after=after, limit=limit)
    terms = terms_of(request, actor)
    return MediaPage(
        items=[AssetItem.of(opened(asset, terms)) for asset in found],
        next=encode_cursor(following) if following else None,
    )


class Month(BaseModel):
    """How much was made in a month."""

    month: str = Field(pattern=r"^\d{4}-\d{2}$", description="Such as 2026-05, in UTC.")
    count: int = Field(description="Made pictures and videos that are still here.")


class MonthsAnswer(BaseModel):
    """Months in which something was made, newest first."""

    items: list[Month]


@router.get("/by/month", responses=problems(401))
async def read_months(request: Request, actor: CurrentActor) -> MonthsAnswer:
    """The months one can jump to, with `at` of `/api/media`."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        months = (await repository.overview(tx)).months
    return MonthsAnswer(items=[Month(month=f"{month:%Y-%m}", count=made) for month, made in months])


@router.post("/uploads", status_code=201, responses=problems(*ANY_BODY, 401, 422, 429, 503))
async def upload(
    request: Request,
    actor: CurrentActor,
    file: Annotated[UploadFile, File(description="A PNG, JPEG, WebP or AVIF picture.")],
) -> AssetItem:
    """Take in a picture to work from. It loses EXIF, GPS and whatever else it carries beside its pixels.

    An upload that no request ever used goes after 30 days.
    """
    state = request.app.state
    await hit(state.db, f"upload/{actor.workspace_id}", UPLOADS_PER_HOUR, 3600, "Too many files in one hour.")
    limit = state.settings.storage.max_upload_bytes
    data = await file.read(limit + 1)
    if len(data) > limit:
        words = f"A file may have at most {limit // 2**20} MB."
        raise TooLarge(words, fields={"file": words})
    asset = await service.take_upload(
        state.db, state.storage, state.ingest, workspace_id=actor.workspace_id, user_id=actor.user_id,
        data=data, declared_type=file.content_type,
    )  # fmt: skip
    return AssetItem.of(asset)


@router.get("/{asset_id}", responses=problems(401, 404, 422))
async def read_asset(request: Request, actor: CurrentActor, asset_id: UUID) -> AssetItem:
    """One picture."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        return AssetItem.of(opened(await repository.get(tx, asset_id), terms_of(request, actor)))


@router.delete("/{asset_id}", status_code=204, responses=problems(401, 403, 404, 422))
async def delete_asset(request: Request, actor: CurrentActor, asset_id: UUID) -> None:
    """Delete a picture. `restore` brings it back within 24 hours; then its files go for good."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        if not await repository.delete(tx, [asset_id], request.app.state.clock.now()):
            await _missing(tx, asset_id)


@router.post("/{asset_id}/restore", responses=problems(401, 403, 404, 422))
async def restore_asset(request: Request, actor: CurrentActor, asset_id: UUID) -> AssetItem:
    """Bring a deleted picture back. One that is not deleted is answered as it is."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await repository.restore(tx, [asset_id], request.app.state.clock.now())
        return AssetItem.of(opened(await repository.get(tx, asset_id), terms_of(request, actor)))


@router.put("/{asset_id}/favourite", responses=problems(401, 403, 404, 422))
async def mark_favourite(request: Request, actor: CurrentActor, asset_id: UUID) -> AssetItem:
    """Mark a picture as a favourite of the workspace."""
    return await _favourite(request, actor, asset_id, True)


@router.delete("/{asset_id}/favourite", responses=problems(401, 403, 404, 422))
async def unmark_favourite(request: Request, actor: CurrentActor, asset_id: UUID) -> AssetItem:
    """Take the mark away."""
    return await _favourite(request, actor, asset_id, False)


async def _favourite(request: Request, actor: CurrentActor, asset_id: UUID, value: bool) -> AssetItem:
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await repository.favourite(tx, [asset_id], value)
        return AssetItem.of(opened(await repository.get(tx, asset_id), terms_of(request, actor)))


def terms_of(request: Request, actor: Actor) -> Terms:
    """What the plan of the actor's workspace says of pictures."""
    terms: Terms = request.app.state.terms(actor.plan_key)
    return terms


async def _missing(tx: WorkspaceSession, asset_id: UUID) -> None:
    """Deleting twice is no error as long as the picture was ever ours; a stranger's is not found."""
    if not await repository.in_bin(tx, asset_id):
        raise NotFound("This is not here.")


def before_cursor(cursor: str | None) -> UUID | None:
    """The id in a cursor of ours. Raises `InvalidInput` on field `cursor`."""
    if cursor is None:
        return None
    (part,) = decode_cursor(cursor, 1)
    try:
        return UUID(part)
    except (ValueError, TypeError, AttributeError):
        raise InvalidInput(
            "This cursor is not one of ours.", fields={"cursor": "Use the value of `next` from the page before."}
        ) from None
