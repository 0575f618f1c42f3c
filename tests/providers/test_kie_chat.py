"""kie.ai's chat over real HTTP: what is sent, its two shapes of errors, and every way its streams may end."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import JSON, ConnectionConfig, InputFile
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError
from gesso.providers.kie import chatting
from gesso.providers.kie.adapter import KieAdapter
from gesso.providers.text import TextEnd, TextMessage, TextRequest, TextUsage
from tests.providers.loopback import NGINX, Reply, Seen, loopback, told

SCHEMA: dict[str, JSON] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
PNG = InputFile("image/png", b"picture")
END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
HI = 'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'


def events(*texts: str, close: bool = True) -> Reply:
    """A stream of these events; then the end of it, or a connection that stays open."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for text in texts:
            writer.write(f"{len(text.encode()):x}\r\n".encode() + text.encode() + b"\r\n")
            await writer.drain()
        if close:
            writer.write(b"0\r\n\r\n")
        else:
            await asyncio.sleep(5)

    return Reply(stream=send)


async def written(reply: Any, **asked: Any) -> tuple[str, TextEnd, list[Seen]]:
    request = TextRequest(**{"model": "gemini-3-pro", "messages": (TextMessage("user", "Hello"),), **asked})
    async with loopback(reply if callable(reply) else lambda _: reply) as server:
        adapter = KieAdapter(ConnectionConfig(base_url=server.url, api_key=SecretStr("api-key-1:hook-key-2")))
        try:
            pieces = [piece async for piece in adapter.write(request, "key")]
        finally:
            await adapter.aclose()
            assert len([seen for seen in server.seen if "chat" in seen.path]) <= 1, "what costs is sent once"
    end = pieces.pop()
    assert isinstance(end, TextEnd)
    return "".join(map(str, pieces)), end, server.seen


async def test_what_is_sent() -> None:
    messages = (TextMessage("system", "Be brief."), TextMessage("user", "Hello"))
    _, _, (seen,) = await written(events(HI, END), messages=messages, max_output_tokens=9)
    assert (seen.target, seen.headers["authorization"]) == ("/gemini-3-pro/v1/chat/completions", "Bearer api-key-1")
    assert seen.json() == {
        "messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                     {"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True, "include_thoughts": False, "reasoning_effort": "low", "max_tokens": 9,
    }  # fmt: skip


async def test_stream_is_said_even_when_it_is_not_wanted() -> None:
    whole = told(200, {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "credits_consumed": 0.02,
                       "usage": {"prompt_tokens": 3, "completion_tokens": 1}})  # fmt: skip
    text, end, (seen,) = await written(whole, wire={"stream": False, "limit": "none", "defaults": {}}, model="gpt-5-2")
    assert seen.json()["stream"] is False and not {"model", "max_tokens", "reasoning_effort"} & seen.json().keys()
    assert (text, end) == ("Hi", TextEnd("stop", TextUsage(3, 1), 100))


@pytest.mark.parametrize(("model", "native"), [("gemini-3-pro", True), ("gemini-3-flash", False)])
async def test_a_schema_is_said_where_it_is_documented_and_asked_for_in_words_elsewhere(
    model: str, native: bool
) -> None:  # fmt: skip
    answer = events(HI.replace("Hi", '{\\"a\\":1}'), END)
    text, _, (seen,) = await written(answer, model=model, schema=SCHEMA)
    assert json.loads(text) == {"a": 1}
    assert ("response_format" in seen.json()) == native and ("JSON Schema" in str(seen.json()["messages"])) != native


@pytest.mark.parametrize(("wire", "inline"), [({}, False), ({"pictures": "inline"}, True)])
async def test_pictures_are_addresses(wire: dict[str, JSON], inline: bool) -> None:
    def answer(seen: Seen) -> Reply:
        stored = {"success": True, "code": 200, "data": {"downloadUrl": "https://files.example/a.png"}}
        return told(200, stored) if "upload" in seen.path else events(HI, END)

    _, _, seen = await written(answer, messages=(TextMessage("user", "Look", (PNG,)),), wire=wire)
    url = seen[-1].json()["messages"][0]["content"][1]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,") if inline else url == "https://files.example/a.png"
    assert len(seen) == (1 if inline else 2)


@pytest.mark.parametrize(
    "stream",
    [
        (HI, END), (HI, END, "data: [DONE]\n\n"), (HI,), (HI, "data: [DONE]\n\n"),
        (HI, END, 'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2},"credits_consumed":1}\n\n'),
    ],
)  # fmt: skip
async def test_every_way_a_stream_may_end(stream: tuple[str, ...]) -> None:
    if stream == (HI, "data: [DONE]\n\n"):
        stream = (HI, "data: [DONE]\n\n", HI)  # nothing behind it is read
    text, end, _ = await written(events(*stream))
    told_more = "credits_consumed" in stream[-1]
    assert (text, end.finish, end.cost_micro_usd) == ("Hi", "stop", 5000 if told_more else None)
    assert end.usage == (TextUsage(4, 2) if told_more else TextUsage())


async def test_a_stream_that_stays_open_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatting, "LINGER_SECONDS", 0.05)
    text, end, _ = await written(events(HI, END, close=False))
    assert (text, end.finish) == ("Hi", "stop")


async def test_a_stream_torn_after_its_last_word_is_whole_and_before_it_is_not() -> None:
    def torn(*texts: str) -> Reply:
        async def send(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for text in texts:
                writer.write(f"{len(text):x}\r\n{text}\r\n".encode())
            await writer.drain()

        return Reply(stream=send)

    assert (await written(torn(HI, END)))[0] == "Hi"
    with pytest.raises(OutcomeUnknown):
        await written(torn(HI))


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (told(401, {"error": {"message": "no", "type": "authentication_error"}}), "misconfigured_key"),
        (told(400, {"error": {"message": "no", "type": "invalid_request_error"}}), "rejected_input"),
        (told(429, {"error": {"message": "no", "type": "rate_limit_error"}}), "busy"),
        (told(500, {"code": 500, "msg": "no", "data": None}), "unavailable"),
        (told(200, {"code": 500, "msg": "no", "data": None}), "unavailable"),
        (told(200, {"code": 402, "msg": "no", "data": None}), "misconfigured_credit"),
        (told(200, {"code": 455, "msg": "no"}), "unavailable"), (told(404, {"code": 404}), "misconfigured_model"),
        (told(200, {"code": 400, "msg": "content policy"}), "rejected_safety"), (NGINX, "unavailable"),
        (events('data: {"code":433,"msg":"cap","data":null}\n\n'), "misconfigured_credit"),
        (events('data: {"error":{"message":"x","type":"rate_limit_error"}}\n\n'), "busy"),
        (events(HI, 'data: {"code":500,"msg":"no"}\n\n'), "outcome_unknown"), (events(), "outcome_unknown"),
        (events('data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}\n\n'), "rejected_safety"),
        (events(END), "rejected_failed"), (events("data: {broken\n\n"), "outcome_unknown"),
    ],
)  # fmt: skip
async def test_both_shapes_of_errors_in_every_place(reply: Reply, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await written(reply)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("model", "wire"), [("../credit", {}), ("a/b", {}), ("", {}), ("gemini-3-pro", {"pictures": "ftp"})]
)
async def test_what_cannot_be_asked_is_the_operators(model: str, wire: dict[str, JSON]) -> None:
    with pytest.raises(Misconfigured):
        await written(events(HI, END), model=model, wire=wire)
