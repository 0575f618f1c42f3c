"""Pictures, videos and moderations over real HTTP, against odd and even servers."""

import asyncio
import base64
import json
from email import message_from_bytes
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest, Operation, Pending
from gesso.providers.errors import (
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    Unavailable,
    WebhookRejected,
)
from gesso.providers.openai.adapter import OpenAIAdapter
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

KEY = "sk-proj-supersecretvalue1234"
PIXEL = base64.b64encode(b"\x89PNG a picture").decode()
PNG = InputFile("image/png", b"\x89PNG to start from")
ASK = MediaRequest("image", "gpt-image-2", "a lighthouse", width=1024, height=1024)
FILM = MediaRequest("video", "sora-2", "a boat", width=1280, height=720, options={"duration": 4})
PRICES = {"usd_per_million": {"text_input": "5", "image_input": "8", "output": "30"}}
JOB = {"id": "video_1", "object": "video", "status": "queued", "progress": 0, "size": "1280x720"}


def adapter_for(base_url: str) -> OpenAIAdapter:
    return OpenAIAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY)))


async def submitted(reply: Reply, request: MediaRequest = ASK) -> tuple[Done | Operation | ProviderError, Seen]:
    """What a submit makes of `reply`; proves that it was sent once and that the key stays in."""
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        try:
            outcome: Done | Operation | ProviderError = await adapter.submit(request, "client-key")
        except ProviderError as error:
            outcome = error
            assert "supersecret" not in f"{error.message} {error.note}"
            assert "openai" not in error.message.lower()
        await adapter.aclose()
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert b"client-key" not in seen.body
    return outcome, seen


async def pictures(reply: Reply, request: MediaRequest = ASK) -> Done:
    outcome, _ = await submitted(reply, request)
    assert isinstance(outcome, Done), outcome
    return outcome


async def refused(reply: Reply, request: MediaRequest = ASK) -> ProviderError:
    outcome, _ = await submitted(reply, request)
    assert isinstance(outcome, ProviderError), outcome
    return outcome


