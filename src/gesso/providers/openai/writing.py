"""Text as it comes: a streamed or whole chat answer to pieces, with what can go wrong on the way."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer, Streamed
from gesso.providers.openai import chat, failures, wire
from gesso.providers.openai.chat import Manner
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.openai.pricing import cost_micro_usd
from gesso.providers.passing import Passing
from gesso.providers.text import Finish, TextEnd, TextRequest, TextUsage

IDLE_SECONDS = 90.0
"""The longest silence inside a stream. Models that think first may be silent for long."""
_REFUSED = "The model declined to answer this."


async def write(client: OpenAIClient, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated."""
    manner = chat.manner_of(request.wire, is_openai=client.is_openai)
    body = chat.body_of(request, manner)
    gate = _Gate(wants_json=request.schema is not None)
    try:
        async with aclosing(_turns(client, body, manner, gate)) as turns:
            async for piece in turns:
                yield piece
        for piece in gate.rest():
            yield piece
    except NoAnswer as error:
        if error.sent:
            raise OutcomeUnknown(note=f"Chat: {error}") from None
        raise Unavailable(note=f"Chat: {error}") from None
    yield gate.end(manner)


class _Gate:
    """What has come so far, and what of it may go on."""

    def __init__(self, *, wants_json: bool) -> None:
        self._passing = Passing(wants_json=wants_json)
        self.refused = ""
        self.finish: str | None = None
        self.usage: wire.Tokens | None = None

    @property
    def shown(self) -> bool:
        return self._passing.shown

    def take(self, turn: wire.Turn) -> str:
        """Note what came; returns the text to pass on now, perhaps none."""
        self.refused += turn.refusal
        self.finish = turn.finish or self.finish
        self.usage = turn.usage or self.usage
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
        return TextEnd(finish, usage, cost_micro_usd(self.usage, manner.usd_per_million))


async def _turns(client: OpenAIClient, body: dict[str, JSON], manner: Manner, gate: _Gate) -> AsyncGenerator[str, None]:
    url, seconds = client.url("chat/completions"), float(manner.seconds)
    if not manner.stream:
        if piece := gate.take(_whole(await client.call("POST", url, body=body, seconds=seconds), client)):
            yield piece
        return
    headers = {"Accept": "text/event-stream, application/json"}
    idle = min(IDLE_SECONDS, seconds)
    async with client.stream("POST", url, body=body, headers=headers, seconds=seconds, idle_seconds=idle) as streamed:
        if streamed.status != 200 or not streamed.is_events:
            if piece := gate.take(_whole(await streamed.read(), client)):
                yield piece
            return
        async with aclosing(_events(streamed, gate, client)) as pieces:
            async for piece in pieces:
                yield piece


async def _events(streamed: Streamed, gate: _Gate, client: OpenAIClient) -> AsyncGenerator[str, None]:
    async for data in streamed.events():
        if data.strip() == "[DONE]":
            return
        turn = wire.turn(_decoded(data), "delta")
        if turn.error is not None:
            raise _broken(turn.error, gate, client)
        if not turn.readable:
            raise OutcomeUnknown(note="Chat: an event of the stream is not JSON.")
        if piece := gate.take(turn):
            yield piece
    if gate.finish is None and not gate.refused:
        raise OutcomeUnknown(note="Chat: the stream ended in the middle.")


def _broken(error: wire.ErrorBody, gate: _Gate, client: OpenAIClient) -> ProviderError:
    """An error inside the stream: what it says, unless text has been passed on, which cannot be taken back."""
    told = failures.of_event(error, client.mask)
    if gate.shown and not (isinstance(told, Rejected) and told.kind == "safety"):
        return OutcomeUnknown(note=told.note)
    return told


def _whole(answer: Answer, client: OpenAIClient) -> wire.Turn:
    """An answer that was not streamed: an error, or all of the text at once."""
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "text")
    turn = wire.turn(answer.data(), "message")
    if turn.error is not None:
        raise failures.of_event(turn.error, client.mask)
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
