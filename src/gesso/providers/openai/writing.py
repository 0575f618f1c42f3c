"""Text as it comes: a streamed or whole chat answer to pieces, with what can go wrong on the way."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected
from gesso.providers.http import Answer, HttpClient, NoAnswer, Streamed
from gesso.providers.openai import chat, failures, wire
from gesso.providers.openai.chat import Manner
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.openai.pricing import cost_micro_usd
from gesso.providers.passing import Passing
from gesso.providers.text import Finish, TextEnd, TextRequest, TextUsage

IDLE_SECONDS = 90.0
"""The longest silence inside a stream. Models that think first may be silent for long."""
_REFUSED = "The model declined to answer this."
Mask = Callable[[str], str]


@dataclass(frozen=True)
class Dialect:
    """How a server that answers nearly like OpenAI is read.

    `turn` reads an answer, or a chunk of one; `refused` an answer with an error status; `told` an error inside an
    answer. `ends_silently`: a stream may end without a finish_reason. `linger_seconds`: after a finish_reason nothing
    more is needed, and the rest is waited for no longer than this; None where the server says when it has ended.
    """

    turn: Callable[[Any, Literal["message", "delta"]], wire.Turn] = wire.turn
    refused: Callable[[Answer, Mask], ProviderError] = lambda answer, mask: failures.classify(answer, mask, "text")
    told: Callable[[wire.ErrorBody, Mask], ProviderError] = failures.of_event
    ends_silently: bool = False
    linger_seconds: float | None = None


async def write(client: OpenAIClient, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated."""
    manner = chat.manner_of(request.wire, is_openai=client.is_openai)
    body, is_json = chat.body_of(request, manner), request.schema is not None
    url = client.url("chat/completions")
    async with aclosing(said(client, url, body, manner, Dialect(), is_json=is_json)) as pieces:
        async for piece in pieces:
            yield piece


async def said(
    client: HttpClient, url: str, body: dict[str, JSON], manner: Manner, dialect: Dialect, *, is_json: bool
) -> AsyncGenerator[str | TextEnd, None]:
    """What is answered to `body`; `is_json` where it must be a JSON object."""
    gate = _Gate(wants_json=is_json)
    try:
        async with aclosing(_turns(client, url, body, manner, gate, dialect)) as turns:
            async for piece in turns:
                yield piece
    except NoAnswer as error:
        if gate.finish is None or dialect.linger_seconds is None:
            raise error.while_making("Chat") from None
    for piece in gate.rest():
        yield piece
    yield gate.end(manner)


class _Gate:
    """What has come so far, and what of it may go on."""

    def __init__(self, *, wants_json: bool) -> None:
        self._passing = Passing(wants_json=wants_json)
        self.refused = ""
        self.finish: str | None = None
        self.usage: wire.Tokens | None = None
        self.cost_micro_usd: int | None = None

    @property
    def text(self) -> str:
        return self._passing.text

    @property
    def shown(self) -> bool:
        return self._passing.shown

    def take(self, turn: wire.Turn) -> str:
        """Note what came; returns the text to pass on now, perhaps none."""
        self.refused += turn.refusal
        self.finish = turn.finish or self.finish
        self.usage = turn.usage or self.usage
        self.cost_micro_usd = turn.cost_micro_usd if turn.cost_micro_usd is not None else self.cost_micro_usd
        return "" if self.refused else self._passing.take(turn.text)

    def rest(self) -> list[str]:
        """What was held back, checked. Raises Rejected and OutcomeUnknown."""
        if self.finish == "error":
            raise OutcomeUnknown(note="Chat: the answer ended with an error.")
        if self.refused or self.finish == "content_filter":
            raise Rejected(_REFUSED, "safety", note=f"finish_reason {self.finish}, {len(self.refused)} characters")
        return self._passing.rest(cut=self.finish == "length", finish=self.finish)

    def end(self, manner: Manner) -> TextEnd:
        finish: Finish = "length" if self.finish == "length" else "stop"
        used = self.usage or wire.Tokens()
        usage = TextUsage(used.input, used.output)
        cost = self.cost_micro_usd
        return TextEnd(finish, usage, cost if cost is not None else cost_micro_usd(self.usage, manner.usd_per_million))


async def _turns(
    client: HttpClient, url: str, body: dict[str, JSON], manner: Manner, gate: _Gate, dialect: Dialect
) -> AsyncGenerator[str, None]:
    seconds = float(manner.seconds)
    if not manner.stream:
        if piece := gate.take(_whole(await client.call("POST", url, body=body, seconds=seconds), client, dialect)):
            yield piece
        return
    headers = {"Accept": "text/event-stream, application/json"}
    idle = min(IDLE_SECONDS, seconds)
    async with client.stream("POST", url, body=body, headers=headers, seconds=seconds, idle_seconds=idle) as streamed:
        if streamed.status != 200 or not streamed.is_events:
            if piece := gate.take(_whole(await streamed.read(), client, dialect)):
                yield piece
            return
        async with aclosing(_events(streamed, gate, client, dialect)) as pieces:
            async for piece in pieces:
                yield piece


async def _events(
    streamed: Streamed, gate: _Gate, client: HttpClient, dialect: Dialect
) -> AsyncGenerator[str, None]:  # fmt: skip
    events = streamed.events()
    while (data := await _next(events, dialect.linger_seconds if gate.finish else None)) is not None:
        if data.strip() == "[DONE]":
            return
        turn = dialect.turn(_decoded(data), "delta")
        if turn.error is not None:
            raise _broken(turn.error, gate, client, dialect)
        if not turn.readable:
            raise OutcomeUnknown(note="Chat: an event of the stream is not JSON.")
        if piece := gate.take(turn):
            yield piece
    if gate.finish is None and not gate.refused and not (dialect.ends_silently and gate.text):
        raise OutcomeUnknown(note="Chat: the stream ended in the middle.")


async def _next(events: AsyncIterator[str], seconds: float | None) -> str | None:
    """The next event; None at the end of the stream, or when `seconds` have passed."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(events, None)
    except TimeoutError:
        return None


def _broken(error: wire.ErrorBody, gate: _Gate, client: HttpClient, dialect: Dialect) -> ProviderError:
    """An error inside the stream: what it says, unless text has been passed on, which cannot be taken back."""
    told = dialect.told(error, client.mask)
    if gate.shown and not (isinstance(told, Rejected) and told.kind == "safety"):
        return OutcomeUnknown(note=told.note)
    return told


def _whole(answer: Answer, client: HttpClient, dialect: Dialect) -> wire.Turn:
    """An answer that was not streamed: an error, or all of the text at once."""
    if answer.status != 200:
        raise dialect.refused(answer, client.mask)
    turn = dialect.turn(answer.data(), "message")
    if turn.error is not None:
        raise dialect.told(turn.error, client.mask)
    if not turn.readable:
        if "html" in answer.headers.get("content-type", ""):
            raise Misconfigured("model", note="Chat: the address answers with a web page.")
        raise OutcomeUnknown(note="Chat: the answer cannot be read.")
    return turn


def _decoded(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None
