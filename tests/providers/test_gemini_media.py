"""Pictures over real HTTP, against odd and even servers."""

import asyncio
import base64
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, InputFile, MediaRequest, Operation
from gesso.providers.errors import (
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    Unavailable,
    WebhookRejected,
)
from gesso.providers.gemini.adapter import GeminiAdapter
from tests.providers.loopback import DROP, NGINX, Reply, Seen, loopback, told

KEY = "AIzaSupersecretvalue1234"
PIXEL = base64.b64encode(b"\x89PNG a picture").decode()
PRICES: dict[str, Any] = {"usd_per_million": {"input": "0.5", "output": "3", "image_output": "60"}}
ASK = MediaRequest("image", "gemini-3.1-flash-image", "a lighthouse", aspect_ratio="3:4", quality="1K", wire=PRICES)
USAGE = {
    "promptTokenCount": 8, "candidatesTokenCount": 1125, "totalTokenCount": 1133,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
}  # fmt: skip


def adapter_for(base_url: str) -> GeminiAdapter:
    return GeminiAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY)))


def inline(data: str = PIXEL, kind: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": data}, **more}


def answer(*parts: dict[str, Any], finish: str = "STOP", **more: Any) -> Reply:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return told(200, {"candidates": [candidate], "usageMetadata": USAGE, **more})


async def submitted(reply: Reply, request: MediaRequest = ASK) -> tuple[Any, Seen]:
    """What a submit makes of `reply`; proves that it was sent once and that the key stays in."""
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        try:
            outcome: Any = await adapter.submit(request, "client-key")
        except ProviderError as error:
            outcome = error
            assert "Supersecret" not in f"{error.message} {error.note}"
            assert not {"google", "gemini"} & set(error.message.lower().split())
        await adapter.aclose()
    (seen,) = server.seen
    assert seen.headers["x-goog-api-key"] == KEY and KEY not in seen.target
    assert b"client-key" not in seen.body
    return outcome, seen


async def test_a_picture_comes_with_its_cost() -> None:
    done, seen = await submitted(answer({"text": "Here."}, inline(thoughtSignature="c2ln")))
    assert isinstance(done, Done)
    (file,) = done.files
    assert (file.data, file.media_type) == (b"\x89PNG a picture", "image/png")
    assert (done.cost_micro_usd, done.warnings) == (8 // 2 + 5 * 3 + 1120 * 60, ())
    assert (seen.method, seen.target) == ("POST", "/v1beta/models/gemini-3.1-flash-image:generateContent")
    assert seen.json() == {
        "contents": [{"role": "user", "parts": [{"text": "a lighthouse"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:4", "imageSize": "1K"},
        },
    }  # fmt: skip


async def test_references_go_along_and_only_the_finished_picture_counts() -> None:
    draft = inline(base64.b64encode(b"draft").decode(), thought=True)
    request = MediaRequest(**{**vars(ASK), "inputs": (InputFile("image/png", b"\x89PNG mine"),), "wire": {}})
    done, seen = await submitted(answer(draft, inline(), inline()), request)
    assert [file.data for file in done.files] == [b"\x89PNG a picture"]
    assert "first was kept" in done.warnings[0] and done.cost_micro_usd is None
    sent = seen.json()["contents"][0]["parts"][1]["inlineData"]
    assert sent == {"mimeType": "image/png", "data": base64.b64encode(b"\x89PNG mine").decode()}


async def test_a_large_picture_is_read() -> None:
    done, _ = await submitted(answer(inline(base64.b64encode(bytes(20 * 2**20)).decode())))
    assert len(done.files[0].data) == 20 * 2**20


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer({"text": "I would rather not draw."}), "rejected_failed"),
        (answer({"text": "Hm.", "thought": True}, inline(thought=True)), "rejected_failed"),
        (answer(inline("#broken")), "rejected_failed"),
        (answer(inline(kind="audio/wav")), "rejected_failed"),
        (told(200, {"candidates": []}), "rejected_failed"),
        *((answer(finish=reason), "rejected_failed") for reason in ("NO_IMAGE", "IMAGE_OTHER", "OTHER")),
        *((answer(finish=reason), "rejected_safety") for reason in (
            "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "SAFETY", "IMAGE_NEW_REASON")),
        (answer(inline(), finish="IMAGE_SAFETY"), "rejected_safety"),
        (told(200, {"promptFeedback": {"blockReason": "IMAGE_SAFETY"}}), "rejected_safety"),
        (told(200, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "later"}}), "unavailable"),
        (told(200, {"error": {"code": 500, "status": "INTERNAL", "message": "oops"}}), "outcome_unknown"),
        (told(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}}), "rejected_input"),
        (told(404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "retired"}}), "misconfigured_model"),
        (told(503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}), "unavailable"),
        (Reply(503, b"<html>nginx</html>"), "outcome_unknown"),
        (told(500, {"error": {"code": 500, "status": "INTERNAL", "message": "oops"}}), "outcome_unknown"),
        (told(504, {"error": {"code": 504, "status": "DEADLINE_EXCEEDED", "message": "late"}}), "outcome_unknown"),
        (told(499, {}), "outcome_unknown"),
        (NGINX, "outcome_unknown"),
        (DROP, "outcome_unknown"),
        (Reply(200, b'{"candidates":[{"con', {"Content-Type": "application/json"}), "outcome_unknown"),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), "misconfigured_model"),
    ],
)  # fmt: skip
async def test_every_failure_says_whether_a_picture_may_have_been_made(reply: Reply, code: str) -> None:
    error, _ = await submitted(reply)
    assert isinstance(error, ProviderError) and error.code == code


async def test_a_model_that_only_talks_is_quoted_nowhere() -> None:
    error, _ = await submitted(answer({"text": "You asked for a private thing."}))
    assert "private" not in f"{error.message} {error.note}" and "30 characters" in error.note


async def test_silence_leaves_the_outcome_open_and_a_closed_door_does_not() -> None:
    async def silent(_: Seen) -> Reply:
        await asyncio.sleep(30)
        return DROP

    async with loopback(silent) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(OutcomeUnknown):
            await adapter.submit(MediaRequest(**{**vars(ASK), "deadline_seconds": 0.3}), "k")
        await adapter.aclose()
    adapter = adapter_for("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        await adapter.submit(ASK, "k")
    for bad, expected in (({"deadline_seconds": 0.0}, Rejected), ({"kind": "video"}, Misconfigured),
                          ({"model": "../x"}, Misconfigured)):  # fmt: skip
        with pytest.raises(expected):
            await adapter.submit(MediaRequest(**{**vars(ASK), **bad}), "k")
    await adapter.aclose()


async def test_there_is_nothing_to_follow_find_or_believe() -> None:
    adapter = adapter_for("http://127.0.0.1:9")
    job = Operation("x", {})
    with pytest.raises(OutcomeUnknown):
        await adapter.poll(job)
    assert await adapter.cancel(job) is False
    assert adapter.can_find is False and await adapter.find("k") is None and adapter.recall("m", "x") is None
    with pytest.raises(WebhookRejected):
        await adapter.parse_webhook({}, b"{}")
    await adapter.aclose()
