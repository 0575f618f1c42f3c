"""Submit, follow, cancel and test over real HTTP, against odd and even answers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, MediaRequest, Operation, Pending
from gesso.providers.errors import (
    Busy,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    Unavailable,
)
from gesso.providers.fal import adapter as fal_adapter
from gesso.providers.fal.adapter import FalAdapter
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

KEY = "0a1b2c3d:supersecretvalue"
MODEL = "fal-ai/flux/schnell"
ASK = MediaRequest("image", MODEL, "a lighthouse at dawn")


def adapter_for(base_url: str, **options: Any) -> FalAdapter:
    return FalAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY), options=options))


def accepted(server: Loopback, request_id: str = "req-1", prefix: str = "") -> Reply:
    base = f"{server.url}{prefix}/fal-ai/flux/requests/{request_id}"
    return told(
        200,
        {"request_id": request_id, "response_url": base, "status_url": f"{base}/status",
         "cancel_url": f"{base}/cancel", "status": "IN_QUEUE", "queue_position": 3},
    )  # fmt: skip


async def submit_to(answer: Callable[[Loopback], Reply], request: MediaRequest = ASK) -> tuple[Operation, Loopback]:
    async with loopback(lambda _: answer(server)) as server:
        adapter = adapter_for(server.url)
        try:
            return await adapter.submit(request, "client-key"), server
        finally:
            await adapter.aclose()


async def refused(reply: Reply, request: MediaRequest = ASK) -> ProviderError:
    """The error a submit raises on `reply`; proves that it was sent exactly once and that the key stays in."""
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(ProviderError) as caught:
            await adapter.submit(request, "client-key")
        await adapter.aclose()
    assert len(server.seen) == 1
    for text in (caught.value.message, caught.value.note or ""):
        assert "supersecretvalue" not in text
    assert "fal" not in caught.value.message.split()
    return caught.value


async def ending(status: Reply, result: Reply, **data: Any) -> Pending | Done | Failed:
    """What a poll makes of a status answer and a result answer."""
    async with loopback(lambda seen: status if seen.path.endswith("/status") else result) as server:
        adapter = adapter_for(server.url)
        base = f"{server.url}/fal-ai/flux/requests/req-1"
        urls = {"status_url": f"{base}/status", "response_url": base, "cancel_url": f"{base}/cancel"}
        try:
            return await adapter.poll(Operation("req-1", {**urls, "count": 1, **data}))
        finally:
            await adapter.aclose()


COMPLETED = told(200, {"status": "COMPLETED", "logs": None, "metrics": {"inference_time": 1.5}})


def failed_status(error_type: str = "", error: str = "it broke") -> Reply:
    return told(200, {"status": "COMPLETED", "logs": [], "error": error, "error_type": error_type or None})


def picture(**more: Any) -> dict[str, Any]:
    return {"images": [{"url": "https://v3.fal.media/a.png", "content_type": "image/png", "width": 64, "height": 32}],
            "seed": 7, "has_nsfw_concepts": [False], **more}  # fmt: skip


async def rejection(status: Reply, result: Reply) -> ProviderError:
    outcome = await ending(status, result)
    assert isinstance(outcome, Failed)
    return outcome.error


# -- submit ---------------------------------------------------------------------------------------------------


async def test_submit_sends_the_bare_input_and_stores_the_returned_urls() -> None:
    request = MediaRequest("image", MODEL, "a lighthouse", seed=5, webhook_url="https://art.example.com/hook?a=1&b=2")
    operation, server = await submit_to(accepted, request)
    assert operation.id == "req-1"
    assert operation.data["status_url"] == f"{server.url}/fal-ai/flux/requests/req-1/status"
    assert json.loads(json.dumps(operation.data)) == operation.data
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/fal-ai/flux/schnell")
    assert seen.target.endswith("?fal_webhook=https%3A%2F%2Fart.example.com%2Fhook%3Fa%3D1%26b%3D2")
    assert seen.json() == {"prompt": "a lighthouse", "seed": 5, "num_images": 1}
    assert seen.headers["authorization"] == f"Key {KEY}"
    assert seen.headers["x-fal-request-timeout"] == "240"
    assert json.loads(seen.headers["x-fal-object-lifecycle-preference"]) == {"expiration_duration_seconds": 86400}
    assert "x-fal-no-retry" not in seen.headers
    assert "x-fal-store-io" not in seen.headers


async def test_a_base_url_with_a_prefix_keeps_it() -> None:
    async with loopback(lambda seen: accepted(server, prefix="/fal")) as server:
        adapter = adapter_for(f"{server.url}/fal/")
        operation = await adapter.submit(ASK, "k")
        await adapter.aclose()
    assert server.seen[0].path == "/fal/fal-ai/flux/schnell"
    assert operation.data["response_url"] == f"{server.url}/fal/fal-ai/flux/requests/req-1"


async def test_returned_urls_on_another_origin_never_see_the_key() -> None:
    def answer(seen: Seen) -> Reply:
        if seen.method == "POST":
            base = f"{stranger.url}/fal-ai/flux/requests/req-9"
            return told(200, {"request_id": "req-9", "response_url": base, "status_url": base, "cancel_url": base})
        return told(202, {"status": "IN_QUEUE", "queue_position": 0})

    async with loopback(lambda _: told(200, {})) as stranger, loopback(answer) as server:
        adapter = adapter_for(server.url)
        operation = await adapter.submit(ASK, "k")
        assert isinstance(await adapter.poll(operation), Pending)
        await adapter.aclose()
    assert stranger.seen == []
    assert server.seen[1].path == "/fal-ai/flux/requests/req-9/status"


async def test_an_operation_of_another_origin_is_refused() -> None:
    async with loopback(lambda _: told(200, {})) as stranger, loopback(lambda _: told(200, {})) as server:
        adapter = adapter_for(server.url)
        operation = Operation("r", {"status_url": f"{stranger.url}/x/status", "cancel_url": f"{stranger.url}/x"})
        with pytest.raises(OutcomeUnknown):
            await adapter.poll(operation)
        with pytest.raises(OutcomeUnknown):
            await adapter.cancel(operation)
        await adapter.aclose()
    assert stranger.seen == server.seen == []


@pytest.mark.parametrize("host", ["http://127.0.0.1.example.com", "http://127.0.0.1@example.com", "https://127.0.0.1"])
async def test_look_alike_origins_are_strangers(host: str) -> None:
    adapter = adapter_for("http://127.0.0.1:1")
    with pytest.raises(OutcomeUnknown):
        await adapter.poll(Operation("r", {"status_url": f"{host}:1/status"}))
    await adapter.aclose()


async def test_missing_urls_are_made_by_the_documented_rule() -> None:
    operation, server = await submit_to(lambda _: told(200, {"request_id": "req-2"}))
    assert operation.data["response_url"] == f"{server.url}/fal-ai/flux/requests/req-2"


@pytest.mark.parametrize(
    "reply",
    [DROP, Reply(200, b"{not json"), Reply(200, b""), told(200, {}), told(200, []), told(200, {"request_id": "../x"}),
     Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", keep_alive=False), NGINX,
     Reply(504, b"<html>nginx</html>")],
)  # fmt: skip
async def test_an_answer_that_leaves_open_whether_it_was_taken(reply: Reply) -> None:
    assert isinstance(await refused(reply), OutcomeUnknown)


async def test_a_hanging_submit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fal_adapter, "SUBMIT_SECONDS", 0.2)

    async def hang(_: Seen) -> Reply:
        await asyncio.sleep(30)
        return Reply()

    async with loopback(hang) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(OutcomeUnknown):
            await adapter.submit(ASK, "k")
        await adapter.aclose()
    assert len(server.seen) == 1


async def test_a_submit_that_never_connects_was_not_taken() -> None:
    async with loopback(lambda _: DROP) as server:
        closed = server.url
    adapter = adapter_for(closed)
    with pytest.raises(Unavailable):
        await adapter.submit(ASK, "k")
    await adapter.aclose()


LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (told(401, {"detail": "No user found for Key ID and Secret"}), "misconfigured_key"),
        (told(403, {"detail": LOCKED}), "misconfigured_credit"),
        (told(403, {"detail": "Forbidden"}), "misconfigured_key"),
        (told(404, {"detail": "Path /x not found"}), "misconfigured_model"),
        (told(307, {}, Location="http://127.0.0.1:9/elsewhere"), "misconfigured_model"),
        (told(429, {"detail": "slow down"}), "busy"),
        (told(500, {"detail": "Internal Server Error"}), "unavailable"),
        (Reply(503, b"<html><h1>503</h1>nginx</html>"), "unavailable"),
        (told(504, {"detail": "Request timed out", "error_type": "request_timeout"}), "unavailable"),
        (told(504, {"detail": "x", "error_type": "request_timeout"}, X_Fal_Request_Timeout_Type="user"),
         "rejected_deadline"),
        (told(422, {"detail": "no"}), "rejected_input"),
        (told(400, {"detail": "bad", "error_type": "bad_request"}), "rejected_input"),
    ],
)  # fmt: skip
async def test_what_each_refusal_of_a_submit_means(reply: Reply, code: str) -> None:
    assert (await refused(reply)).code == code


@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17), ("0", 1), ("nonsense", 5), ("nan", 5), ("999999", 3600), (None, 5)]
)
async def test_busy_says_how_long_to_wait(header: str | None, seconds: float) -> None:
    error = await refused(told(429, {}, **({"Retry_After": header} if header else {})))
    assert isinstance(error, Busy)
    assert error.retry_after == seconds


async def test_a_refused_field_is_named_in_our_words() -> None:
    item = {"loc": ["body", "num_inference_steps"], "msg": "x", "type": "less_than_equal", "ctx": {"le": 12}}
    error = await refused(told(422, {"detail": [item]}))
    assert isinstance(error, Rejected)
    assert (error.kind, error.field) == ("input", "steps")
    assert error.message == "The number of steps must be at most 12."


async def test_the_key_is_masked_where_a_server_echoes_it() -> None:
    error = await refused(told(422, {"detail": f"bad key Key {KEY}"}))
    assert error.note is not None
    assert "bad key" in error.note


async def test_submits_share_pooled_connections() -> None:
    async with loopback(lambda _: accepted(server)) as server:
        adapter = adapter_for(server.url)
        for _ in range(3):
            await adapter.submit(ASK, "k")
        await adapter.aclose()
    assert server.connections == 1


@pytest.mark.parametrize(
    "model", ["fal-ai", "../../secret", "fal-ai/../x", "fal-ai/flux?x=1", "a b/c", "fal-ai//flux", ""]
)
async def test_a_model_id_cannot_bend_the_url(model: str) -> None:
    adapter = adapter_for("http://127.0.0.1:1")
    with pytest.raises(Misconfigured):
        await adapter.submit(MediaRequest("image", model, "x"), "k")
    await adapter.aclose()


@pytest.mark.parametrize("key", ["", "   ", "a\nb", "kéy:secret", "two words"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        FalAdapter(ConnectionConfig(api_key=SecretStr(key)))
    assert not key.strip() or key.strip() not in f"{caught.value} {caught.value.note}"


@pytest.mark.parametrize("base", ["ftp://x", "nonsense", "https://u:p@host", "https://", "https://h/?q=1"])
def test_an_unusable_base_url_is_refused(base: str) -> None:
    with pytest.raises(Misconfigured):
        adapter_for(base)


# -- poll -----------------------------------------------------------------------------------------------------


async def test_waiting_and_running() -> None:
    waiting = await ending(told(202, {"status": "IN_QUEUE", "queue_position": 4, "logs": None}), DROP)
    assert waiting == Pending(queue_position=4)
    logs = [{"message": "loading"}, {"message": "drawing"}]
    running = await ending(told(202, {"status": "IN_PROGRESS", "logs": logs}), DROP)
    assert running == Pending(note="drawing")


async def test_done_with_everything() -> None:
    result = told(200, picture(), x_fal_billable_units="1.5")
    outcome = await ending(COMPLETED, result, unit_cost_micro_usd=3001, warnings=["kept"])
    assert isinstance(outcome, Done)
    assert (outcome.seed, outcome.cost_micro_usd, outcome.warnings) == (7, 4502, ("kept",))
    (file,) = outcome.files
    assert (file.url, file.media_type, file.width, file.height) == ("https://v3.fal.media/a.png", "image/png", 64, 32)
    assert (file.seed, file.flagged, file.data) == (7, False, None)


async def test_the_cost_is_unknown_unless_told() -> None:
    for result in (told(200, picture()), told(200, picture(), x_fal_billable_units="many")):
        outcome = await ending(COMPLETED, result, unit_cost_micro_usd=3000)
        assert isinstance(outcome, Done)
        assert outcome.cost_micro_usd is None


async def test_flags_and_missing_fields() -> None:
    images = [{"url": "https://a/1"}, {"url": "https://a/2", "width": None}, {"url": "https://a/3"}, {"nothing": 1}]
    outcome = await ending(COMPLETED, told(200, {"images": images, "has_nsfw_concepts": [True, False]}), count=4)
    assert isinstance(outcome, Done)
    assert [file.flagged for file in outcome.files] == [True, False, None]
    assert outcome.warnings == ("The model delivered 3 of 4.",)
    assert outcome.seed is None


async def test_a_wrapped_response_a_video_and_inline_data() -> None:
    wrapped = await ending(COMPLETED, told(200, {"status": "COMPLETED", "logs": [], "response": picture()}))
    assert isinstance(wrapped, Done)
    video = await ending(COMPLETED, told(200, {"video": {"url": "https://a/v.mp4", "content_type": "video/mp4"}}))
    assert isinstance(video, Done)
    assert video.files[0].media_type == "video/mp4"
    inline = await ending(COMPLETED, told(200, {"images": [{"url": "data:image/png;base64,aGk="}]}))
    assert isinstance(inline, Done)
    assert (inline.files[0].data, inline.files[0].media_type, inline.files[0].url) == (b"hi", "image/png", None)


async def test_finished_with_nothing_is_a_failure() -> None:
    for data in ({"images": []}, {}, [], {"images": [{}]}, {"images": "x"}):
        error = await rejection(COMPLETED, told(200, data))
        assert error.code == "rejected_failed"


SAFETY = told(422, {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]})
MISSING_V1 = told(422, {"detail": [{"loc": ["body", "prompt"], "msg": "x", "type": "value_error.missing"}]})


@pytest.mark.parametrize(
    ("status", "result", "code"),
    [
        (failed_status("content_policy_violation"), SAFETY, "rejected_safety"),
        (COMPLETED, SAFETY, "rejected_safety"),
        (COMPLETED, told(422, {"detail": [{"loc": [], "msg": "", "type": "no_media_generated"}]}), "rejected_safety"),
        (failed_status("", "Invalid status code: 422"), MISSING_V1, "rejected_input"),
        (failed_status("", "it broke"), told(500, {"detail": "Internal Server Error"}), "unavailable"),
        (failed_status("runner_disconnected"), told(503, {"detail": "x", "error_type": "runner_disconnected"}),
         "unavailable"),
        (failed_status("internal_server_error"), told(500, {"detail": [{"type": "internal_server_error"}]},
         X_Fal_Retryable="false"), "rejected_failed"),
        (failed_status("x"), told(500, {"detail": [{"type": "downstream_service_unavailable"}]},
         X_Fal_Needs_Retry="true"), "unavailable"),
        (failed_status("x"), told(400, {"detail": [{"type": "downstream_service_error"}]}), "rejected_failed"),
        (failed_status("generation_timeout"), told(504, {"detail": [{"type": "generation_timeout"}]}),
         "rejected_deadline"),
        (failed_status("request_timeout"), told(504, {"detail": "x"}, X_Fal_Request_Timeout_Type="user"),
         "rejected_deadline"),
        (failed_status("client_cancelled"), told(499, {"detail": "gone", "error_type": "client_cancelled"}),
         "rejected_cancelled"),
        (failed_status("client_cancelled"), told(404, {"detail": "gone"}), "rejected_cancelled"),
        (failed_status("client_cancelled"), told(200, {"images": []}), "rejected_cancelled"),
        (failed_status("startup_timeout"), told(200, {}), "unavailable"),
        (failed_status("unheard_of"), told(200, {}), "rejected_failed"),
        (COMPLETED, told(404, {"detail": "not found"}), "rejected_gone"),
        (told(404, {"detail": "unknown"}), DROP, "rejected_gone"),
    ],
)  # fmt: skip
async def test_how_a_job_can_fail(status: Reply, result: Reply, code: str) -> None:
    assert (await rejection(status, result)).code == code


@pytest.mark.parametrize(
    ("status", "result", "expected"),
    [
        (Reply(503, b"<html>nginx</html>"), DROP, Unavailable),
        (NGINX, DROP, Unavailable),
        (Reply(404, b"<html>proxy</html>"), DROP, Unavailable),
        (Reply(200, b"{"), DROP, Unavailable),
        (told(200, {"status": "FAILED"}), DROP, Unavailable),
        (DROP, DROP, Unavailable),
        (told(401, {"detail": "x"}), DROP, Misconfigured),
        (told(429, {}), DROP, Busy),
        (COMPLETED, DROP, Unavailable),
        (COMPLETED, NGINX, Unavailable),
        (COMPLETED, Reply(200, b"<html>"), Unavailable),
        (COMPLETED, told(429, {}), Busy),
        (COMPLETED, told(403, {"detail": LOCKED}), Misconfigured),
        (failed_status("x"), DROP, Unavailable),
    ],
)
async def test_a_failed_question_is_raised_and_leaves_the_job_alone(
    status: Reply, result: Reply, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected):
        await ending(status, result)


async def test_an_early_result_call_means_wait() -> None:
    outcome = await ending(COMPLETED, told(400, {"detail": "Request is still in progress"}))
    assert isinstance(outcome, Pending)


async def test_an_endless_answer_is_cut() -> None:
    huge = Reply(200, b"[" + b" " * (9 * 2**20))
    with pytest.raises(Unavailable):
        await ending(huge, DROP)


# -- cancel and test ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "taken"),
    [(told(202, {"status": "CANCELLATION_REQUESTED"}), True), (told(400, {"status": "ALREADY_COMPLETED"}), False),
     (told(404, {"status": "NOT_FOUND"}), False)],
)  # fmt: skip
async def test_cancel(reply: Reply, taken: bool) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        assert await adapter.cancel(Operation("r", {"cancel_url": f"{server.url}/a/b/requests/r/cancel"})) is taken
        await adapter.aclose()
    assert (server.seen[0].method, server.seen[0].path) == ("PUT", "/a/b/requests/r/cancel")


@pytest.mark.parametrize(
    ("reply", "reachable", "accepted_key", "word"),
    [
        (told(404, {"detail": "Request not found"}), True, True, "accepted"),
        (told(401, {"detail": "No user found"}), True, False, "refused"),
        (told(403, {"detail": LOCKED}), True, True, "credit"),
        (NGINX, True, None, "not working"),
        (Reply(404, b"<html>Not here</html>"), True, None, "base URL"),
        (DROP, False, None, "reached"),
    ],
)
async def test_a_connection_test_tells_people_what_happened(
    reply: Reply, reachable: bool, accepted_key: bool | None, word: str
) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        report = await adapter.test()
        await adapter.aclose()
    assert (report.reachable, report.key_accepted) == (reachable, accepted_key)
    assert word in " ".join(report.sentences)
    assert report.ok is (word == "accepted")
    assert server.seen[0].method == "GET"
    assert report.balance is None


async def test_find_says_that_it_cannot() -> None:
    adapter = adapter_for("http://127.0.0.1:1")
    assert adapter.can_find is False
    assert await adapter.find("k") is None
    await adapter.aclose()


async def test_a_job_known_only_by_its_id_can_be_taken_up() -> None:
    async with loopback(lambda _: told(202, {"status": "IN_QUEUE", "queue_position": 1})) as server:
        adapter = adapter_for(f"{server.url}/fal")
        operation = adapter.recall("fal-ai/flux-pro/v1.1-ultra", "req-7")
        assert operation is not None
        assert await adapter.poll(operation) == Pending(queue_position=1)
        assert adapter.recall(MODEL, "../../secret") is None
        assert adapter.recall("no-model", "req-7") is None
        await adapter.aclose()
    assert [seen.path for seen in server.seen] == ["/fal/fal-ai/flux-pro/requests/req-7/status"]
