"""Text over real HTTP: streams, arrays, refusals with status 200, breaks, and every error."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.gemini.adapter import GeminiAdapter
from gesso.providers.text import TextEnd, TextMessage, TextRequest, TextUsage
from tests.providers.hearing import chunked, heard_from, parts_of_a_slow_stream
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, loopback, told

KEY = "AIzaSupersecretvalue1234"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"idea": {"type": "string"}}, "required": ["idea"]}
HI = TextRequest("gemini-3.8-flash", (TextMessage("user", "hi"),))
JSON_HI = TextRequest("gemini-3.8-flash", HI.messages, schema=SCHEMA)
WHOLE = TextRequest("gemini-3.8-flash", HI.messages, wire={"stream": False})
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "totalTokenCount": 16}


def adapter_for(base_url: str) -> GeminiAdapter:
    return GeminiAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY)))


def piece(text: str = "", finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], **more}


def failed(code: int | str, status: str = "", *details: dict[str, Any], message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def detail(kind: str, **more: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **more}


def stream(*events: Any, cut: bool = False) -> Reply:
    """A streamed answer in chunks, without a mark of its end; `cut` leaves the last chunk of the transfer out."""
    said = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return chunked(*(f"data: {data}\r\n\r\n" for data in said), cut=cut)


async def heard(reply: Reply, request: TextRequest = HI) -> tuple[list[str], TextEnd | ProviderError, Loopback]:
    """See heard_from. The key goes in its header, never in the address, and no sentence names the provider."""
    pieces, end, server = await heard_from(adapter_for, reply, request, "Supersecret")
    (seen,) = server.seen
    assert seen.headers["x-goog-api-key"] == KEY and KEY not in seen.target
    if isinstance(end, ProviderError):
        assert not {"google", "gemini"} & set(end.message.lower().split())
    return pieces, end, server


async def failure(reply: Reply, request: TextRequest = HI) -> ProviderError:
    pieces, end, _ = await heard(reply, request)
    assert isinstance(end, ProviderError), end
    assert pieces == []
    return end


# -- answers ------------------------------------------------------------------------------------------------------


async def test_pieces_come_as_they_are_made_with_usage_and_cost() -> None:
    thought = {"candidates": [{"content": {"parts": [{"text": "hmm", "thought": True}]}}]}
    reply = stream(thought, piece("Hel", usageMetadata={"promptTokenCount": 9}), piece("lo\n\u2028there"),
                   piece(finish="STOP", usageMetadata=USAGE))  # fmt: skip
    request = TextRequest(HI.model, HI.messages, wire={"usd_per_million": {"input": "0.3", "output": "2.5"}})
    pieces, end, server = await heard(reply, request)
    assert pieces == ["Hel", "lo\n\u2028there"]
    assert end == TextEnd("stop", TextUsage(9, 7), 21)  # 9 × 0.3 + 7 × 2.5 = 20.2
    assert server.seen[0].target == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert "text/event-stream" in server.seen[0].headers["accept"]


async def test_the_first_piece_is_passed_on_before_the_last_has_come() -> None:
    first, rest = (f"data: {json.dumps(event)}\n\n" for event in (piece("one"), piece("two", "STOP")))
    parts = await parts_of_a_slow_stream(adapter_for, HI, first, rest)
    assert parts[:2] == ["one", "two"]


async def test_a_whole_answer_and_an_array_are_read_too() -> None:
    pieces, end, server = await heard(told(200, piece("All.", "STOP", usageMetadata=USAGE)), WHOLE)
    assert (pieces, end) == (["All."], TextEnd("stop", TextUsage(9, 7)))
    assert server.seen[0].target == "/v1beta/models/gemini-3.8-flash:generateContent"
    pieces, end, _ = await heard(told(200, [piece("One "), piece("two."), piece(finish="MAX_TOKENS")]))
    assert (pieces, end) == (["One two."], TextEnd("length"))


async def test_json_is_checked_at_the_end() -> None:
    pieces, end, server = await heard(stream(piece('{"idea"'), piece(':"a"}', "STOP")), JSON_HI)
    assert json.loads("".join(pieces)) == {"idea": "a"} and isinstance(end, TextEnd)
    assert server.seen[0].json()["generationConfig"]["responseSchema"]["type"] == "OBJECT"
    pieces, end, _ = await heard(stream(piece("```json\n"), piece('{"idea":"a"}\n```', "STOP")), JSON_HI)
    assert pieces == ['{"idea":"a"}'] and isinstance(end, TextEnd)
    error = await failure(stream(piece("Sure! An idea:", "STOP")), JSON_HI)
    assert isinstance(error, Rejected) and error.kind == "failed"
    _, end, _ = await heard(stream(piece('{"idea":"'), piece("a", "MAX_TOKENS")), JSON_HI)
    assert isinstance(end, Rejected) and "limit" in (end.note or "")


# -- refusals and breaks --------------------------------------------------------------------------------------------

CONTENT = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "SOMETHING_NEW")
TECHNICAL = (
    "OTHER", "LANGUAGE", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
)  # fmt: skip


async def test_a_refused_prompt_is_a_matter_of_safety() -> None:
    for reason in ("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR", "JAILBREAK", "SOMETHING_NEW"):
        blocked = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 3}}
        for reply in (stream(blocked), told(200, blocked)):
            error = await failure(reply)
            assert error.code == "rejected_safety" and reason in (error.note or "")


async def test_a_refused_answer_says_whether_it_was_for_its_content() -> None:
    for kind, reasons in (("safety", CONTENT), ("failed", TECHNICAL)):
        for reason in reasons:
            error = await failure(stream({"candidates": [{"finishReason": reason}]}))
            assert isinstance(error, Rejected) and error.kind == kind, reason
    pieces, end, _ = await heard(stream(piece("It was "), piece("", "SAFETY")))
    assert pieces == ["It was "] and isinstance(end, ProviderError) and end.code == "rejected_safety"


async def test_a_reason_that_says_nothing_is_none() -> None:
    reply = stream({**piece("Yes.", "STOP"), "promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}})
    pieces, end, _ = await heard(reply)
    assert pieces == ["Yes."] and isinstance(end, TextEnd)


@pytest.mark.parametrize(
    "reply",
    [
        stream(piece("Hel"), cut=True),
        stream(piece("Hel")),
        stream(piece("Hel"), failed(503, "UNAVAILABLE")),
        stream(piece("Hel"), "{broken"),
    ],
    ids=["cut", "no end", "error", "not JSON"],
)
async def test_a_stream_that_breaks_after_text_leaves_the_outcome_open(reply: Reply) -> None:
    pieces, end, _ = await heard(reply)
    assert pieces == ["Hel"] and isinstance(end, OutcomeUnknown)


async def test_an_empty_answer_is_a_failure() -> None:
    for reply in (stream(piece(finish="STOP")), stream(piece(finish="MAX_TOKENS")), told(200, piece(finish="STOP"))):
        assert (await failure(reply)).code == "rejected_failed"


async def test_no_answer() -> None:
    for reply in (DROP, told(200, {}), told(200, "x"), stream()):
        assert isinstance(await failure(reply), OutcomeUnknown)
    page = await failure(Reply(200, b"<html>gateway</html>", {"Content-Type": "text/html"}))
    assert page.code == "misconfigured_model"
    adapter = adapter_for("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await anext(aiter(adapter.write(HI, "k")))
    await adapter.aclose()


# -- errors ---------------------------------------------------------------------------------------------------------

BAD_KEY = failed(400, "INVALID_ARGUMENT", detail("ErrorInfo", reason="API_KEY_INVALID"))
PER_DAY = failed(429, "RESOURCE_EXHAUSTED", detail("QuotaFailure", violations=[{"quotaId": "RequestsPerDay-Free"}]))


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (told(400, BAD_KEY), "misconfigured_key"),
        (told(400, [BAD_KEY]), "misconfigured_key"),
        (told(401, failed(401, "UNAUTHENTICATED")), "misconfigured_key"),
        (told(403, failed(403, "PERMISSION_DENIED")), "misconfigured_key"),
        (told(400, failed(400, "FAILED_PRECONDITION")), "misconfigured_credit"),
        (told(403, failed(403, "PERMISSION_DENIED", detail("ErrorInfo", reason="BILLING_DISABLED"))),
         "misconfigured_credit"),
        (told(402, {}), "misconfigured_credit"),
        (told(404, failed(404, "NOT_FOUND")), "misconfigured_model"),
        (told(301, {}, Location="/v2"), "misconfigured_model"),
        (told(429, PER_DAY), "misconfigured_credit"),
        (told(429, failed(429, "RESOURCE_EXHAUSTED")), "busy"),
        (told(429, {}), "busy"),
        (told(400, failed("invalid_request")), "rejected_input"),
        (told(413, {}), "rejected_input"),
        (told(500, failed(500, "INTERNAL")), "unavailable"),
        (told(503, failed(503, "UNAVAILABLE")), "unavailable"),
        (told(504, failed(504, "DEADLINE_EXCEEDED")), "unavailable"),
        (NGINX, "unavailable"),
        (stream(failed(429, "RESOURCE_EXHAUSTED")), "busy"),
        (stream(failed(503, "UNAVAILABLE")), "unavailable"),
        (stream([BAD_KEY]), "misconfigured_key"),
        (stream(failed(403, "PERMISSION_DENIED")), "misconfigured_key"),
        (stream(failed(404, "NOT_FOUND")), "misconfigured_model"),
        (stream(failed(400, "INVALID_ARGUMENT")), "rejected_input"),
        (told(200, [PER_DAY]), "misconfigured_credit"),
    ],
)  # fmt: skip
async def test_every_error_is_named_in_whatever_shape_it_comes(reply: Reply, code: str) -> None:
    assert (await failure(reply)).code == code


@pytest.mark.parametrize(
    ("details", "headers", "seconds"),
    [
        ([detail("RetryInfo", retryDelay="13s")], {}, 13.0),
        ([detail("RetryInfo", retryDelay="0.25s")], {"retry-after": "9"}, 0.5),
        ([detail("RetryInfo", retryDelay="99999s")], {}, 3600.0),
        ([detail("RetryInfo", retryDelay="soon")], {"retry-after": "7"}, 7.0),
        ([detail("QuotaFailure", violations=[{"quotaId": "RequestsPerMinute"}, 3]), 4], {}, 5.0),
        ([], {"retry-after": "7"}, 7.0),
    ],
)
async def test_how_long_to_wait(details: list[Any], headers: dict[str, str], seconds: float) -> None:
    error = await failure(told(429, failed(429, "RESOURCE_EXHAUSTED", *details), **headers))
    assert isinstance(error, Busy) and error.retry_after == seconds


async def test_a_wrong_member_is_named_in_our_words() -> None:
    for field, ours in (("contents[0].parts[1].inline_data.data", "images"), ("generation_config.temperature",
                        "temperature"), ("contents", "prompt"), ("generation_config.colour", None)):  # fmt: skip
        violation = detail("BadRequest", fieldViolations=[{"field": field, "description": "bad"}])
        error = await failure(told(400, failed(400, "INVALID_ARGUMENT", violation)))
        assert isinstance(error, Rejected) and error.field == ours


async def test_a_key_in_an_error_reaches_no_note() -> None:
    error = await failure(told(403, failed(403, "PERMISSION_DENIED", message=f"Key {KEY} is not allowed")))
    assert isinstance(error, Misconfigured) and "is not allowed" in (error.note or "")


# -- the test of a connection -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "ok", "accepted", "problem"),
    [
        (told(200, {"models": [{"name": "models/m"}], "nextPageToken": "1"}), True, True, None),
        (told(400, BAD_KEY), False, False, "misconfigured_key"),
        (told(400, failed(400, "FAILED_PRECONDITION")), False, True, "misconfigured_credit"),
        (told(404, {}), False, None, "misconfigured_model"),
        (told(429, failed(429)), False, None, "busy"),
        (told(200, {"object": "list", "data": []}), False, None, "misconfigured_model"),
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
    assert [(seen.method, seen.target) for seen in server.seen] == [("GET", "/v1beta/models?pageSize=1")]
    assert "Supersecret" not in repr(report)
