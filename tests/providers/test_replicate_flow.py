"""Submit, upload, look up and test over real HTTP, against odd and even answers."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.core.clock import FixedClock
from gesso.providers.base import ConnectionConfig, InputFile, MediaRequest, Operation
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.replicate.adapter import ReplicateAdapter
from gesso.providers.replicate.client import API
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

KEY = "r8_supersecretvalue1234567890"
ASK = MediaRequest("image", "black-forest-labs/flux-schnell", "a lighthouse at dawn", count=2, seed=9)
SDXL = "stability-ai/sdxl"
FRESH: dict[str, Any] = {"id": "abc123", "status": "starting", "input": {}, "logs": "", "error": None}


def adapter_for(base_url: str, clock: FixedClock | None = None) -> ReplicateAdapter:
    return ReplicateAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY)), clock)


async def submitted(
    reply: Reply, request: MediaRequest = ASK, *, prefix: str = ""
) -> tuple[Operation | ProviderError, Loopback]:
    """What a submit gives on `reply`; proves that it was sent exactly once and that the key stays in."""
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url + prefix)
        outcome: Operation | ProviderError
        try:
            outcome = await adapter.submit(request, "client-key")
        except ProviderError as error:
            outcome = error
            for text in (error.message, error.note or ""):
                assert "supersecret" not in text
        await adapter.aclose()
    assert len(server.seen) == 1
    return outcome, server


async def test_submit_sends_one_prediction_and_nothing_more() -> None:
    asked = MediaRequest(
        "image", ASK.model, "a fox", webhook_url="https://site/api/webhooks/replicate?call=k1", deadline_seconds=299
    )
    operation, server = await submitted(told(201, FRESH), asked, prefix="/replicate")
    assert isinstance(operation, Operation)
    assert operation.id == "abc123"
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", f"/replicate/v1/models/{ASK.model}/predictions")
    assert seen.json() == {
        "input": {"prompt": "a fox", "num_outputs": 1},
        "webhook": asked.webhook_url,
        "webhook_events_filter": ["completed"],
    }
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["cancel-after"] == "4m"
    assert "prefer" not in seen.headers
    json.dumps(operation.data)
    assert KEY not in json.dumps(operation.data)


async def test_versions_and_deployments() -> None:
    _, server = await submitted(told(202, FRESH), MediaRequest("image", SDXL, "a fox"), prefix="/v1/")
    assert server.seen[0].target == "/v1/predictions"
    assert server.seen[0].json()["version"].startswith("39ed52f2")
    assert "cancel-after" not in server.seen[0].headers and "webhook" not in server.seen[0].json()
    _, server = await submitted(
        told(201, FRESH), MediaRequest("image", "deployments/me/mine", "a fox", wire={"like": SDXL})
    )
    assert server.seen[0].target == "/v1/deployments/me/mine/predictions"
    assert set(server.seen[0].json()) == {"input"}


@pytest.mark.parametrize(
    "reply",
    [DROP, NGINX, Reply(500, b""), told(500, {"detail": "x"}), told(504, {"detail": "x"}), told(409, {}), told(201, {}),
     Reply(201, b"{"), told(200, {"id": "a/../b"}), told(408, {"detail": "slow"})],
)  # fmt: skip
async def test_an_answer_that_leaves_open_whether_it_was_taken(reply: Reply) -> None:
    outcome, _ = await submitted(reply)
    assert isinstance(outcome, OutcomeUnknown)


INVALID = {
    "title": "Input validation failed", "status": 422,
    "detail": "- input.num_inference_steps: Must be less than or equal to 4\n",
    "invalid_fields": [{"type": "number_lte", "field": "input.num_inference_steps",
                        "description": "Must be less than or equal to 4"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "code"),
    [(told(401, {"title": "Unauthenticated", "detail": f"no {KEY}"}), "misconfigured_key"),
     (told(402, {"title": "Insufficient credit", "detail": "…"}), "misconfigured_credit"),
     (told(403, {"detail": "private"}), "misconfigured_model"), (told(404, {"detail": "no"}), "misconfigured_model"),
     (told(422, INVALID), "rejected_input"), (told(422, {"detail": "odd"}), "rejected_input"),
     (told(400, {}), "rejected_input"),
     (told(422, {"title": "Invalid version or not permitted", "detail": "…"}), "misconfigured_model"),
     (told(422, {"detail": "x", "invalid_fields": [{"type": "additional_property_not_allowed", "field": "input.x"}]}),
      "misconfigured_model"),
     (told(422, {"detail": "x", "invalid_fields": [{"type": "format", "field": "webhook"}]}), "misconfigured_model"),
     (told(413, {}), "rejected_input"), (told(301, {}, Location="https://elsewhere/"), "misconfigured_model"),
     (told(429, {"detail": "…"}), "busy"), (Reply(503, b"<html>nginx</html>"), "unavailable")],
)  # fmt: skip
async def test_what_each_refusal_of_a_submit_means(reply: Reply, code: str) -> None:
    outcome, _ = await submitted(reply)
    assert isinstance(outcome, ProviderError)
    assert outcome.code == code


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [(told(429, {"detail": "Your rate limit resets in ~30s."}), 30), (told(429, {"detail": ""}, Retry_After="7"), 7),
     (told(429, {"detail": ""}, ratelimit_reset="12"), 12), (Reply(429, b""), 5)],
)  # fmt: skip
async def test_busy_says_how_long_to_wait(reply: Reply, seconds: float) -> None:
    outcome, _ = await submitted(reply)
    assert isinstance(outcome, Busy)
    assert outcome.retry_after == seconds


async def test_a_refused_field_is_named_in_our_words() -> None:
    outcome, _ = await submitted(told(422, INVALID))
    assert isinstance(outcome, Rejected)
    assert (outcome.field, str(outcome)) == ("steps", "The number of steps must be at most 4.")
    bare = {"title": "Input validation failed", "detail": "- input: prompt is required\n- input.seed: Invalid type\n"}
    outcome, _ = await submitted(told(422, bare))
    assert isinstance(outcome, Rejected)
    assert (outcome.field, str(outcome)) == ("prompt", "The prompt is needed by this model.")


NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


async def test_a_lost_call_is_found_by_its_webhook_over_pages() -> None:
    mine = {**FRESH, "id": "mine", "model": ASK.model, "input": {"num_outputs": 2, "seed": 4},
            "webhook": "https://site/api/webhooks/replicate?call=key-1"}  # fmt: skip

    def answer(seen: Seen) -> Reply:
        if "cursor" in seen.target:
            return told(200, {"next": None, "results": [mine]})
        other = {**mine, "id": "other", "webhook": "https://site/api/webhooks/replicate?call=key-2"}
        old = {**mine, "id": "old", "created_at": "2026-11-01T10:00:00Z"}
        next_page = f"{server.url}/v1/predictions?cursor=2"
        return told(200, {"next": next_page, "results": [5, {}, {**FRESH, "webhook": None}, other, old]})

    async with loopback(answer) as server:
        adapter = adapter_for(server.url, FixedClock(NOW))
        assert adapter.can_find is False
        found = await adapter.find("key-1")
        assert found == Operation("mine", {"base": f"{server.url}/v1", "model": ASK.model, "count": 2, "seed": 4})
        assert await adapter.find("key-3") is None
        assert server.seen[0].target == "/v1/predictions?created_after=2026-11-02T09%3A40%3A00%2B00%3A00"
        await adapter.aclose()


async def test_looking_up_is_offered_once_a_prediction_has_told_its_webhook() -> None:
    async with loopback(lambda _: told(201, {**FRESH, "webhook": "https://site/x"})) as server:
        adapter = adapter_for(server.url)
        assert adapter.can_find is False
        await adapter.submit(ASK, "k")
        assert adapter.can_find is True
        await adapter.aclose()


async def test_the_list_is_not_followed_to_strangers() -> None:
    page = told(200, {"next": "https://evil.example/v1/predictions?cursor=2", "results": []})
    async with loopback(lambda _: page) as server:
        adapter = adapter_for(server.url)
        assert await adapter.find("key-1") is None
        assert len(server.seen) == 1
        server.handler = lambda _: NGINX
        with pytest.raises(Unavailable):
            await adapter.find("key-1")
        await adapter.aclose()


async def test_a_job_known_only_by_its_id_can_be_taken_up() -> None:
    adapter = ReplicateAdapter(ConnectionConfig(api_key=SecretStr(KEY)))
    assert adapter.recall(SDXL, "abc123") == Operation("abc123", {"base": f"{API}/v1", "model": SDXL})
    assert adapter.recall(SDXL, "a/b") is None
    await adapter.aclose()


async def test_a_large_picture_is_uploaded_first() -> None:
    def answer(seen: Seen) -> Reply:
        if seen.path == "/v1/files":
            return told(201, {"id": "f1", "urls": {"get": f"{server.url}/v1/files/f1"}})
        return told(201, FRESH)

    small, large = InputFile("image/png", b"small"), InputFile("image/png", b"L" * 200_000)
    async with loopback(answer) as server:
        adapter = adapter_for(server.url)
        await adapter.submit(MediaRequest("image", SDXL, "a fox", inputs=(small, large)), "k")
        await adapter.aclose()
    upload, create = server.seen
    assert b'name="content"; filename="reference.png"' in upload.body and b"L" * 200_000 in upload.body
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert create.json()["input"]["image"] == "data:image/png;base64,c21hbGw="
    assert create.json()["input"]["mask"] == f"{server.url}/v1/files/f1"


@pytest.mark.parametrize(
    ("reply", "code"),
    [(NGINX, "unavailable"), (DROP, "unavailable"), (told(201, {"id": "f1"}), "unavailable"),
     (told(413, {}), "rejected_input"), (told(401, {}), "misconfigured_key")],
)  # fmt: skip
async def test_a_failed_upload_submits_nothing(reply: Reply, code: str) -> None:
    asked = MediaRequest("image", SDXL, "a fox", inputs=(InputFile("image/png", b"L" * 200_000),))
    outcome, server = await submitted(reply, asked)
    assert isinstance(outcome, ProviderError)
    assert outcome.code == code
    assert server.seen[0].path == "/v1/files"


@pytest.mark.parametrize(
    ("reply", "accepted", "problem"),
    [(told(200, {"type": "user", "username": "ada"}), True, None), (told(401, {}), False, "misconfigured_key"),
     (told(200, {"hello": 1}), None, "misconfigured_model"), (told(302, {}), None, "misconfigured_model"),
     (told(404, {}), None, "misconfigured_model"), (told(402, {}), True, "misconfigured_credit"),
     (told(429, {}), None, "busy"), (NGINX, None, "unavailable")],
)  # fmt: skip
async def test_a_connection_test_tells_people_what_happened(
    reply: Reply, accepted: bool | None, problem: str | None
) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        report = await adapter.test()
        await adapter.aclose()
    assert (report.reachable, report.key_accepted, report.problem) == (True, accepted, problem)
    assert report.sentences and not any("supersecret" in text for text in report.sentences)
    assert [(seen.method, seen.path) for seen in server.seen] == [("GET", "/v1/account")]


def test_a_key_is_needed() -> None:
    with pytest.raises(Misconfigured):
        ReplicateAdapter(ConnectionConfig())
