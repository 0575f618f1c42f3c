"""Signed knocks: the fact sheet's vector, rotation, and every way to be refused."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.core.clock import FixedClock
from gesso.providers.base import ConnectionConfig, WebhookNotice
from gesso.providers.errors import Unavailable, WebhookRejected
from gesso.providers.replicate.adapter import ReplicateAdapter
from gesso.providers.replicate.webhooks import fits, secret_of, signed_parts
from tests.providers.loopback import NGINX, Reply, loopback, told

VECTOR_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_" + base64.b64encode(b"another secret of the account").decode()
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_HEADERS = {
    "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "Webhook-Timestamp": "1614265330",
    "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"id":"abc123","status":"succeeded"}'


def signed(key: str, body: bytes = BODY, at: datetime = SIGNED_AT) -> dict[str, str]:
    secret, stamp = secret_of({"key": key}), str(int(at.timestamp()))
    assert secret is not None
    digest = hmac.new(secret, b".".join([b"msg_1", stamp.encode(), body]), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


class Door:
    """An adapter before a server whose secret can be changed; counts the look-ups."""

    def __init__(self, key: str = VECTOR_KEY, at: datetime = SIGNED_AT) -> None:
        self.answer: Reply = told(200, {"key": key})
        self.clock = FixedClock(at)

    async def __aenter__(self) -> "Door":
        self.context = loopback(lambda _: self.answer)
        self.server = await self.context.__aenter__()
        self.adapter = ReplicateAdapter(
            ConnectionConfig(base_url=f"{self.server.url}/replicate", api_key=SecretStr("r8_key")), self.clock
        )
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self.adapter.aclose()
        await self.context.__aexit__(*problem)

    async def knock(self, headers: dict[str, str], body: bytes = BODY) -> WebhookNotice:
        return await self.adapter.parse_webhook(headers, body)

    @property
    def lookups(self) -> int:
        return len(self.server.seen)


async def test_the_vector_of_the_fact_sheet() -> None:
    secret = secret_of({"key": VECTOR_KEY})
    assert secret is not None
    message, signatures = signed_parts(VECTOR_HEADERS, VECTOR_BODY, SIGNED_AT)
    assert fits(secret, message, signatures)
    assert not fits(secret, message + b" ", signatures)
    async with Door() as door:  # signed properly, but about no prediction
        with pytest.raises(WebhookRejected, match="names no prediction"):
            await door.knock(VECTOR_HEADERS, VECTOR_BODY)
        assert door.server.seen[0].path == "/replicate/v1/webhooks/default/secret"
        assert door.server.seen[0].headers["authorization"] == "Bearer r8_key"


async def test_a_knock_names_its_prediction_and_the_secret_is_kept() -> None:
    async with Door() as door:
        for _ in range(3):
            assert await door.knock(signed(VECTOR_KEY)) == WebhookNotice("abc123")
        assert door.lookups == 1


async def test_any_of_several_signatures_will_do() -> None:
    async with Door() as door:
        right = signed(VECTOR_KEY)["webhook-signature"]
        wrong = signed(OTHER_KEY)["webhook-signature"]
        both = {**signed(VECTOR_KEY), "webhook-signature": f"{wrong} v2,x {right}"}
        assert await door.knock(both) == WebhookNotice("abc123")
        for refused in (wrong, "v1", "v1,", right.replace("v1,", "v1a,"), "v1,é"):
            with pytest.raises(WebhookRejected):
                await door.knock({**signed(VECTOR_KEY), "webhook-signature": refused})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_every_header_is_needed(name: str) -> None:
    async with Door() as door:
        with pytest.raises(WebhookRejected):
            await door.knock({key: value for key, value in signed(VECTOR_KEY).items() if key != name})
        assert door.lookups == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("webhook-id", "msg_2"), ("webhook-timestamp", "1614265331"), ("webhook-timestamp", "soon"),
     ("webhook-timestamp", "-1614265330")],
)  # fmt: skip
async def test_nothing_signed_can_be_changed(name: str, value: str) -> None:
    async with Door() as door:
        with pytest.raises(WebhookRejected):
            await door.knock({**signed(VECTOR_KEY), name: value})
        with pytest.raises(WebhookRejected):
            await door.knock(signed(VECTOR_KEY), BODY.replace(b":", b": "))


@pytest.mark.parametrize(("seconds", "taken"), [(300, True), (-300, True), (301, False), (-301, False)])
async def test_the_window_is_five_minutes_either_way(seconds: int, taken: bool) -> None:
    async with Door(at=SIGNED_AT + timedelta(seconds=seconds)) as door:
        if taken:
            await door.knock(signed(VECTOR_KEY))
        else:
            with pytest.raises(WebhookRejected, match="too old"):
                await door.knock(signed(VECTOR_KEY))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no json", b'{"id": 5}', b'{"id": "a/b"}'])
async def test_a_signed_body_must_name_a_prediction(body: bytes) -> None:
    async with Door() as door:
        with pytest.raises(WebhookRejected):
            await door.knock(signed(VECTOR_KEY, body), body)


async def test_a_new_secret_is_fetched_but_not_more_than_once_a_minute() -> None:
    async with Door(OTHER_KEY) as door:
        for _ in range(5):
            with pytest.raises(WebhookRejected):
                await door.knock(signed(VECTOR_KEY))
        assert door.lookups == 1
        door.answer = told(200, {"key": VECTOR_KEY})
        door.clock.advance(timedelta(seconds=61))
        assert await door.knock(signed(VECTOR_KEY)) == WebhookNotice("abc123")
        assert door.lookups == 2
        with pytest.raises(WebhookRejected):  # the old one is gone
            await door.knock(signed(OTHER_KEY))


async def test_the_secret_is_kept_a_day_and_no_longer() -> None:
    async with Door() as door:
        await door.knock(signed(VECTOR_KEY))
        door.clock.advance(timedelta(hours=23, minutes=59))
        await door.knock(signed(VECTOR_KEY, at=door.clock.now()))
        assert door.lookups == 1
        door.answer = NGINX
        door.clock.advance(timedelta(minutes=2))
        with pytest.raises(Unavailable):
            await door.knock(signed(VECTOR_KEY, at=door.clock.now()))


@pytest.mark.parametrize(
    "document", [None, [], {}, {"key": 5}, {"key": "secret"}, {"key": "whsec_"}, {"key": "whsec_***"}]
)
async def test_odd_documents_hold_no_secret(document: Any) -> None:
    assert secret_of(document) is None
    async with Door() as door:
        door.answer = told(200, document)
        with pytest.raises(Unavailable):
            await door.knock(signed(VECTOR_KEY))
