"""The sample pictures of models and styles, for pages and API alike: given, replaced, taken away."""

from fastapi import Request, UploadFile
from starlette.datastructures import UploadFile as SentFile

from gesso.accounts.access import Actor
from gesso.admin.frame import deed_of
from gesso.catalog.edits.styles import Shown, set_sample
from gesso.core.errors import InvalidInput, TooLarge
from gesso.media import samples

FIELD = "file"
MISSING: dict[Shown, str] = {"model": "There is no such model.", "style_preset": "There is no such style."}
_WORDS: dict[Shown, str] = {"model": "model", "style_preset": "style"}


async def sent(request: Request) -> UploadFile:
    """The file of a form. Raises InvalidInput on `file` when none was chosen."""
    found = (await request.form(max_files=1)).get(FIELD)
    if not isinstance(found, SentFile) or not found.filename:
        raise InvalidInput("Choose a picture first.", fields={FIELD: "Choose a picture first."})
    return UploadFile(found.file, size=found.size, filename=found.filename, headers=found.headers)


async def put(request: Request, actor: Actor, shown: Shown, key: str, file: UploadFile) -> None:
    """Take a picture in, as strictly as people's uploads, and show it. The one before goes by night.

    Raises TooLarge and HostileFile on `file`, NotFound, Unavailable.
    """
    state = request.app.state
    limit = state.settings.storage.max_upload_bytes
    data = await file.read(limit + 1)
    if len(data) > limit:
        words = f"A picture may have at most {limit // 2**20} MB."
        raise TooLarge(words, fields={FIELD: words})
    name = await samples.keep(state.storage, state.ingest, data, file.content_type)
    await _set(request, actor, shown, key, name)


async def drop(request: Request, actor: Actor, shown: Shown, key: str) -> None:
    """Show none. Raises NotFound."""
    await _set(request, actor, shown, key, None)


async def _set(request: Request, actor: Actor, shown: Shown, key: str, name: str | None) -> None:
    word = _WORDS[shown]
    async with request.app.state.db.elevated(f"operator: sample picture of a {word}") as tx:
        await set_sample(tx, shown, key, name, MISSING[shown])
        deed = f"{word}.sample_removed" if name is None else f"{word}.sample_changed"
        await deed_of(request, actor).note(tx, deed, **{word: key})
