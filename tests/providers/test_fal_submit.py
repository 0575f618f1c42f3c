"""Submits to fal over real HTTP, against odd and even answers."""

import json

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, MediaRequest, Operation, Pending
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, Rejected
from gesso.providers.fal.adapter import FalAdapter
from tests.providers.fal_answers import (
    ASK,
    KEY,
    LOCKED,
    MODEL,
    accepted,
    adapter_for,
    refused,
    submit_to,
)
from tests.providers.loopback import DROP, NGINX, Reply, Seen, loopback, told


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