def form_of(seen: Seen) -> list[tuple[str, str | None, bytes]]:
    """(name, file name, content) of each part of a form."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    parts = []
    for part in message_from_bytes(head + seen.body).get_payload():
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        parts.append((str(name), part.get_filename(), part.get_payload(decode=True)))  # type: ignore[union-attr]
    return parts  # type: ignore[return-value]


# -- pictures -------------------------------------------------------------------------------------------------------


async def test_a_picture_comes_with_its_cost() -> None:
    usage = {"input_tokens": 10, "input_tokens_details": {"text_tokens": 10, "image_tokens": 0}, "output_tokens": 1056}
    answer = {
        "created": 1, "data": [{"b64_json": PIXEL}], "output_format": "webp", "size": "1024x1024", "usage": usage,
    }  # fmt: skip
    outcome, seen = await submitted(told(200, answer), MediaRequest(**{**vars(ASK), "wire": PRICES}))
    assert isinstance(outcome, Done)
    (file,) = outcome.files
    assert (file.data, file.media_type, file.width, file.height) == (b"\x89PNG a picture", "image/webp", 1024, 1024)
    assert (outcome.cost_micro_usd, outcome.warnings) == (10 * 5 + 1056 * 30, ())
    assert (seen.method, seen.path) == ("POST", "/v1/images/generations")
    assert seen.json() == {"model": "gpt-image-2", "prompt": "a lighthouse", "size": "1024x1024", "n": 1}


async def test_references_make_it_an_edit() -> None:
    request = MediaRequest(**{**vars(ASK), "inputs": (PNG, InputFile("image/jpeg", b"jpeg")), "quality": "low"})
    _, seen = await submitted(told(200, {"data": [{"b64_json": PIXEL}]}), request)
    assert seen.path == "/v1/images/edits"
    assert form_of(seen) == [
        ("model", None, b"gpt-image-2"), ("prompt", None, b"a lighthouse"), ("size", None, b"1024x1024"),
        ("quality", None, b"low"), ("n", None, b"1"), ("image[]", "image-1.png", PNG.data),
        ("image[]", "image-2.jpg", b"jpeg"),
    ]  # fmt: skip


async def test_other_servers_answer_with_addresses_or_data_uris_and_little_else() -> None:
    data = [{"url": "https://cdn.example/a.png"}, {"url": f"data:image/jpeg;base64,{PIXEL}"}, {"b64_json": PIXEL}]
    done = await pictures(told(200, {"data": data}), MediaRequest(**{**vars(ASK), "count": 3, "wire": PRICES}))
    assert [file.url for file in done.files] == ["https://cdn.example/a.png", None, None]
    assert [file.media_type for file in done.files] == [None, "image/jpeg", None]
    assert (done.cost_micro_usd, done.warnings) == (None, ())


async def test_what_cannot_be_decoded_is_left_out_and_told() -> None:
    data = [{"b64_json": PIXEL}, {"b64_json": f"#{PIXEL}"}, {"url": "file:///etc/passwd"}, {}]
    done = await pictures(told(200, {"data": data}), MediaRequest(**{**vars(ASK), "count": 4}))
    assert (len(done.files), done.warnings) == (1, ("The model delivered 1 of 4.",))
    for broken in (data[1:], []):
        error = await refused(told(200, {"data": broken}))
        assert isinstance(error, Rejected)
        assert error.kind == "failed"


async def test_a_large_picture_is_read() -> None:
    large = base64.b64encode(bytes(20 * 2**20)).decode()
    done = await pictures(told(200, {"data": [{"b64_json": large}]}))
    assert len(done.files[0].data or b"") == 20 * 2**20


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (told(400, {"error": {"type": "image_user_error", "code": "moderation_blocked"}}), "rejected_safety"),
        (told(400, {"error": {"message": "bad", "param": "size", "code": "invalid_value"}}), "rejected_input"),
        (told(401, {"error": {"message": "bad key"}}), "misconfigured_key"),
        (told(429, {"error": {"code": "insufficient_quota"}}), "misconfigured_credit"),
        (told(429, {"error": {"code": "rate_limit_exceeded"}}), "busy"),
        (told(503, {"error": {"code": "server_is_overloaded"}}), "unavailable"),
        (told(409, {"error": {"message": "again"}}), "unavailable"),
        (told(500, {"error": {"type": "server_error"}}), "outcome_unknown"),
        (told(408, {}), "outcome_unknown"),
        (NGINX, "outcome_unknown"),
        (Reply(504, b"gateway timeout"), "outcome_unknown"),
        (DROP, "outcome_unknown"),
        (Reply(200, b'{"data":[{"b64', {"Content-Type": "application/json"}), "outcome_unknown"),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), "misconfigured_model"),
        (told(200, {"error": {"code": "moderation_blocked"}}), "rejected_safety"),
    ],
)  # fmt: skip
async def test_every_failure_says_whether_a_picture_may_have_been_made(reply: Reply, code: str) -> None:
    error = await refused(reply)
    assert error.code == code
    if code == "rejected_input":
        assert isinstance(error, Rejected)
        assert error.field == "size"


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
    with pytest.raises(Rejected) as caught:
        await adapter.submit(MediaRequest(**{**vars(ASK), "deadline_seconds": 0.0}), "k")
    assert caught.value.kind == "deadline"
    await adapter.aclose()


# -- videos ---------------------------------------------------------------------------------------------------------


async def test_a_video_is_always_a_form() -> None:
    outcome, seen = await submitted(told(200, JOB), FILM)
    assert isinstance(outcome, Operation)
    assert outcome.id == "video_1"
    assert json.loads(json.dumps(outcome.data)) == outcome.data
    assert seen.path == "/v1/videos"
    assert seen.headers["content-type"].startswith("multipart/form-data")
    assert form_of(seen) == [
        ("model", None, b"sora-2"), ("prompt", None, b"a boat"), ("size", None, b"1280x720"), ("seconds", None, b"4"),
    ]  # fmt: skip
    for reply, code in ((told(200, {"status": "queued"}), "outcome_unknown"), (told(500, {}), "outcome_unknown"),
                        (told(404, {}), "misconfigured_model"), (DROP, "outcome_unknown")):  # fmt: skip
        assert (await refused(reply, FILM)).code == code


async def polled(status: Reply, content: Reply = DROP) -> tuple[Pending | Done | Failed, Loopback]:
    async with loopback(lambda seen: content if seen.path.endswith("/content") else status) as server:
        adapter = adapter_for(server.url)
        try:
            return await adapter.poll(Operation("video_1", {"base": f"{server.url}/v1", "warnings": ["Hm."]})), server
        finally:
            await adapter.aclose()


async def test_a_video_is_followed_and_its_file_fetched_with_the_key() -> None:
    state, _ = await polled(told(200, {**JOB, "status": "in_progress", "progress": 40}))
    assert state == Pending(progress=0.4)
    film = Reply(200, b"mp4", {"Content-Type": "video/mp4"})
    done, server = await polled(told(200, {**JOB, "status": "completed"}), film)
    assert isinstance(done, Done)
    assert (done.files[0].data, done.files[0].media_type, done.warnings) == (b"mp4", "video/mp4", ("Hm.",))
    assert [seen.path for seen in server.seen] == ["/v1/videos/video_1", "/v1/videos/video_1/content"]
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {KEY}"}


async def test_a_file_that_lies_elsewhere_is_handed_on_without_the_key() -> None:
    away = Reply(302, b"", {"Location": "https://cdn.example/a.mp4?sig=1"})
    done, server = await polled(told(200, {**JOB, "status": "completed"}), away)
    assert isinstance(done, Done)
    assert (done.files[0].url, done.files[0].data) == ("https://cdn.example/a.mp4?sig=1", None)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (told(404, {}), DROP, "rejected_gone"),
        (told(200, {**JOB, "status": "failed", "error": {"code": "moderation_blocked"}}), DROP, "rejected_safety"),
        (told(200, {**JOB, "status": "failed", "error": {"code": "server_error"}}), DROP, "unavailable"),
        (told(200, {**JOB, "status": "failed", "error": None}), DROP, "rejected_failed"),
        (told(200, {**JOB, "status": "completed"}), told(404, {}), "rejected_gone"),
        (told(200, {**JOB, "status": "completed"}), Reply(200, b""), "rejected_failed"),
    ],
)  # fmt: skip
async def test_how_a_video_can_end(status: Reply, content: Reply, code: str) -> None:
    state, _ = await polled(status, content)
    assert isinstance(state, Failed)
    assert state.error.code == code


@pytest.mark.parametrize(("status", "content"), [
    (told(200, {}), DROP), (NGINX, DROP), (DROP, DROP), (told(200, {**JOB, "status": "completed"}), DROP),
    (told(200, {**JOB, "status": "completed"}), NGINX),
])  # fmt: skip
async def test_failing_to_ask_is_no_end_of_the_job(status: Reply, content: Reply) -> None:
    with pytest.raises(Unavailable):
        await polled(status, content)


async def test_the_key_goes_to_no_other_origin() -> None:
    async with loopback(lambda _: told(200, JOB)) as elsewhere, loopback(lambda _: told(200, JOB)) as home:
        adapter = adapter_for(home.url)
        job = Operation("video_1", {"base": f"{elsewhere.url}/v1"})
        for ask in (adapter.poll, adapter.cancel):
            with pytest.raises(OutcomeUnknown):
                await ask(job)
        await adapter.aclose()
    assert (elsewhere.seen, home.seen) == ([], [])


async def test_stopping_a_video_is_deleting_it() -> None:
    for reply, expected in ((told(200, {"deleted": True}), True), (told(409, {}), False), (told(404, {}), False)):
        async with loopback(lambda _, reply=reply: reply) as server:  # type: ignore[misc]
            adapter = adapter_for(server.url)
            assert await adapter.cancel(Operation("../admin", {})) is expected
            await adapter.aclose()
        assert [(seen.method, seen.target) for seen in server.seen] == [("DELETE", "/v1/videos/..%2Fadmin")]


async def test_there_is_nothing_to_find_recall_or_believe() -> None:
    adapter = adapter_for("http://127.0.0.1:9")
    assert adapter.can_find is False
    assert await adapter.find("k") is None
    assert adapter.recall("sora-2", "video_1") is None
    with pytest.raises(WebhookRejected):
        await adapter.parse_webhook({}, b"{}")
    await adapter.aclose()


# -- moderation -----------------------------------------------------------------------------------------------------


async def judged(reply: Reply, *images: InputFile) -> tuple[Any, Loopback]:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        try:
            return await adapter.judge("omni-moderation-latest", "some words", images), server
        finally:
            await adapter.aclose()


async def test_categories_keep_their_names() -> None:
    result = {
        "flagged": True, "categories": {"sexual/minors": True, "self-harm/intent": False},
        "category_scores": {"sexual/minors": 0.91, "self-harm/intent": 0.002},
    }  # fmt: skip
    verdict, server = await judged(told(200, {"id": "modr-1", "results": [result]}), PNG)
    assert verdict.flagged == {"sexual/minors"}
    assert verdict.scores == {"sexual/minors": 0.91, "self-harm/intent": 0.002}
    said = server.seen[0].json()
    assert [part["type"] for part in said["input"]] == ["text", "image_url"]
    _, server = await judged(told(200, {"results": [result]}))
    assert server.seen[0].json() == {"model": "omni-moderation-latest", "input": "some words"}


async def test_an_objection_without_a_name_still_counts() -> None:
    verdict, _ = await judged(told(200, {"results": [{"flagged": True}]}))
    assert verdict.flagged
    verdict, _ = await judged(told(200, {"results": [{"flagged": False, "categories": {"hate": False}}]}))
    assert not verdict.flagged


async def test_no_verdict_is_an_error_and_never_an_acquittal() -> None:
    for reply in (told(200, {}), told(200, {"results": []}), NGINX, DROP):
        with pytest.raises(Unavailable):
            await judged(reply)
    with pytest.raises(Misconfigured):
        await judged(told(401, {}))
