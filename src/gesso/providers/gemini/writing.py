"""Text as it comes. Streams are read as OpenAI's are; what an event says is read here.

There is no mark of the end but the end of the stream, so one without a finishReason was cut.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from gesso.providers.errors import ProviderError
from gesso.providers.gemini import chat, failures, wire
from gesso.providers.gemini.client import GeminiClient
from gesso.providers.gemini.options import Shape, shape_of
from gesso.providers.gemini.pricing import cost_micro_usd
from gesso.providers.openai.chat import Manner
from gesso.providers.openai.wire import ErrorBody, Tokens, Turn
from gesso.providers.openai.writing import Dialect, said
from gesso.providers.text import TextEnd, TextRequest

_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}


async def write(client: GeminiClient, request: TextRequest) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated."""
    shape = shape_of(request.model, "text", request.wire)
    url = client.call_of(request.model, "streamGenerateContent?alt=sse" if shape.stream else "generateContent")
    body, is_json = chat.body_of(request, shape), request.schema is not None
    manner = Manner(stream=shape.stream, seconds=shape.seconds)
    async with aclosing(said(client, url, body, manner, _dialect(client, shape), is_json=is_json)) as pieces:
        async for piece in pieces:
            yield piece


@dataclass(frozen=True)
class _Named(ErrorBody):
    """An error that has its name already."""

    error: ProviderError | None = None


def _dialect(client: GeminiClient, shape: Shape) -> Dialect:
    def turn(data: Any, part: Literal["message", "delta"]) -> Turn:
        reply = wire.reply(data)
        error = failures.of_event(reply.problem, client.mask, "text") if reply.problem else failures.refusal(reply)
        used = reply.usage
        return Turn(
            reply.text,
            finish=_FINISHES.get(reply.finish or ""),
            usage=Tokens(used.input, used.output) if used else None,
            error=_Named(error=error) if error is not None else None,
            readable=reply.readable,
            cost_micro_usd=cost_micro_usd(used, shape.usd_per_million),
        )

    def told(body: ErrorBody, _: object) -> ProviderError:
        assert isinstance(body, _Named) and body.error is not None
        return body.error

    return Dialect(turn, lambda answer, mask: failures.classify(answer, mask, "text"), told)
