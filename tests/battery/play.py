"""Plays one case at the adapter itself: asks, follows the job, fetches the result, and gathers all that was said."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError
from pydantic import SecretStr

from gesso.core.fetch import FetchError, SafeFetcher
from gesso.core.ids import new_id
from gesso.providers import exchange
from gesso.providers.base import (
    Connected,
    ConnectionConfig,
    Done,
    Failed,
    InputFile,
    MediaRequest,
    Operation,
    OutputFile,
    Pending,
    Provider,
)
from gesso.providers.errors import Busy, ProviderError, Unavailable
from gesso.providers.http import HttpClient
from gesso.providers.registry import build
from gesso.providers.text import Judge, TextEnd, TextMessage, TextRequest, Writer
from tests.battery.adapters import Entry
from tests.battery.faults import FINE, Capability, Fault, Nobody, Spoilt, WrongKey
from tests.battery.line import Line

HURRY_SECONDS = 0.7
"""What is left of any time limit when the line is silent."""
LONGEST_SECONDS = 20.0
NOBODY = "http://127.0.0.1:9"
ACCOUNT, SECRET = "account-0a1b2c", "the-secret-word-3d4e5f"
SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["prompts"],
    "properties": {"prompts": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}},
}  # fmt: skip


def _picture() -> InputFile:
    data = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 120, 40)).save(data, "PNG")
    return InputFile("image/png", data.getvalue())


PICTURE = _picture()


@dataclass
class Played:
    """What came of it. `said` is everything that a person, a log or the books could get to see."""

    outcome: str = FINE
    error: ProviderError | None = None
    cost_micro_usd: int | None = None
    pieces: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    longest_wait: float = 0.0

    def failed(self, error: ProviderError) -> None:
        self.outcome, self.error = error.code, error
        self.said += [str(error), repr(error), error.note or "", error.code]


@contextmanager
def hurried(played: Played, *, silent: bool) -> Iterator[None]:
    """Notes the longest time an adapter is ready to wait for an answer; where nobody will answer, shortens it."""
    sending = HttpClient._sending

    def shortened(self: HttpClient, request: Any, seconds: float, *, read_seconds: float) -> Any:
        played.longest_wait = max(played.longest_wait, seconds)
        most = HURRY_SECONDS if silent else seconds
        return sending(self, request, min(seconds, most), read_seconds=min(read_seconds, most))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpClient, "_sending", shortened)
        yield


async def play(entry: Entry, capability: Capability, fault: Fault, line: Line) -> Played:
    """One call, seen through. Anything but a ProviderError is the adapter's bug and is raised."""
    line.clear()
    if isinstance(fault.way, Spoilt):
        at = entry.submit if fault.way.stage == "submit" else entry.status
        assert at is not None, f"{entry.adapter} follows jobs, so its entry must say what asks for them"
        line.strike(fault.way.how, at, fault.way.times or 1000)
    ask, word, played = entry.asks[capability], entry.word_for(fault, capability), Played()
    secret = "wrong" if isinstance(fault.way, WrongKey) else f"fault-{word}" if ask.wordless and word else SECRET
    config = ConnectionConfig(
        base_url=f"{NOBODY if isinstance(fault.way, Nobody) else line.url}/{entry.adapter}",
        api_key=SecretStr(entry.key(ACCOUNT, secret)), options=entry.options,
    )  # fmt: skip
    words = f"a lighthouse, {capability} {fault.name}" + (f" sandbox:{word}" if word and not ask.wordless else "")
    silent = isinstance(fault.way, Spoilt) and fault.way.how.__name__ == "silent"
    adapter = build(entry.adapter, config)
    try:
        with exchange.recording() as records, hurried(played, silent=silent):
            async with asyncio.timeout(LONGEST_SECONDS):
                endless = fault.name == "endless"
                await _asked(adapter, entry, capability, words, played, config.base_url or "", endless=endless)
        played.said += [repr(record) for record in records]
    finally:
        await adapter.aclose()
    return played


async def _asked(
    adapter: Connected, entry: Entry, capability: Capability, words: str, played: Played, base: str, *, endless: bool
) -> None:  # fmt: skip
    ask = entry.asks[capability]
    inputs = (PICTURE,) if ask.picture or capability in ("edit", "vision") else ()
    try:
        if capability == "moderation":
            assert isinstance(adapter, Judge)
            judgement = await adapter.judge(ask.model, words, inputs)
            assert all(0 <= score <= 1 for score in judgement.scores.values())
        elif capability in ("image", "edit", "video"):
            assert isinstance(adapter, Provider)
            kind: Any = "video" if capability == "video" else "image"
            request = MediaRequest(kind, ask.model, words, inputs=inputs, wire=ask.wire, deadline_seconds=300,
                                   **ask.fields)  # fmt: skip
            await _made(adapter, request, played, base, endless=endless)
        else:
            assert isinstance(adapter, Writer)
            schema = SCHEMA if capability == "structured" else None
            turn = TextMessage("user", f"Write 3 prompts for pictures of {words}", inputs)
            written = TextRequest(ask.model, (turn,), schema=schema, wire=ask.wire, **ask.fields)
            async for piece in adapter.write(written, "battery"):
                if isinstance(piece, TextEnd):
                    played.cost_micro_usd = piece.cost_micro_usd
                else:
                    played.pieces.append(piece)
    except ProviderError as error:
        played.failed(error)


async def _made(
    adapter: Provider, request: MediaRequest, played: Played, base: str, *, endless: bool
) -> None:  # fmt: skip
    taken = await adapter.submit(request, str(new_id()))
    ended = await _followed(adapter, taken, played, endless=endless) if isinstance(taken, Operation) else taken
    if ended is None:
        return
    played.cost_micro_usd = ended.cost_micro_usd
    if isinstance(ended, Failed):
        played.failed(ended.error)
        return
    played.said += ended.warnings
    fetcher = SafeFetcher([base])
    try:
        for file in ended.files:
            played.outcome = await _file(file, fetcher, request.kind)
    finally:
        await fetcher.aclose()


async def _followed(
    adapter: Provider, operation: Operation, played: Played, *, endless: bool
) -> Done | Failed | None:  # fmt: skip
    """How the job ended; None when it had not after a while, and its cancelling was asked for."""
    pending = 0
    while True:
        try:
            state = await adapter.poll(Operation(operation.id, dict(operation.data)))
        except (Busy, Unavailable) as error:
            played.said += [str(error), error.note or ""]
        else:
            if not isinstance(state, Pending):
                return state
            pending += 1
            if endless and pending > 2:
                await adapter.cancel(operation)
                played.outcome = "pending"
                return None
        await asyncio.sleep(0.03)


async def _file(file: OutputFile, fetcher: SafeFetcher, kind: str) -> str:
    """The product's word for what is wrong with a result, or "done"."""
    data = file.data
    if data is None:
        try:
            data = (await fetcher.get(file.url or "", max_bytes=2**26, timeout_seconds=10)).data
        except FetchError:
            return "result_gone"
    if kind == "video":
        return FINE if data[4:8] == b"ftyp" else "bad_file"
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError):
        return "bad_file"
    return FINE
