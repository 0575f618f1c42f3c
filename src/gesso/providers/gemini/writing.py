"""Text as it comes: a streamed or whole answer to pieces, with what can go wrong on the way."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.gemini import chat, failures, wire
from gesso.providers.gemini.client import GeminiClient
from gesso.providers.gemini.options import Shape, shape_of
from gesso.providers.gemini.pricing import cost_micro_usd
from gesso.providers.http import Answer, NoAnswer, Streamed
from gesso.providers.passing import Passing
from gesso.providers.text import TextEnd, TextRequest, TextUsage

IDLE_SECONDS = 90.0
"""The longest silence inside a stream. Models that think first may be silent for long."""


async def write(client: GeminiClient, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated."""
    shape = shape_of(request.model, "text", request.wire)
    url = client.call_of(request.model, "streamGenerateContent?alt=sse" if shape.stream else "generateContent")
    body = chat.body_of(request, shape)
    heard = _Heard(wants_json=request.schema is not None)
    try:
        async with aclosing(_pieces(client, url, body, shape, heard)) as pieces:
            async for piece in pieces:
                yield piece
    except NoAnswer as error:
        if error.sent:
            raise OutcomeUnknown(note=f"Text: {error}") from None
        raise Unavailable(note=f"Text: {error}") from None
    for piece in heard.rest():
        yield piece
    yield heard.end(shape)


class _Heard:
    """What has come so far, and what of it may go on."""

    def __init__(self, *, wants_json: bool) -> None:
        self._passing = Passing(wants_json=wants_json)
        self.refusal: Rejected | None = None
        self.finish: str | None = None
        self.usage: wire.Tokens | None = None

    @property
    def shown(self) -> bool:
        return self._passing.shown

    @property
    def ended(self) -> bool:
        """Whether the model has said that it is done, one way or the other."""
        return self.finish is not None or self.refusal is not None

    def take(self, reply: wire.Reply) -> str:
        """Note what came; returns the text to pass on now, perhaps none."""
        self.refusal = self.refusal or failures.refusal(reply)
        self.finish = reply.finish or self.finish
        self.usage = reply.usage or self.usage
        return "" if self.refusal else self._passing.take(reply.text)

    def rest(self) -> list[str]:
        """What was held back, checked. Raises Rejected."""
        if self.refusal is not None:
            raise self.refusal
        return self._passing.rest(cut=self.finish == "MAX_TOKENS", finish=self.finish)

    def end(self, shape: Shape) -> TextEnd:
        used = self.usage or wire.Tokens()
        usage = TextUsage(used.input, used.output)
        cost = cost_micro_usd(self.usage, shape.usd_per_million)
        return TextEnd("length" if self.finish == "MAX_TOKENS" else "stop", usage, cost)


async def _pieces(
    client: GeminiClient, url: str, body: dict[str, JSON], shape: Shape, heard: _Heard
) -> AsyncGenerator[str, None]:
    seconds = float(shape.seconds)
    if not shape.stream:
        if piece := heard.take(_whole(await client.call("POST", url, body=body, seconds=seconds), client)):
            yield piece
        return
    headers = {"Accept": "text/event-stream, application/json"}
    idle = min(IDLE_SECONDS, seconds)
    async with client.stream("POST", url, body=body, headers=headers, seconds=seconds, idle_seconds=idle) as streamed:
        if streamed.status != 200 or not streamed.is_events:
            if piece := heard.take(_whole(await streamed.read(), client)):
                yield piece
            return
        async with aclosing(_events(streamed, heard, client)) as pieces:
            async for piece in pieces:
                yield piece


async def _events(streamed: Streamed, heard: _Heard, client: GeminiClient) -> AsyncGenerator[str, None]:
    """There is no mark of the end but the end of the stream, so a stream without a finishReason was cut."""
    async for data in streamed.events():
        reply = wire.reply(_decoded(data))
        if reply.problem is not None:
            raise _broken(reply.problem, heard, client)
        if not reply.readable:
            raise OutcomeUnknown(note="Text: an event of the stream cannot be read.")
        if piece := heard.take(reply):
            yield piece
    if not heard.ended:
        raise OutcomeUnknown(note="Text: the stream ended in the middle.")


def _broken(told: wire.Problem, heard: _Heard, client: GeminiClient) -> ProviderError:
    """An error inside the stream: what it says, unless text has been passed on, which cannot be taken back."""
    error = failures.of_event(told, client.mask, "text")
    return OutcomeUnknown(note=error.note) if heard.shown else error


def _whole(answer: Answer, client: GeminiClient) -> wire.Reply:
    """An answer that was not streamed: an error, or all of the text at once."""
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "text")
    reply = wire.reply(answer.data())
    if reply.problem is not None:
        raise failures.of_event(reply.problem, client.mask, "text")
    if not reply.readable:
        if "html" in answer.headers.get("content-type", ""):
            raise Misconfigured("model", note="Text: the address answers with a web page.")
        raise OutcomeUnknown(note="Text: the answer cannot be read.")
    if reply.finish is None and reply.block is None and reply.text:
        raise OutcomeUnknown(note="Text: the answer ended in the middle.")
    return reply


def _decoded(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None
