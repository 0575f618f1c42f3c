"""The gallery and the lightbox, and what one does there. Everything works as plain pages and forms; with scripts
the same addresses answer fragments, and nothing is loaded again that need not be.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from gesso.accounts.access import Actor, CurrentActor
from gesso.core.errors import InvalidInput, NotFound
from gesso.db import Database, WorkspaceSession
from gesso.media import archive, gallery, keeping, repository, timeline
from gesso.media.inputs import filters_of, parse_id, parse_place, picks_of, query_of, zone_of
from gesso.media.models import Asset, Kind
from gesso.media.routes import before_cursor, terms_of
from gesso.media.terms import Keeping, opened
from gesso.media.views import media_url, picture, things, tile
from gesso.web.render import fragment, is_htmx, local_path, page, redirect, toast

router = APIRouter(include_in_schema=False)

ZONE_COOKIE = "gesso_zone"
ROWS_COOKIE = "gesso_rows"
_YEAR = 365 * 24 * 3600
_NEIGHBOURS = 4
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@router.get("/gallery")
async def gallery_page(request: Request, actor: CurrentActor) -> Response:
    """The workspace's pictures, from the newest on or from a place (`at`: a month, a date, a picture's id).

    A script gets further pages (`cursor` down, `after` up) and other filters as fragments.
    """
    asked, query = _asked(request, actor), request.query_params
    now = request.app.state.clock.now()
    before, after = before_cursor(query.get("cursor")), before_cursor(query.get("after"))
    if before is None and after is None:
        before = _place(request)
    further = is_htmx(request) and ("cursor" in query or "after" in query)
    async with _tx(request, actor) as tx:
        if after is not None:
            wall = await gallery.wall_above(tx, asked, after)
        else:
            # only a page that is put below the one before it continues that one's last day
            wall = await gallery.wall(tx, asked, before, query.get("day", "") if further else "")
        if further:
            return fragment(request, "media/_wall.html", wall=wall, up=after is not None, down=after is None)
        overview = await repository.overview(tx, keeping.going_below(asked.terms, now))
        months = await timeline.matching(tx, overview.months, asked.filters, asked.zone)
    rows = gallery.row_height(query.get("rows") or request.cookies.get(ROWS_COOKIE))
    context: dict[str, Any] = {
        "wall": wall, "bar": gallery.bar(asked, overview.models, overview.usage),
        "summary": gallery.summary(overview.usage),
        "kept": keeping.notice(asked.terms, overview.going, now, asked.zone),
        "rows": rows, "heights": [(f"/gallery{query_of(query, rows=name)}", name) for name in gallery.ROW_HEIGHTS],
        "calendar": timeline.calendar(months, dict(query)), "up": True, "down": True,
        "welcome": request.app.state.welcome(), "asked": asked, "selecting": query.get("select") == "1",
        "select_href": f"/gallery{query_of(query, select='1')}", "here": f"/gallery{query_of(query)}",
    }  # fmt: skip
    if is_htmx(request):
        response = fragment(request, "media/_gallery.html", **context)
    else:
        response = await page(request, "media/gallery.html", **context)
    if "rows" in query:
        response.set_cookie(ROWS_COOKIE, rows, max_age=_YEAR, samesite="lax")
    return response


@router.get("/gallery/{asset_id}")
async def lightbox(request: Request, actor: CurrentActor, asset_id: str) -> Response:
    """One picture with all that is known of it: a page, or what a script lays over the gallery."""
    query = request.query_params
    terms, zone, now = terms_of(request, actor), _zone(request), request.app.state.clock.now()
    async with _tx(request, actor) as tx:
        around = await repository.around(tx, parse_id(asset_id), filters_of(query, zone), span=_NEIGHBOURS)
        known = await repository.known_term(tx) if terms.days is not None else None
    asset, kept = opened(around.asset, terms), query_of(query)
    newer, older = ([opened(one, terms) for one in side] for side in (around.newer, around.older))
    strip = (*reversed(newer), asset, *older)
    until = keeping.until_words(Keeping.of(terms, known, now), asset, zone)
    context: dict[str, Any] = {
        "picture": picture(asset, until),
        "place": gallery.place(around),
        "newer": tile(newer[0], kept) if newer else None,
        "older": tile(older[0], kept) if older else None,
        "ahead": [picture(one) for one in (*older[:2], *newer[:1])],
        "strip": [tile(one, kept) for one in strip] if len(strip) > 1 else [],
        "query": kept,
        "close_href": gallery.way_back(query, around),
        "maker": actor.name if asset.user_id == actor.user_id else "",
        "films": "video" in request.app.state.modules(),
        "room": "/video" if asset.kind == "video" else "/create",
    }
    if is_htmx(request):
        return fragment(request, "media/_lightbox.html", **context)
    return await page(request, "media/lightbox.html", shell=None, **context)


# before the routes with an asset in this place, which it would match
@router.post("/gallery/selection/{verb}")
async def selection(request: Request, actor: CurrentActor, verb: str) -> Response:
    """What the bar does with the chosen pictures (fields `pick`): download, favourite, unfavourite, delete."""
    form = await request.form()
    picks = picks_of((str(value) for value in form.getlist("pick")), archive.LIMIT)
    back = local_path(str(form.get("back", "")), "/gallery")
    async with _tx(request, actor) as tx:
        if verb == "download":
            terms = terms_of(request, actor)
            chosen = tuple(opened(one, terms) for one in (await repository.by_ids(tx, picks)).values())
        elif verb in ("favourite", "unfavourite"):
            changed = await repository.favourite(tx, picks, verb == "favourite")
            kinds = await repository.kinds_of(tx, changed)
        elif verb == "delete":
            now = request.app.state.clock.now()
            changed = await repository.delete(tx, picks, now)
            kinds = await repository.kinds_of(tx, changed)
        else:
            raise NotFound("There is nothing here.")
    if verb == "download":
        return await _download(request, chosen)
    response = Response(status_code=204) if is_htmx(request) else redirect(request, back)
    if verb == "delete":
        return _deleted_toast(response, kinds, now)
    words = "among your favourites" if verb == "favourite" else "no longer among your favourites"
    return toast(response, f"{things(kinds)} {words}", "ok")


@router.post("/gallery/{asset_id}/favourite")
async def favourite_one(request: Request, actor: CurrentActor, asset_id: str) -> Response:
    """Mark or unmark one picture (field `value`: on, off)."""
    form = await request.form()
    async with _tx(request, actor) as tx:
        asset = await _change(tx, parse_id(asset_id), form.get("value") != "off")
    if is_htmx(request):
        return fragment(request, "media/_heart.html", picture=picture(asset))
    return redirect(request, f"/gallery/{asset.id}{query_of(request.query_params)}")


@router.post("/gallery/{asset_id}/delete")
async def delete_one(request: Request, actor: CurrentActor, asset_id: str) -> Response:
    """Delete the picture in the lightbox, and go on to its neighbour."""
    query, now = request.query_params, request.app.state.clock.now()
    async with _tx(request, actor) as tx:
        around = await repository.around(tx, parse_id(asset_id), filters_of(query, _zone(request)), span=1)
        await repository.delete(tx, [around.asset.id], now)
    kinds: dict[Kind, int] = {around.asset.kind: 1}
    following = next(iter((*around.older, *around.newer)), None)
    kept = query_of(query)
    target = f"/gallery/{following.id}{kept}" if following else f"/gallery{kept}"
    if is_htmx(request):
        response = Response(status_code=204, headers={"X-Next": target})
        return _deleted_toast(response, kinds, now)
    return _deleted_toast(redirect(request, target), kinds, now)


@router.post("/gallery/restore/{moment}")
async def undo_delete(request: Request, actor: CurrentActor, moment: str) -> Response:
    """Bring back what was deleted at `moment` (microseconds since 1970), within 24 hours."""
    deleted_at = _moment(moment)
    async with _tx(request, actor) as tx:
        restored = await repository.restore_at(tx, deleted_at, request.app.state.clock.now())
        kinds = await repository.kinds_of(tx, restored)
    if not restored:
        raise NotFound("There is nothing left to bring back.")
    response = Response(status_code=204) if is_htmx(request) else redirect(request, "/gallery")
    return toast(response, f"{things(kinds)} brought back", "ok")


async def _download(request: Request, chosen: tuple[Asset, ...]) -> Response:
    if not chosen:
        raise NotFound("None of these is here. They may have been deleted.")
    if len(chosen) == 1:
        return RedirectResponse(f"{media_url(chosen[0].id)}?download=1", status_code=303)
    kinds = {asset.kind for asset in chosen}
    stem = "gallery" if len(kinds) > 1 else "videos" if "video" in kinds else "pictures"
    name = f"{stem}-{request.app.state.clock.now():%Y-%m-%d}.zip"
    return StreamingResponse(
        await archive.begun(archive.zip_of(request.app.state.storage, chosen)),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _change(tx: WorkspaceSession, asset_id: UUID, favourite: bool) -> Asset:
    await repository.favourite(tx, [asset_id], favourite)
    return await repository.get(tx, asset_id)


def _deleted_toast(response: Response, kinds: Mapping[Kind, int], at: datetime) -> Response:
    undo = f"/gallery/restore/{(at - _EPOCH) // _MICROSECOND}" if kinds else ""
    return toast(response, f"{things(kinds)} deleted", detail="Gone for good in 24 hours.", undo=undo)


def _moment(text: str) -> datetime:
    """The moment in an undo address."""
    try:
        return _EPOCH + int(text) * _MICROSECOND
    except (ValueError, OverflowError):
        raise NotFound("There is nothing left to bring back.") from None


def _tx(request: Request, actor: Actor) -> AbstractAsyncContextManager[WorkspaceSession]:
    db: Database = request.app.state.db
    return db.workspace(actor.workspace_id, actor.user_id)


def _zone(request: Request) -> tzinfo:
    return zone_of(request.cookies.get(ZONE_COOKIE))


def _place(request: Request) -> UUID | None:
    """The place an address names with `at`. One that makes no sense leads to the newest pictures."""
    try:
        return parse_place(request.query_params["at"], _zone(request)) if request.query_params.get("at") else None
    except InvalidInput:
        return None


def _asked(request: Request, actor: Actor) -> gallery.Asked:
    zone = _zone(request)
    today = request.app.state.clock.now().astimezone(zone).date()
    return gallery.Asked(request.query_params, zone, today, terms_of(request, actor))
