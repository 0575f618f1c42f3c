"""Delivering webhooks: at least once, signed, retried, and in the bad ways that can be asked for."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx2

from gesso.sandbox.faults import Faults
from gesso.sandbox.pace import Pace

_LONGEST_WAIT_SECONDS = 60.0
_STALE_SECONDS = 600

logger = logging.getLogger("gesso.sandbox.webhooks")


class Sign(Protocol):
    """How a provider signs: from the time (unix seconds) and the raw body to headers; `forged` with a foreign key."""

    def __call__(self, timestamp: int, body: bytes, *, forged: bool) -> Mapping[str, str]: ...


class Courier:
    """Sends webhooks in the background. `close()` gives up what is still under way."""

    def __init__(self, pace: Pace, attempts: int, origin: str | None = None) -> None:
        """`attempts`: how often the provider tries. `origin` takes the place of whatever origin a webhook names."""
        self._pace = pace
        self._attempts = attempts
        self._origin = urlsplit(origin) if origin else None
        self._client: httpx2.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def announce(
        self,
        url: str,
        body: bytes,
        sign: Sign,
        faults: Faults,
        told: Callable[[], None] | None = None,
        *,
        after_seconds: float = 0.0,
    ) -> None:
        """Sends `body` to `url`, as the job's faults will have it. `told` is called when that is over."""
        if "webhook-never" in faults:
            if told is not None:
                told()
            return
        late = faults.get("webhook-late")
        wait = late.number(self._pace.webhook_late_seconds) if late else after_seconds
        for _ in range(2 if "webhook-duplicate" in faults else 1):
            task = asyncio.create_task(self._deliver(url, body, sign, faults, wait, told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, url: str, body: bytes, sign: Sign, faults: Faults, wait: float, told: Callable[[], None] | None
    ) -> None:
        await asyncio.sleep(wait)
        forged, stale = "webhook-forged" in faults, "webhook-stale" in faults
        pause = self._pace.webhook_retry_seconds
        for _ in range(self._attempts):
            timestamp = int(time.time()) - (_STALE_SECONDS if stale else 0)
            status = await self.post(url, body, sign(timestamp, body, forged=forged))
            # A redirect is taken as a final no; so is a receiver that calls a spoilt webhook bad.
            if status is not None and (200 <= status < 400 or forged or stale):
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT_SECONDS)
        else:
            logger.warning("a webhook was not taken after %d attempts", self._attempts)
        if told is not None:
            told()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        """One attempt, for those who keep their own account of attempts: the status, or None without an answer."""
        if self._origin is not None:
            url = urlunsplit(urlsplit(url)._replace(scheme=self._origin.scheme, netloc=self._origin.netloc))
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        headers = {"Content-Type": "application/json", **headers}
        try:
            response = await self._client.post(
                url, content=body, headers=headers, timeout=self._pace.webhook_timeout_seconds
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None
        return response.status_code

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None
