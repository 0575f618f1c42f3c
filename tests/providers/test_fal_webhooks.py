"""Signed knocks: the fact sheet's vector, rotation, and every way to be refused."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from gesso.core.clock import FixedClock
from gesso.providers.base import ConnectionConfig, WebhookNotice
from gesso.providers.errors import Unavailable, WebhookRejected
from gesso.providers.fal.adapter import FalAdapter
from gesso.providers.fal.webhooks import public_keys
from tests.providers.loopback import NGINX, Reply, loopback, told

SIGNED_AT = datetime.fromtimestamp(1767225600, UTC)
BODY = b'{"request_id":"req-1","gateway_request_id":"req-1","status":"OK","payload":{"seed":1}}'
HEADERS = {
    "X-Fal-Webhook-Request-Id": "req-1",
    "X-Fal-Webhook-User-Id": "user-1",
    "X-Fal-Webhook-Timestamp": "1767225600",
    "X-Fal-Webhook-Signature": "86f61f3b5d94f8c6094368f338b4b52ab1f80832590213b0b21bb69d8bd43f77"
    "aa09bbdbe27e3f37096fc39df8b566a36b905f9b03f4a33ed5ef7370c736170c",
}
VECTOR_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
OTHER_KEY = {
    **VECTOR_KEY, "x": base64.urlsafe_b64encode(OTHER.public_key().public_bytes_raw()).decode().rstrip("="),
}  # fmt: skip


def signed(key: Ed25519PrivateKey, request_id: str, body: bytes, at: datetime) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    message = "\n".join((request_id, "user-1", stamp, hashlib.sha256(body).hexdigest())).encode()
    return {**HEADERS, "X-Fal-Webhook-Request-Id": request_id, "X-Fal-Webhook-Timestamp": stamp,
            "X-Fal-Webhook-Signature": key.sign(message).hex()}  # fmt: skip


class Door:
    """An adapter before a JWKS server whose answer can be changed; counts the look-ups."""

    def __init__(self, *keys: dict[str, Any], at: datetime = SIGNED_AT) -> None:
        self.answer: Reply = told(200, {"keys": list(keys)})
        self.clock = FixedClock(at)

    async def __aenter__(self) -> "Door":
        self.context = loopback(lambda _: self.answer)
        self.server = await self.context.__aenter__()
        config = ConnectionConfig(base_url=f"{self.server.url}/fal", api_key=SecretStr("a:b"))
        self.adapter = FalAdapter(config, self.clock)
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self.adapter.aclose()
        await self.context.__aexit__(*problem)

    async def knock(self, headers: dict[str, str] = HEADERS, body: bytes = BODY) -> WebhookNotice:
        return await self.adapter.parse_webhook(headers, body)

    @property
    def lookups(self) -> int:
        return len(self.server.seen)


async def test_the_vector_of_the_fact_sheet() -> None:
    async with Door(VECTOR_KEY) as door:
        assert await door.knock() == WebhookNotice("req-1")
        assert await door.knock({name.lower(): value for name, value in HEADERS.items()}) == WebhookNotice("req-1")
        assert door.lookups == 1
        assert door.server.seen[0].path == "/fal/.well-known/jwks.json"
        assert "authorization" not in door.server.seen[0].headers


async def test_any_of_several_keys_will_do() -> None:
    async with Door({"kty": "RSA"}, {"kty": "OKP", "crv": "Ed25519", "x": "short"}, OTHER_KEY, VECTOR_KEY) as door:
        assert await door.knock() == WebhookNotice("req-1")


@pytest.mark.parametrize("name", list(HEADERS))
async def test_every_header_is_needed(name: str) -> None:
    async with Door(VECTOR_KEY) as door:
        with pytest.raises(WebhookRejected):
            await door.knock({key: value for key, value in HEADERS.items() if key != name})
        assert door.lookups == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("User-Id", "user-2"), ("Request-Id", "req-2"), ("Timestamp", "1767225601"), ("Timestamp", "soon"),
     ("Timestamp", "-1767225600"), ("Signature", "00" * 64), ("Signature", "zz"), ("Signature", "00")],
)  # fmt: skip
async def test_nothing_signed_can_be_changed(name: str, value: str) -> None:
    async with Door(VECTOR_KEY) as door:
        with pytest.raises(WebhookRejected):
            await door.knock({**HEADERS, f"X-Fal-Webhook-{name}": value})


async def test_the_raw_bytes_are_what_counts() -> None:
    async with Door(VECTOR_KEY) as door:
        with pytest.raises(WebhookRejected):
            await door.knock(body=BODY.replace(b":", b": "))


@pytest.mark.parametrize(("seconds", "taken"), [(300, True), (-300, True), (301, False), (-301, False)])
async def test_the_window_is_five_minutes_either_way(seconds: int, taken: bool) -> None:
    async with Door(VECTOR_KEY, at=SIGNED_AT + timedelta(seconds=seconds)) as door:
        if taken:
            await door.knock()
        else:
            with pytest.raises(WebhookRejected):
                await door.knock()


@pytest.mark.parametrize("body", [b'{"request_id":"req-2"}', b"{}", b"[]", b"no json"])
async def test_the_signed_id_must_be_the_one_in_the_body(body: bytes) -> None:
    async with Door(OTHER_KEY) as door:
        with pytest.raises(WebhookRejected):
            await door.knock(signed(OTHER, "req-1", body, SIGNED_AT), body)


async def test_a_rotated_key_is_fetched_but_not_more_than_once_a_minute() -> None:
    async with Door(OTHER_KEY) as door:
        for _ in range(5):
            with pytest.raises(WebhookRejected):
                await door.knock()
        assert door.lookups == 1
        door.answer = told(200, {"keys": [VECTOR_KEY]})
        door.clock.advance(timedelta(seconds=61))
        assert await door.knock() == WebhookNotice("req-1")
        assert door.lookups == 2
        with pytest.raises(WebhookRejected):  # the withdrawn key is gone
            await door.knock(signed(OTHER, "req-1", BODY, SIGNED_AT))


async def test_keys_are_kept_a_day_and_no_longer() -> None:
    async with Door(OTHER_KEY) as door:
        await door.knock(signed(OTHER, "req-1", BODY, door.clock.now()))
        door.clock.advance(timedelta(hours=23, minutes=59))
        await door.knock(signed(OTHER, "req-1", BODY, door.clock.now()))
        assert door.lookups == 1
        door.answer = NGINX
        door.clock.advance(timedelta(minutes=2))
        with pytest.raises(Unavailable):
            await door.knock(signed(OTHER, "req-1", BODY, door.clock.now()))


async def test_without_keys_the_knock_is_to_be_repeated() -> None:
    async with Door(VECTOR_KEY) as door:
        door.answer = NGINX
        for _ in range(3):
            with pytest.raises(Unavailable):
                await door.knock()
        assert door.lookups == 1
        door.answer = told(200, {"keys": [VECTOR_KEY]})
        door.clock.advance(timedelta(seconds=61))
        assert await door.knock() == WebhookNotice("req-1")


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 5}', b'{"keys": [5, {}]}'])
def test_odd_key_documents_hold_no_keys(document: bytes) -> None:
    assert public_keys(document) == ()
