"""Text over real HTTP: streams, whole answers, refusals, breaks, and every error, against odd and even servers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, InputFile
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.openai.adapter import OpenAIAdapter
from gesso.providers.text import TextEnd, TextMessage, TextRequest, TextUsage
from tests.providers.hearing import chunked, heard_from, parts_of_a_slow_stream
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, loopback, told

KEY = "sk-proj-supersecretvalue1234"
SCHEMA: Mapping[str, Any] = {
    "type": "object", "properties": {"ideas": {"type": "array", "items": {"type": "string"}}}, "required": ["ideas"],
}  # fmt: skip
HI = TextRequest("m", (TextMessage("user", "hi"),))
JSON_HI = TextRequest("m", HI.messages, schema=SCHEMA)


def adapter_for(base_url: str, key: str | None = KEY) -> OpenAIAdapter:
    return OpenAIAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(key) if key else None))


def delta(text: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": finish}]}


def stream(*events: Any, done: bool = True, cut: bool = False) -> Reply:
    """A streamed answer in chunks; `cut` leaves the last chunk of the transfer out."""
    said = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return chunked(*(f"data: {data}\n\n" for data in ([*said, "[DONE]"] if done and not cut else said)), cut=cut)


def whole(text: str | None, finish: str = "stop", **message: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return told(200, {"id": "c", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


async def heard(reply: Reply, request: TextRequest = HI) -> tuple[list[str], TextEnd | ProviderError, Loopback]:
    """See heard_from. No sentence names the provider."""
    pieces, end, server = await heard_from(adapter_for, reply, request, "supersecret")
    if isinstance(end, ProviderError):
        assert "openai" not in end.message.lower()
    return pieces, end, server


async def failure(reply: Reply, request: TextRequest = HI) -> ProviderError:
    pieces, end, _ = await heard(reply, request)
    assert isinstance(end, ProviderError)
    assert pieces == []
    return end


# -- answers ------------------------------------------------------------------------------------------------------


async def test_pieces_come_as_they_are_made_and_usage_at_the_end() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
    first = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "usage": None}
    reply = stream(first, delta("Hel"), delta("lo\n\u2028there"), delta(finish="stop"), usage)
    request = TextRequest("m", HI.messages, wire={"usd_per_million": {"input": "0.25", "output": "2"}})
    pieces, end, server = await heard(reply, request)
    assert pieces == ["Hel", "lo\n\u2028there"]
    assert end == TextEnd("stop", TextUsage(9, 2), 7)  # 9 × 0.25 + 2 × 2 = 6.25
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert "text/event-stream" in seen.headers["accept"]
    assert seen.json()["max_tokens"] == 1024, "a server that is not OpenAI is asked in the older way"


async def test_the_first_piece_is_passed_on_before_the_last_has_come() -> None:
    first = f"data: {json.dumps(delta('one'))}\n\n"
    rest = f"data: {json.dumps(delta('two', 'stop'))}\n\ndata: [DONE]\n\n"
    parts = await parts_of_a_slow_stream(adapter_for, HI, first, rest)
    assert parts[:2] == ["one", "two"]


async def test_a_server_that_answers_whole_tells_no_usage_or_thinks_aloud() -> None:
    pieces, end, _ = await heard(whole("All at once."))
    assert (pieces, end) == (["All at once."], TextEnd("stop", TextUsage(5, 2)))
    pieces, end, _ = await heard(stream(delta(reasoning_content="hmm"), delta("Yes."), delta(finish="stop")))
    assert (pieces, end) == (["Yes."], TextEnd("stop"))
    pieces, end, _ = await heard(stream(delta("Yes."), delta(finish="stop"), done=False))
    assert (pieces, end) == (["Yes."], TextEnd("stop"))


async def test_a_text_cut_at_the_limit_says_so() -> None:
    _, end, _ = await heard(stream(delta("So"), delta(finish="length")))
    assert isinstance(end, TextEnd)
    assert end.finish == "length"
    pieces, end, _ = await heard(whole("So", "length"))
    assert (pieces, isinstance(end, TextEnd) and end.finish) == (["So"], "length")


async def test_no_stream_where_the_catalogue_says_so_and_no_key_where_none_is_set() -> None:
    async with loopback(lambda _: whole("ok")) as server:
        adapter = adapter_for(server.url, key=None)
        parts = [part async for part in adapter.write(TextRequest("m", HI.messages, wire={"stream": False}), "k")]
        await adapter.aclose()
    assert parts[0] == "ok"
    assert "stream" not in server.seen[0].json()
    assert "authorization" not in server.seen[0].headers


# -- a schema -----------------------------------------------------------------------------------------------------


async def test_json_streams_through_and_is_checked_at_the_end() -> None:
    pieces, end, _ = await heard(stream(delta('{"ideas"'), delta(':["a"]}'), delta(finish="stop")), JSON_HI)
    assert json.loads("".join(pieces)) == {"ideas": ["a"]}
    assert isinstance(end, TextEnd)


async def test_a_server_that_fences_its_json_is_understood() -> None:
    pieces, end, _ = await heard(stream(delta("```json\n"), delta('{"ideas":[]}\n```'), delta(finish="stop")), JSON_HI)
    assert ["".join(pieces), type(end)] == ['{"ideas":[]}', TextEnd]


@pytest.mark.parametrize("text", ["Sure! Here are some ideas.", '["a"]', "```\nnope\n```"])
async def test_what_is_no_json_is_refused_before_anything_is_shown(text: str) -> None:
    for reply in (whole(text), stream(delta(text), delta(finish="stop"))):
        error = await failure(reply, JSON_HI)
        assert isinstance(error, Rejected)
        assert error.kind == "failed"


async def test_json_cut_at_the_limit_is_a_failure() -> None:
    pieces, end, _ = await heard(stream(delta('{"ideas":["a'), delta(finish="length")), JSON_HI)
    assert pieces == ['{"ideas":["a']
    assert isinstance(end, Rejected)
    assert "limit" in (end.note or "")


# -- refusals and breaks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        whole(None, refusal="I cannot."),
        whole("", "content_filter"),
        stream(delta(refusal="I can"), delta(refusal="not."), delta(finish="stop")),
        stream({"error": {"message": "no", "code": "content_filter"}}),
        told(400, {"error": {"message": "no", "code": "content_policy_violation"}}),
        told(403, {"error": {"message": "flagged", "code": 403, "metadata": {"reasons": ["x"]}}}),
    ],
)
async def test_a_refusal_is_a_matter_of_safety(reply: Reply) -> None:
    error = await failure(reply)
    assert isinstance(error, Rejected)
    assert error.kind == "safety"


async def test_a_stop_for_content_after_some_text_is_safety_too() -> None:
    for last in (delta(finish="content_filter"), {"error": {"code": "content_filter", "message": "no"}}):
        pieces, end, _ = await heard(stream(delta("It was "), last))
        assert pieces == ["It was "]
        assert isinstance(end, Rejected)
        assert end.kind == "safety"


@pytest.mark.parametrize(
    "reply",
    [
        stream(delta("Hel"), cut=True),
        stream(delta("Hel"), done=False),
        stream(delta("Hel"), {"error": {"message": "boom", "type": "server_error"}}),
        stream(delta("Hel"), "{broken"),
        stream(delta("Hel"), delta(finish="error")),
    ],
    ids=["cut", "no end", "error", "not JSON", "error as finish"],
)
async def test_a_stream_that_breaks_after_text_leaves_the_outcome_open(reply: Reply) -> None:
    pieces, end, _ = await heard(reply)
    assert pieces == ["Hel"]
    assert isinstance(end, OutcomeUnknown)


async def test_an_error_before_any_text_says_what_it_is() -> None:
    for code, kind in (("rate_limit_exceeded", Busy), (429, Busy), ("insufficient_quota", Misconfigured)):
        assert isinstance(await failure(stream({"error": {"message": "x", "code": code}})), kind)
        assert isinstance(await failure(told(200, {"error": {"message": "x", "code": code}})), kind)
    assert isinstance(await failure(stream({"error": {"message": "x", "type": "server_error"}})), Unavailable)


async def test_an_empty_answer_is_a_failure() -> None:
    for reply in (whole(""), whole(None), stream(delta(finish="length")), told(200, {"choices": []})):
        error = await failure(reply)
        assert isinstance(error, Rejected)
        assert error.kind == "failed"


async def test_no_answer() -> None:
    assert isinstance(await failure(DROP), OutcomeUnknown)
    assert isinstance(await failure(told(200, [1])), OutcomeUnknown)
    page = Reply(200, b"<html>Open WebUI</html>", {"Content-Type": "text/html"})
    error = await failure(page)
    assert isinstance(error, Misconfigured)
    assert error.kind == "model"
    adapter = adapter_for("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await anext(aiter(adapter.write(HI, "k")))
    await adapter.aclose()


# -- errors ---------------------------------------------------------------------------------------------------------


def envelope(message: str = "x", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (told(401, envelope(code="invalid_api_key")), "misconfigured_key"),
        (told(401, {"detail": "Unauthorized"}), "misconfigured_key"),
        (told(402, envelope()), "misconfigured_credit"),
        (told(403, envelope("Country not supported")), "misconfigured_key"),
        (told(404, envelope(code="model_not_found")), "misconfigured_model"),
        (told(404, {"error": "model 'm' not found, try pulling it first"}), "misconfigured_model"),
        (told(400, envelope(code="model_not_found")), "misconfigured_model"),
        (told(301, {}, Location="/v2"), "misconfigured_model"),
        *((told(429, envelope(code=code)), "misconfigured_credit") for code in (
            "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded", "organization_usage_limit_exceeded")),
        (told(400, envelope(code="billing_hard_limit_reached")), "misconfigured_credit"),
        (told(429, envelope(type="requests", code="rate_limit_exceeded")), "busy"),
        (told(429, envelope(code="slow_down")), "busy"),
        (told(429, {"message": "too fast"}), "busy"),
        (told(400, envelope(code="context_length_exceeded", param="messages")), "rejected_input"),
        (told(400, envelope(param="temperature")), "rejected_input"),
        (told(413, {}), "rejected_input"),
        (told(422, {"detail": [{"loc": ["body", "messages"], "msg": "bad", "type": "x"}]}), "rejected_input"),
        (told(500, envelope(type="server_error")), "unavailable"),
        (told(503, envelope(code="server_is_overloaded")), "unavailable"),
        (NGINX, "unavailable"),
    ],
)  # fmt: skip
async def test_every_error_is_named(reply: Reply, code: str) -> None:
    assert (await failure(reply)).code == code


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"}, 5.0),
        ({"retry-after-ms": "soon", "x-ratelimit-reset-requests": "later"}, 5.0),
        ({}, 5.0),
    ],
)
async def test_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    error = await failure(told(429, envelope(code="rate_limit_exceeded"), **headers))
    assert isinstance(error, Busy)
    assert error.retry_after == pytest.approx(seconds)


async def test_a_key_in_an_error_reaches_no_note() -> None:
    error = await failure(told(401, envelope(f"Incorrect API key provided: {KEY}")))
    assert error.note is not None
    assert "Incorrect API key" in error.note


async def test_a_picture_of_a_strange_kind_is_refused_before_sending() -> None:
    turn = TextMessage("user", "?", (InputFile("image/bmp", b"x"),))
    async with loopback(lambda _: whole("ok")) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(Rejected):
            await anext(aiter(adapter.write(TextRequest("m", (turn,)), "k")))
        await adapter.aclose()
    assert server.seen == []


# -- the test of a connection -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "ok", "accepted", "problem"),
    [
        (told(200, {"object": "list", "data": [{"id": "m"}]}), True, True, None),
        (told(401, envelope(code="invalid_api_key")), False, False, "misconfigured_key"),
        (told(429, envelope(code="insufficient_quota")), False, True, "misconfigured_credit"),
        (told(404, {}), False, None, "misconfigured_model"),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), False, None, "misconfigured_model"),
        (NGINX, False, None, "unavailable"),
        (DROP, False, None, "unavailable"),
    ],
)
async def test_the_test_says_what_it_found(reply: Reply, ok: bool, accepted: bool | None, problem: str | None) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        report = await adapter.test()
        await adapter.aclose()
    assert (report.ok, report.key_accepted, report.problem) == (ok, accepted, problem)
    assert [seen.path for seen in server.seen] == ["/v1/models"]
    assert "supersecret" not in repr(report)
