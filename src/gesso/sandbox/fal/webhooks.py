"""Delivering webhooks: at least once, signed, retried, and in the bad ways that can be asked for."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from gesso.sandbox.fal.errors import Failure
from gesso.sandbox.fal.signing import CURRENT, FOREIGN
from gesso.sandbox.faults import Faults
from gesso.sandbox.pace import Pace

_ATTEMPTS = 10
_LONGEST_WAIT_SECONDS = 60.0
_STALE_SECONDS = 600

logger = logging.getLogger("gesso.sandbox.webhooks")


def notice(request_id: str, outcome: dict[str, Any] | Failure, faults: Faults) -> bytes:
    """The body of the webhook of a finished job."""
    gateway_id = str(uuid.uuid4()) if "webhook-retried" in faults else request_id
    body: dict[str, Any] = {"request_id": request_id, "gateway_request_id": gateway_id}
    if isinstance(outcome, Failure):
        body |= {
            "status": "ERROR",
            "error": f"Invalid status code: {outcome.status}",
            "payload": outcome.body,
        }
    elif "webhook-null" in faults:
        body |= {
            "status": "OK",
            "payload": None,
            "payload_error": "Response payload is not JSON serializable",
        }
    else:
        body |= {"status": "OK", "payload": outcome}
    return json.dumps(body).encode()


class Courier:
    """Sends webhooks in the background. `close()` gives up what is still under way.

    `origin` takes the place of whatever origin a webhook's URL names.
    """

    def __init__(self, pace: Pace, origin: str | None = None) -> None:
        self._pace = pace
        self._origin = urlsplit(origin) if origin else None
        self._client: httpx2.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def announce(
        self,
        url: str,
        request_id: str,
        outcome: dict[str, Any] | Failure,
        faults: Faults,
        told: Callable[[], None] | None = None,
    ) -> None:
        """Tells `url` that the job ended, as the job's faults will have it. `told` is called when that is over."""
        if "webhook-never" in faults:
            if told is not None:
                told()
            return
        if self._origin is not None:
            url = urlunsplit(urlsplit(url)._replace(scheme=self._origin.scheme, netloc=self._origin.netloc))
        body = notice(request_id, outcome, faults)
        late = faults.get("webhook-late")
        wait = late.number(self._pace.webhook_late_seconds) if late else 0.0
        for _ in range(2 if "webhook-duplicate" in faults else 1):
            self._start(self._deliver(url, request_id, body, faults, wait, told))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, url: str, request_id: str, body: bytes, faults: Faults, wait: float, told: Callable[[], None] | None
    ) -> None:
        await self._insist(url, request_id, body, faults, wait)
        if told is not None:
            told()

    async def _insist(self, url: str, request_id: str, body: bytes, faults: Faults, wait: float) -> None:
        await asyncio.sleep(wait)
        signer = FOREIGN if "webhook-forged" in faults else CURRENT
        pause = self._pace.webhook_retry_seconds
        for _ in range(_ATTEMPTS):
            timestamp = int(time.time()) - (_STALE_SECONDS if "webhook-stale" in faults else 0)
            status = await self._post(url, body, signer.headers(request_id, timestamp, body))
            # A redirect is taken as a final no; so is a receiver that calls a spoilt webhook bad.
            if status is not None and (200 <= status < 400 or signer is FOREIGN or "webhook-stale" in faults):
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT_SECONDS)
        logger.warning("webhook of request %s was not taken after %d attempts", request_id, _ATTEMPTS)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int | None:
        if self._client is None:
            self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)
        try:
            response = await self._client.post(
                url,
                content=body,
                headers={"Content-Type": "application/json", **headers},
                timeout=self._pace.webhook_timeout_seconds,
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
