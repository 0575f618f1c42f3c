"""Text as it comes: a streamed or whole chat answer to pieces, with what can go wrong on the way."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer, Streamed
from gesso.providers.openai import chat, failures, wire
from gesso.providers.openai.chat import Manner
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.openai.pricing import cost_micro_usd
from gesso.providers.text import Finish, TextEnd, TextRequest, TextUsage

IDLE_SECONDS = 90.0
"""The longest silence inside a stream. Models that think first may be silent for long."""
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
_REFUSED = "The model declined to answer this."


async def write(client: OpenAIClient, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated."""
    manner = chat.manner_of(request.wire, is_openai=client.is_openai)
    body = chat.body_of(request, manner)
    gate = _JsonGate() if request.schema is not None else _Gate()
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

    def __init__(self) -> None:
        self.text = ""
        self.shown = False
        self.refused = ""
        self.finish: str | None = None
        self.usage: wire.Tokens | None = None

    def take(self, turn: wire.Turn) -> str:
        """Note what came; returns the text to pass on now, perhaps none."""
        self.refused += turn.refusal
        self.finish = turn.finish or self.finish
        self.usage = turn.usage or self.usage
        self.text += turn.text
        piece = "" if self.refused else self.passed(turn.text)
        self.shown = self.shown or bool(piece)
        return piece

    def passed(self, text: str) -> str:
        return text

    def rest(self) -> list[str]:
        """What was held back, checked. Raises Rejected and OutcomeUnknown."""
        if self.finish == "error":
            raise OutcomeUnknown(note="Chat: the answer ended with an error.")
        if self.refused or self.finish == "content_filter":
            raise Rejected(_REFUSED, "safety", note=f"finish_reason {self.finish}, {len(self.refused)} characters")
        if not self.text.strip():
            raise Rejected("The model gave no answer.", "failed", note=f"Empty text, finish_reason {self.finish}.")
        return []

    def end(self, manner: Manner) -> TextEnd:
        finish: Finish = "length" if self.finish == "length" else "stop"
        used = self.usage or wire.Tokens()
        usage = TextUsage(used.input, used.output)
        return TextEnd(finish, usage, cost_micro_usd(self.usage, manner.usd_per_million))


class _JsonGate(_Gate):
    """Lets an answer in JSON pass as it comes, and holds anything else back: a server that ignores the schema may
    still have put the JSON into a fence. What is no JSON in the end is refused."""

    def passed(self, text: str) -> str:
        return text if self.text.lstrip().startswith("{") else ""

    def rest(self) -> list[str]:
        super().rest()
        text = self.text
        if not self.shown and (fenced := _FENCE.fullmatch(text)):
            text = fenced[1]
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            why = "cut at the limit" if self.finish == "length" else "not JSON"
            raise Rejected("The model did not answer in the form asked for.", "failed", note=f"The answer is {why}.")
        return [] if self.shown else [text]


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
