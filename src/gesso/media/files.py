"""`/media/{asset}/{variant}`: the bytes of a picture, for whoever may see it.

Stable addresses, authorised by the session's cookie. A file never changes, so a browser may keep it for good
(privately); another workspace's, a deleted or an unknown one all answer 404. A picture with the site's mark and a clean
file behind it is asked for again each time, since the plan may change, unless its address says `marked`: what that
leads to stays what it is. Where `GESSO_STORAGE_REDIRECT` says so,
the answer to GET is a signed address of the bucket itself, which serves for a quarter of an hour.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from gesso.accounts.access import CurrentActor
from gesso.core.errors import NotFound
from gesso.media import repository, service, unlock
from gesso.media.ingest import THUMB_SIDES
from gesso.media.inputs import parse_id
from gesso.media.models import Asset
from gesso.media.ranges import Part, Unsatisfiable, requested_part, unchanged, whole_instead
from gesso.media.storage import Storage
from gesso.media.storage_sign import SIGNED_SECONDS, Signer
from gesso.media.terms import opened
from gesso.media.views import MARKED, file_name
from gesso.web.security import FILE_POLICY

router = APIRouter(include_in_schema=False)

_VARIANTS = ("original", *map(str, THUMB_SIDES))
_THUMB_TYPE = "image/webp"
_REDIRECTED = {"none": frozenset[str](), "originals": frozenset({"original"}), "all": frozenset(_VARIANTS)}
_REDIRECT_KEPT_SECONDS = SIGNED_SECONDS - 300
"""A browser follows a redirect it has kept only while the address behind it serves, with time to begin reading."""


@router.api_route("/media/{asset_id}/{variant}", methods=["GET", "HEAD"])
async def media_file(
    request: Request, actor: CurrentActor, asset_id: str, variant: str, download: bool = False
) -> Response:
    """One file of a picture: whole, in part (Range), only its headers (HEAD), or 304 when it is known."""
    if variant not in _VARIANTS:
        raise NotFound("There is no such size of a picture.")
    state = request.app.state
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await repository.get(tx, parse_id(asset_id))
        asset = opened(found, state.terms(actor.plan_key))
        if asset is not found:
            await unlock.ask(tx, actor.workspace_id)
    unlocked = asset is not found
    if unlocked and asset.kind == "video" and variant != "original":
        asset = found  # a film cannot stand for its poster, which shows the mark for a moment more
    # until a worker has made its thumbnails, an unlocked picture stands for them
    whole = asset is not found and variant != "original"
    variant, size_asked = ("original", f"{variant}-whole") if whole else (variant, variant)
    headers = _headers(asset, variant, size_asked, download)
    if found.clean is not None and (unlocked or MARKED not in request.query_params):
        headers["Cache-Control"] = "private, no-cache"
    if unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)

    storage: Storage = state.storage
    key = service.variant_key(asset.storage_key, variant)
    headers["Content-Type"] = asset.media_type if variant == "original" else _THUMB_TYPE
    signer = storage.signer if variant in _REDIRECTED[state.settings.storage.redirect] else None
    if signer is not None and request.method == "GET":
        return _elsewhere(signer, key, state.clock.now(), headers, kept=found.clean is None)
    size = asset.size_bytes if variant == "original" else (await storage.head(key)).size
    asked = None if whole_instead(request.headers.get("if-range"), headers["ETag"]) else request.headers.get("range")
    try:
        part = requested_part(asked, size) if request.method == "GET" else None
    except Unsatisfiable:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(part.end - part.start if part else size)
    if request.method == "HEAD":
        return Response(headers=headers)
    return await _send(storage, key, part, size, headers)


def _elsewhere(signer: Signer, key: str, now: datetime, headers: dict[str, str], *, kept: bool) -> Response:
    """To the bucket, which shall say of the file what we would have said. A range goes along by itself. `kept`:
    whether a browser may keep the way there, since it will always be the same."""
    answer = {name.lower(): headers[name] for name in ("Content-Type", "Content-Disposition", "Cache-Control")}
    control = f"private, max-age={_REDIRECT_KEPT_SECONDS}" if kept else "private, no-store"
    return RedirectResponse(signer.url(key, now, answer), status_code=302, headers={"Cache-Control": control})


async def _send(storage: Storage, key: str, part: Part | None, size: int, headers: dict[str, str]) -> Response:
    chunks: AsyncIterator[bytes]
    if part is None:
        chunks = await storage.stream(key)
        return StreamingResponse(chunks, headers=headers)
    chunks = await storage.stream(key, part.start, part.end)
    span = {"Content-Range": f"bytes {part.start}-{part.end - 1}/{size}"}
    return StreamingResponse(chunks, status_code=206, headers=headers | span)


def _headers(asset: Asset, variant: str, tagged: str, download: bool) -> dict[str, str]:
    """Headers that the file has whatever is answered; `tagged` ends its ETag. Names are ASCII, so the header needs no
    second form."""
    disposition = "attachment" if download else "inline"
    name = file_name(asset) if variant == "original" else f"{file_name(asset).rpartition('.')[0]}-{variant}.webp"
    return {
        "ETag": f'"{asset.sha256.hex()[:32]}-{tagged}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": FILE_POLICY,
        "Content-Disposition": f'{disposition}; filename="{name}"',
    }
