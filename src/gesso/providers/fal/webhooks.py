"""fal's knock at the door, verified: ED25519 over ids, time and the hash of the raw body, keys from its JWKS.

There is no key id in the headers: any of the published keys may have signed. The set is kept for at most 24 h,
and asked for anew when none of the known keys fits, though not more than once a minute, so that forged knocks
cannot make us hammer fal. Old and new answers replace each other whole: a withdrawn key is gone.
"""

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gesso.core.clock import Clock
from gesso.providers.base import WebhookNotice
from gesso.providers.errors import Unavailable, WebhookRejected
from gesso.providers.fal.client import FalClient
from gesso.providers.http import NoAnswer

WINDOW_SECONDS = 300
KEYS_KEPT = timedelta(hours=24)
KEYS_REFETCH = timedelta(minutes=1)


class Webhooks:
    """Verifies notices for one connection."""

    def __init__(self, client: FalClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def verify(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Raises WebhookRejected, or Unavailable when no key could be fetched: answer 503, fal knocks again."""
        request_id, message, signature = signed_parts(headers, body, self._clock.now())
        known = verified(await self._known_keys(), message, signature)
        if not known and not verified(await self._fresh_keys(), message, signature):
            raise WebhookRejected("The signature fits none of the keys.")
        if _request_id(body) != request_id:
            raise WebhookRejected("The signed request id is not the one in the body.")
        return WebhookNotice(request_id)

    async def _known_keys(self) -> tuple[Ed25519PublicKey, ...]:
        async with self._lock:
            now = self._clock.now()
            if self._fetched_at is None or now - self._fetched_at >= KEYS_KEPT:
                await self._fetch(now)
                if self._fetched_at is None or now - self._fetched_at >= KEYS_KEPT:
                    raise Unavailable(note="The webhook keys cannot be fetched.")
            return self._keys

    async def _fresh_keys(self) -> tuple[Ed25519PublicKey, ...]:
        async with self._lock:
            await self._fetch(self._clock.now())
            return self._keys

    async def _fetch(self, now: datetime) -> None:
        """Fetch the key set unless that was tried within the last minute; a failed try leaves the old set."""
        if self._tried_at is not None and now - self._tried_at < KEYS_REFETCH:
            return
        self._tried_at = now
        url = f"{self._client.hosts.rest}/.well-known/jwks.json"
        try:
            answer = await self._client.call("GET", url, seconds=10, authorised=False)
        except NoAnswer:
            return
        keys = public_keys(answer.body) if answer.status == 200 else ()
        if keys:
            self._keys, self._fetched_at = keys, now


def signed_parts(headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[str, bytes, bytes]:
    """(request id, signed message, signature) from the headers and the raw body. Raises WebhookRejected."""
    given = {name.lower(): value for name, value in headers.items()}
    parts = [given.get(f"x-fal-webhook-{name}", "") for name in ("request-id", "user-id", "timestamp", "signature")]
    request_id, user_id, timestamp, signature = parts
    if not all(parts):
        raise WebhookRejected("A signature header is missing.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRejected("The timestamp is not a number of seconds.")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise WebhookRejected("The notice is too old, or from the future.")
    try:
        decoded = binascii.unhexlify(signature)
    except (binascii.Error, ValueError):
        raise WebhookRejected("The signature is not hexadecimal.") from None
    message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()))
    return request_id, message.encode(), decoded


def verified(keys: tuple[Ed25519PublicKey, ...], message: bytes, signature: bytes) -> bool:
    """Whether any key made the signature."""
    for key in keys:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def public_keys(body: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The usable keys of a JWKS document; other kinds of key, and broken ones, are skipped."""
    try:
        entries = json.loads(body)["keys"]
    except (ValueError, KeyError, TypeError):
        return ()
    keys = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519"):
            continue
        text = str(entry.get("x", ""))
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            keys.append(Ed25519PublicKey.from_public_bytes(raw))
        except ValueError:
            continue
    return tuple(keys)


def _request_id(body: bytes) -> str | None:
    try:
        data = json.loads(body)
    except ValueError:
        return None
    found = data.get("request_id") if isinstance(data, dict) else None
    return found if isinstance(found, str) else None
