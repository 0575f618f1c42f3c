"""kie.ai's chat models: OpenAI's wire with the model in the path, written and read by that adapter's own writer.

What is different (fact sheet, section 6): `stream` is on unless it is said; turns are lists of parts; pictures are
addresses; errors come in two shapes, also with status 200; answers may tell the credits they cost; and how a stream
ends is not documented, so that `finish_reason`, `[DONE]` and the end of the stream all end it.

`TextRequest.wire` is that of OpenAI's chat (see openai/chat.py), with other usual values, and

    {"pictures": "upload" | "inline"}     pictures by the file store (usual), or inside the request
"""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from gesso.providers.base import JSON, InputFile
from gesso.providers.errors import Misconfigured, ProviderError
from gesso.providers.http import Answer
from gesso.providers.kie import failures, wire
from gesso.providers.kie.client import KieClient
from gesso.providers.kie.uploads import url_of
from gesso.providers.openai import chat, writing
from gesso.providers.openai import failures as openai_failures
from gesso.providers.openai import wire as openai_wire
from gesso.providers.text import TextEnd, TextRequest
from gesso.providers.wiredata import unusable

LINGER_SECONDS = 2.0
"""How long the rest of a stream (usage, credits, [DONE]) is waited for after the last word."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,80}")
_TAKES_SCHEMA = frozenset({"gemini-2.5-pro", "gemini-3-pro", "gemini-2.5-flash"})
"""The models on whose pages a response_format is documented; the others are asked in words."""


async def write(
    client: KieClient, request: TextRequest, cost: Callable[[Decimal | None], int | None]
) -> AsyncGenerator[str | TextEnd, None]:
    """See Writer.write: one POST, never repeated. `cost`: credits to micro-dollars."""
    if not _NAME.fullmatch(request.model):
        raise Misconfigured("model", note=f"{request.model[:80]!r} is not a chat model such as gemini-3-pro.")
    given = dict(request.wire)
    by_address = given.pop("pictures", "upload")
    if by_address not in ("upload", "inline"):
        raise unusable("pictures")
    manner = chat.manner_over(given, _usual(request.model))
    check = chat.body_of(request, manner)  # refuses a bad request before anything is uploaded
    addresses: dict[int, str] = {}
    if by_address == "upload":
        for image in (image for message in request.messages for image in message.images):
            addresses.setdefault(id(image), await url_of(client, image))
    body = chat.body_of(request, manner, lambda image: _address(image, addresses)) if addresses else check
    dialect = writing.Dialect(
        turn=lambda data, part: _turn(data, part, cost),
        refused=_refused,
        told=_told,
        linger_seconds=LINGER_SECONDS,
        ends_silently=True,
    )
    url = f"{client.base}/{request.model}/v1/chat/completions"
    said = writing.said(client, url, _in_parts(body, manner), manner, dialect, is_json=request.schema is not None)
    async with aclosing(said) as pieces:
        async for piece in pieces:
            yield piece


def _usual(model: str) -> chat.Manner:
    """How its models are asked unless the catalogue says otherwise. Thinking is short, and not sent along: chains wait
    for the answer."""
    thinks: dict[str, JSON] = {"include_thoughts": False, "reasoning_effort": "low"}
    return chat.Manner(
        limit="max_tokens", schema="json_schema" if model in _TAKES_SCHEMA else "instruction", usage=False,
        defaults=thinks if model.startswith("gemini") else {},
    )  # fmt: skip


def _address(image: InputFile, addresses: dict[int, str]) -> str:
    return addresses[id(image)]


def _in_parts(body: dict[str, JSON], manner: chat.Manner) -> dict[str, JSON]:
    """Turns as lists of parts, `stream` said in any case, and the model left to the path."""
    messages = body["messages"]
    assert isinstance(messages, list)
    turns: list[JSON] = []
    for message in messages:
        assert isinstance(message, dict)
        content = message["content"]
        turns.append(
            {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message
        )
    rest = {name: value for name, value in body.items() if name != "model" or "model" in manner.defaults}
    return {**rest, "messages": turns, "stream": manner.stream}


def _turn(
    data: Any, part: Literal["message", "delta"], cost: Callable[[Decimal | None], int | None]
) -> openai_wire.Turn:  # fmt: skip
    """A chat answer or a chunk, or the envelope of an error in its place."""
    told = wire.envelope(200, data)
    if told.told and isinstance(data, dict) and "choices" not in data:
        return openai_wire.Turn(error=openai_wire.ErrorBody(told.message, "", str(told.code)))
    found = openai_wire.turn(data, part)
    usage = data.get("usage") if isinstance(data, dict) else None
    credits = wire.credits(data)
    return replace(found, cost_micro_usd=cost(credits if credits is not None else wire.credits(usage)))


def _refused(answer: Answer, mask: failures.Mask) -> ProviderError:
    """An error status: kie.ai's envelope, or OpenAI's shape."""
    told = wire.envelope(answer.status, answer.data())
    if told.told:
        return failures.classify(told, answer.headers, mask)
    return openai_failures.classify(answer, mask, "text")


def _told(body: openai_wire.ErrorBody, mask: failures.Mask) -> ProviderError:
    """An error inside an answer with status 200, or inside a stream."""
    if body.code.isascii() and body.code.isdigit():
        told = wire.Envelope(int(body.code), False, True, body.message, None)
        return failures.classify(told, {}, mask)
    return openai_failures.of_event(body, mask)
