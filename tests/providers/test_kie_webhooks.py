"""Knocks: signed over the task and the time, never over the body; and what an account without a webhook key gets."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from gesso.core.clock import FixedClock
from gesso.providers.base import ConnectionConfig, WebhookNotice
from gesso.providers.errors import Misconfigured, WebhookRejected
from gesso.providers.kie.adapter import KieAdapter

# Made with: printf 'task_abc.1700000000' | openssl dgst -sha256 -hmac 'hmac-key-of-the-account' -binary | base64
SIGNATURE = "I3aOF4R/BUGgVMUX3xDoc715tMlGsRXv0/OzmelfVlE="
AT = datetime.fromtimestamp(1_700_000_000, UTC)
HEADERS = {"X-Webhook-Timestamp": "1700000000", "X-Webhook-Signature": SIGNATURE}
BODY = b'{"code":200,"msg":"ok","data":{"taskId":"task_abc","state":"success"}}'


async def notice(
    headers: dict[str, str], body: bytes = BODY, key: str = "api-key:hmac-key-of-the-account", at: datetime = AT
) -> WebhookNotice:
    adapter = KieAdapter(ConnectionConfig(api_key=SecretStr(key)), FixedClock(at))
    try:
        return await adapter.parse_webhook(headers, body)
    finally:
        await adapter.aclose()


async def test_the_vector() -> None:
    assert await notice(HEADERS) == WebhookNotice("task_abc", signed=True)
    lower = {name.lower(): value for name, value in HEADERS.items()}
    assert (await notice(lower, b'{"data": {"task_id": "task_abc"}}')).request_id == "task_abc"
    assert (await notice(lower, b'{"task_id": "task_abc"}')).request_id == "task_abc"


async def test_a_webhook_key_may_hold_colons() -> None:
    wanted = base64.b64encode(hmac.new(b"a:b", b"task_abc.1700000000", hashlib.sha256).digest()).decode()
    assert (await notice({**HEADERS, "X-Webhook-Signature": wanted}, key="api-key:a:b")).signed


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_the_window_is_five_minutes(seconds: int) -> None:
    inside = timedelta(seconds=seconds - (1 if seconds > 0 else -1))
    assert (await notice(HEADERS, at=AT + inside)).signed
    with pytest.raises(WebhookRejected, match="too old, or from the future"):
        await notice(HEADERS, at=AT + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        ({"X-Webhook-Timestamp": "1700000000"}, BODY),
        ({**HEADERS, "X-Webhook-Timestamp": "1700000001"}, BODY),
        ({**HEADERS, "X-Webhook-Timestamp": "soon"}, BODY),
        ({**HEADERS, "X-Webhook-Signature": "ümlaut"}, BODY),
        (HEADERS, BODY.replace(b"task_abc", b"task_abd")),
        (HEADERS, b"not json"), (HEADERS, b"[]"), (HEADERS, b'{"data":{}}'), (HEADERS, b'{"data":{"taskId":"a/b"}}'),
    ],
)  # fmt: skip
async def test_every_way_to_be_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRejected):
        await notice(headers, body)


async def test_without_a_webhook_key_nothing_is_vouched_for() -> None:
    assert await notice({}, key="api-key") == WebhookNotice("task_abc", signed=False)
    assert await notice(HEADERS, key="api-key") == WebhookNotice("task_abc", signed=False)
    with pytest.raises(WebhookRejected):
        await notice({}, b"{}", key="api-key")


async def test_recall_makes_a_job_of_an_id() -> None:
    adapter = KieAdapter(ConnectionConfig(api_key=SecretStr("api-key")))
    operation = adapter.recall("flux-kontext-pro", "task_abc")
    assert operation is not None and json.loads(json.dumps(operation.data))["door"] == "kontext"
    assert adapter.recall("z-image", "../x") is None and adapter.recall("not a model", "task_abc") is None
    assert (adapter.can_find, await adapter.find("key"), await adapter.cancel(operation)) == (False, None, False)
    await adapter.aclose()


def test_a_key_needs_its_first_part() -> None:
    with pytest.raises(Misconfigured):
        KieAdapter(ConnectionConfig(api_key=SecretStr(":hmac")))
