"""The composer's form as it comes in, with or without scripts."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import Request
from starlette.datastructures import UploadFile

from gesso.accounts.access import Actor
from gesso.core.errors import GessoError, TooLarge
from gesso.generation.typed import Typed, texts_of
from gesso.media import service as media
from gesso.media.routes import UPLOADS_PER_HOUR
from gesso.web.ratelimit import hit

_FIELDS, _FILES = 300, 12


async def read(request: Request) -> dict[str, str | list[str]]:
    """The sent form. Browsers send line ends as two characters; what is counted and stored has one.

    `remove` names a reference picture that is to go.
    """
    found: dict[str, str | list[str]] = {}
    data = await request.form(max_fields=_FIELDS, max_files=_FILES)
    for name in data:
        texts = [value.replace("\r\n", "\n") for value in data.getlist(name) if isinstance(value, str)]
        if texts:
            found[name] = texts[0] if len(texts) == 1 else texts
    if gone := texts_of(found, "remove"):
        found["references"] = [text for text in texts_of(found, "references") if text not in gone]
    return found


async def take_uploads(request: Request, actor: Actor, typed: dict[str, str | list[str]]) -> dict[str, str]:
    """Pictures that came with the form itself join its references. Returns errors, by field."""
    state = request.app.state
    limit = state.settings.storage.max_upload_bytes
    sent = (await request.form()).getlist("upload")
    files = [value for value in sent if isinstance(value, UploadFile) and value.filename]
    if not files:
        return {}
    chosen = texts_of(typed, "references")
    typed["references"] = chosen
    try:
        for file in files:
            key, window = f"upload/{actor.workspace_id}", 3600
            await hit(state.db, key, UPLOADS_PER_HOUR, window, "Too many files in one hour.")
            data = await file.read(limit + 1)
            if len(data) > limit:
                raise TooLarge(f"A file may have at most {limit // 2**20} MB.")
            asset = await media.take_upload(
                state.db, state.storage, state.ingest, workspace_id=actor.workspace_id, user_id=actor.user_id,
                data=data, declared_type=file.content_type,
            )  # fmt: skip
            chosen.append(str(asset.id))
    except GessoError as error:
        return {"references": error.detail}
    return {}


def known_references(typed: Typed) -> Typed:
    """The form without references that cannot be any."""
    return {**typed, "references": [str(found) for found in ids_of(texts_of(typed, "references"))]}


def ids_of(texts: Sequence[str]) -> list[UUID]:
    """The ids among these texts."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
