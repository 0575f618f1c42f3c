"""Webhooks: signed as the fact sheet says, sent again until taken, and spoilt on demand."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gesso.sandbox.fal.signing import CURRENT, Signer, key_set
from tests.sandbox.conftest import SCHNELL, Customer
from tests.sandbox.server import serving


class Receiver:
    """Takes webhooks at any path; answers 503 as often as the path's last part says."""

    def __init__(self) -> None:
        self.origin = ""
        self.taken: dict[str, list[tuple[dict[str, str], bytes]]] = {}

    async def take(self, request: Request) -> Response:
        name, refusals = request.path_params["name"], request.path_params["refusals"]
        got = self.taken.setdefault(name, [])
        got.append((dict(request.headers), await request.body()))
        return Response(status_code=503 if len(got) <= refusals else 200)

    async def wait(self, name: str, count: int = 1) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(25):
            while len(self.taken.get(name, [])) < count:
                await asyncio.sleep(0.01)
        return self.taken[name]


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    it = Receiver()
    app = Starlette(routes=[Route("/{name}/{refusals:int}", it.take, methods=["POST"])])
    async with serving(app) as it.origin:
        yield it


async def submit(fal: Customer, receiver: Receiver, name: str, words: str = "", refusals: int = 0) -> str:
    params = {"fal_webhook": f"{receiver.origin}/{name}/{refusals}"}
    answer = await fal.submit(words, params=params)
    assert answer.json()["gateway_request_id"] == answer.json()["request_id"]
    request_id: str = answer.json()["request_id"]
    return request_id


def verified_by(keys: list[dict[str, str]], headers: dict[str, str], body: bytes) -> list[int]:
    """Which of the keys verify; the message is put together here anew, from the fact sheet."""
    names = ("request-id", "user-id", "timestamp")
    parts = [headers[f"x-fal-webhook-{name}"] for name in names] + [hashlib.sha256(body).hexdigest()]
    good = []
    for i, key in enumerate(keys):
        raw = base64.urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
        try:
            signature = bytes.fromhex(headers["x-fal-webhook-signature"])
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, "\n".join(parts).encode())
        except InvalidSignature:
            continue
        good.append(i)
    return good


def test_the_vector_of_the_fact_sheet() -> None:
    signer = Signer.from_seed(bytes(range(32)))
    assert signer.jwk()["x"] == "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    body = b'{"request_id":"req-1","gateway_request_id":"req-1","status":"OK","payload":{"seed":1}}'
    assert hashlib.sha256(body).hexdigest() == "297983eb08bd643fc663b84bc9d3ce545e883b7e7fc21d0f6cb6a3ae4ed86295"
    headers = signer.headers("req-1", 1767225600, body, user_id="user-1")
    assert headers["X-Fal-Webhook-Signature"] == (
        "86f61f3b5d94f8c6094368f338b4b52ab1f80832590213b0b21bb69d8bd43f77"
        "aa09bbdbe27e3f37096fc39df8b566a36b905f9b03f4a33ed5ef7370c736170c"
    )


async def test_the_key_set_is_in_rotation(fal: Customer) -> None:
    keys = (await fal.http.get(f"{fal.base}/.well-known/jwks.json")).json()["keys"]
    assert keys == key_set()["keys"]
    assert len(keys) == 2
    assert keys[1] == CURRENT.jwk()
    assert {(key["kty"], key["crv"]) for key in keys} == {("OKP", "Ed25519")}


async def test_success_is_told_and_signed_by_the_second_key(fal: Customer, receiver: Receiver) -> None:
    request_id = await submit(fal, receiver, "good")
    ((headers, body),) = await receiver.wait("good")
    told = json.loads(body)
    assert (told["request_id"], told["gateway_request_id"], told["status"]) == (request_id, request_id, "OK")
    assert headers["x-fal-webhook-request-id"] == request_id
    assert abs(time.time() - int(headers["x-fal-webhook-timestamp"])) < 30
    result = await fal.get(f"{fal.base}/fal-ai/flux/requests/{request_id}")
    assert told["payload"] == result.json()
    assert verified_by(key_set()["keys"], headers, body) == [1]


async def test_failure_is_told(fal: Customer, receiver: Receiver) -> None:
    await submit(fal, receiver, "failed", "sandbox:safety")
    told = json.loads((await receiver.wait("failed"))[0][1])
    assert (told["status"], told["error"]) == ("ERROR", "Invalid status code: 422")
    assert told["payload"]["detail"][0]["type"] == "content_policy_violation"


async def test_it_is_sent_again_until_it_is_taken(fal: Customer, receiver: Receiver) -> None:
    await submit(fal, receiver, "refused", refusals=2)
    attempts = await receiver.wait("refused", 3)
    assert len({body for _, body in attempts}) == 1
    await asyncio.sleep(0.4)
    assert len(receiver.taken["refused"]) == 3


async def test_duplicates(fal: Customer, receiver: Receiver) -> None:
    await submit(fal, receiver, "twice", "sandbox:webhook-duplicate")
    first, second = await receiver.wait("twice", 2)
    assert first[1] == second[1]


async def test_late(fal: Customer, receiver: Receiver) -> None:
    request_id = await submit(fal, receiver, "late", "sandbox:webhook-late=0.4")
    async with asyncio.timeout(25):
        while (await fal.get(f"{fal.base}/fal-ai/flux/requests/{request_id}/status")).status_code == 202:
            await asyncio.sleep(0.01)
    assert "late" not in receiver.taken
    await receiver.wait("late")


async def test_early_comes_before_the_answer_to_submit(fal: Customer, receiver: Receiver) -> None:
    await submit(fal, receiver, "early", "sandbox:webhook-early")
    assert "early" in receiver.taken


async def test_forged_and_stale_ones_do_not_pass_a_check(fal: Customer, receiver: Receiver) -> None:
    await submit(fal, receiver, "forged", "sandbox:webhook-forged")
    await submit(fal, receiver, "stale", "sandbox:webhook-stale")
    ((headers, body),) = await receiver.wait("forged")
    assert verified_by(key_set()["keys"], headers, body) == []
    ((headers, body),) = await receiver.wait("stale")
    assert verified_by(key_set()["keys"], headers, body) == [1]
    assert time.time() - int(headers["x-fal-webhook-timestamp"]) > 300


async def test_other_oddities(fal: Customer, receiver: Receiver) -> None:
    request_id = await submit(fal, receiver, "retried", "sandbox:webhook-retried")
    told = json.loads((await receiver.wait("retried"))[0][1])
    assert told["request_id"] == request_id != told["gateway_request_id"]
    await submit(fal, receiver, "null", "sandbox:webhook-null")
    told = json.loads((await receiver.wait("null"))[0][1])
    assert told["status"] == "OK"
    assert told["payload"] is None
    assert told["payload_error"]
    await submit(fal, receiver, "never", "sandbox:webhook-never")
    await asyncio.sleep(0.5)
    assert "never" not in receiver.taken


async def test_only_http_urls_are_taken(fal: Customer) -> None:
    answer = await fal.submit(params={"fal_webhook": "file:///etc/passwd"})
    assert answer.status_code == 400
    answer = await fal.http.post(f"{fal.base}/{SCHNELL}?fal_webhook=", json=fal.body(), headers=fal.auth)
    assert answer.status_code == 400
