"""One sandbox for all tests of this room, and a client that speaks to it as fal's customers do."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.sandbox.server import running_sandbox

SCHNELL = "fal-ai/flux/schnell"
SMALL: dict[str, Any] = {"image_size": {"width": 96, "height": 64}, "seed": 7}


class Customer:
    """Somebody with a key of their own; every prompt is made unique, so that counted faults do not mix."""

    def __init__(self, http: httpx2.AsyncClient, origin: str, secret: str = "good-key-1234") -> None:
        self.http, self.origin, self.base = http, origin, f"{origin}/fal"
        self.auth = {"Authorization": f"Key {uuid.uuid4().hex}:{secret}"}

    def body(self, words: str = "", **more: Any) -> dict[str, Any]:
        return {"prompt": f"dunes {uuid.uuid4().hex} {words}", **SMALL, **more}

    async def submit(
        self, words: str = "", endpoint: str = SCHNELL, *, body: dict[str, Any] | None = None, **options: Any
    ) -> httpx2.Response:
        headers = self.auth | options.pop("headers", {})
        return await self.http.post(
            f"{self.base}/{endpoint}", json=body or self.body(words), headers=headers, **options
        )

    async def get(self, url: str, **headers: str) -> httpx2.Response:
        return await self.http.get(url, headers=self.auth | headers)

    async def finish(self, submitted: httpx2.Response) -> httpx2.Response:
        """Polls until the job has ended; returns the last status answer."""
        assert submitted.status_code == 200, submitted.text
        async with asyncio.timeout(20):
            while (status := await self.get(submitted.json()["status_url"])).status_code == 202:
                await asyncio.sleep(0.01)
        assert status.json()["status"] == "COMPLETED"
        return status

    async def result(self, submitted: httpx2.Response) -> httpx2.Response:
        """The result of a job, once it has ended."""
        await self.finish(submitted)
        return await self.get(submitted.json()["response_url"])

    async def bill_line(self, request_id: str) -> dict[str, Any]:
        jobs = (await self.http.get(f"{self.origin}/_bill")).json()["jobs"]
        return next(job for job in jobs if job["request_id"] == request_id)


@pytest.fixture(scope="session")
async def origin() -> AsyncIterator[str]:
    async with running_sandbox() as address:
        yield address


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def fal(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)
