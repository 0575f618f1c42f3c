"""Product events to PostHog, when POSTHOG_API_KEY is set: what people do with the product, never what they ask for.

An event carries a pseudonym (a keyed hash of the user's id), the model and the outcome: no prompt, no address, no
name. It is queued in memory and sent by a thread; when the host is dead events are lost and nothing else happens.
Nobody whose browser says DNT or Sec-GPC is in it.
"""

import hashlib
import hmac
import threading
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from gesso.core.settings import TelemetrySettings
from gesso.core.telemetry.origin import untracked

if TYPE_CHECKING:
    from posthog import Posthog

log = structlog.get_logger()

CLOSE_SECONDS = 2.0
SEND_SECONDS = 5
QUEUE_LIMIT = 10_000

_client: "Posthog | None" = None
_secret = b""


def start(settings: TelemetrySettings, *, secret: str) -> None:
    """Switch product events on for this process if there is a key. `secret` is the site's, for the pseudonyms."""
    global _client, _secret
    if settings.posthog_api_key is None or _client is not None:
        return
    from posthog import Posthog

    _secret = secret.encode()
    _client = Posthog(
        settings.posthog_api_key.get_secret_value(), host=settings.posthog_host, max_queue_size=QUEUE_LIMIT,
        timeout=SEND_SECONDS, max_retries=2, disable_geoip=True, enable_local_evaluation=False,
    )  # fmt: skip


def close() -> None:
    """Send what is left, for a moment at most, and switch them off."""
    global _client
    client, _client = _client, None
    if client is not None:
        closing = threading.Thread(target=client.shutdown, name="close product events", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def on() -> bool:
    """Whether product events are sent at all."""
    return _client is not None


def wanted() -> bool:
    """Whether product events are on, and the person of this request did not ask to be left out."""
    return _client is not None and not untracked.get()


def track(event: str, user_id: UUID, **properties: str | int | None) -> None:
    """Queue one event. Returns at once, and never raises."""
    if _client is None or untracked.get():
        return
    try:
        # Without a profile of the person at PostHog: the pseudonym only tells two people apart.
        _client.capture(
            event, distinct_id=pseudonym(user_id), properties={**properties, "$process_person_profile": False}
        )
    except Exception as error:  # noqa: BLE001 - statistics never break what they count
        log.warning("product_event.failed", error=type(error).__name__)


def pseudonym(user_id: UUID) -> str:
    """The same 32 hex digits for the same person of this site, that nobody without the site's secret can undo."""
    return hmac.new(_secret, b"gesso/product/" + user_id.bytes, hashlib.sha256).hexdigest()[:32]
