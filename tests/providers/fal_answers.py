"""Submits and polls of the fal adapter on answers made up by a test."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, MediaRequest, Operation, Pending
from gesso.providers.errors import ProviderError
from gesso.providers.fal.adapter import FalAdapter
from tests.providers.loopback import Loopback, Reply, loopback, told

KEY = "0a1b2c3d:supersecretvalue"
MODEL = "fal-ai/flux/schnell"
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
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
