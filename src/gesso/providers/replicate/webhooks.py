"""Replicate's knock at the door, verified: HMAC-SHA256 over message id, time and the raw body (Standard Webhooks).

The account's one secret is asked for at Replicate and kept for at most 24 h; it is asked for anew when no signature
fits, though not more than once a minute, so that forged knocks cannot make us hammer Replicate.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from gesso.core.clock import Clock
from gesso.providers.base import WebhookNotice
from gesso.providers.errors import Unavailable, WebhookRejected
from gesso.providers.http import NoAnswer
from gesso.providers.replicate.client import ReplicateClient
from gesso.providers.replicate.wire import is_id

WINDOW_SECONDS = 300
SECRET_KEPT = timedelta(hours=24)
SECRET_REFETCH = timedelta(minutes=1)
_PREFIX = "whsec_"


class Webhooks:
    """Verifies notices for one connection."""

    def __init__(self, client: ReplicateClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._secret = b""
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def verify(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Raises WebhookRejected, or Unavailable when the secret could not be fetched: answer 503, it comes again."""
        message, signatures = signed_parts(headers, body, self._clock.now())
        if not fits(await self._known(), message, signatures) and not fits(await self._fresh(), message, signatures):
            raise WebhookRejected("No signature fits.")
        found = _prediction_id(body)
        if found is None:
            raise WebhookRejected("The body names no prediction.")
        return WebhookNotice(found)

    async def _known(self) -> bytes:
        async with self._lock:
            now = self._clock.now()
            if self._fetched_at is None or now - self._fetched_at >= SECRET_KEPT:
                await self._fetch(now)
                if self._fetched_at is None or now - self._fetched_at >= SECRET_KEPT:
                    raise Unavailable(note="The webhook secret cannot be fetched.")
            return self._secret

    async def _fresh(self) -> bytes:
        async with self._lock:
            await self._fetch(self._clock.now())
            return self._secret

    async def _fetch(self, now: datetime) -> None:
        """Fetch the secret unless that was tried within the last minute; a failed try leaves the old one."""
        if self._tried_at is not None and now - self._tried_at < SECRET_REFETCH:
            return
        self._tried_at = now
        try:
            answer = await self._client.call("GET", f"{self._client.base}/webhooks/default/secret", seconds=10)
        except NoAnswer:
            return
        secret = secret_of(answer.data()) if answer.status == 200 else None
        if secret:
            self._secret, self._fetched_at = secret, now


def signed_parts(headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[bytes, tuple[str, ...]]:
    """(signed message, base64 signatures of version 1) from the headers and the raw body. Raises WebhookRejected."""
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signature = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message_id and timestamp and signature):
        raise WebhookRejected("A signature header is missing.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRejected("The timestamp is not a number of seconds.")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise WebhookRejected("The notice is too old, or from the future.")
    found = tuple(part[3:] for part in signature.split(" ") if part.startswith("v1,"))
    return f"{message_id}.{timestamp}.".encode() + body, found


def fits(secret: bytes, message: bytes, signatures: tuple[str, ...]) -> bool:
    """Whether any of the signatures was made with the secret; several stand there while one is being replaced."""
    wanted = base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest())
    return any(hmac.compare_digest(wanted, given.encode()) for given in signatures)


def secret_of(data: object) -> bytes | None:
    """The signing key out of `{"key": "whsec_<base64>"}`; None when there is none."""
    text = data.get("key") if isinstance(data, dict) else None
    if not isinstance(text, str) or not text.startswith(_PREFIX):
        return None
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True) or None
    except binascii.Error:
        return None


def _prediction_id(body: bytes) -> str | None:
    try:
        data = json.loads(body)
    except ValueError:
        return None
    found = data.get("id") if isinstance(data, dict) else None
    return found if is_id(found) else None
