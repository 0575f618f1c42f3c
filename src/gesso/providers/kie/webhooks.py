"""kie.ai's knock at the door: HMAC-SHA256 over the task's id and the time, if the account has a webhook key.

The body is *not* part of the signature: whoever has seen one callback can send any body for that task while the
signature is fresh. So a callback says one thing only, which task to look at; what became of it is asked for. An
account without a webhook key gets callbacks that nothing vouches for but the secret in our own address.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime

from gesso.providers.base import WebhookNotice
from gesso.providers.errors import WebhookRejected
from gesso.providers.kie.wire import task_id

WINDOW_SECONDS = 300


def verify(webhook_key: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookNotice:
    """The task it is about; `signed` says whether a signature vouches for it. Raises WebhookRejected."""
    found = _task_id(body)
    if found is None:
        raise WebhookRejected("The body names no task.")
    if not webhook_key:
        return WebhookNotice(found, signed=False)
    given = {name.lower(): value.strip() for name, value in headers.items()}
    timestamp, signature = given.get("x-webhook-timestamp", ""), given.get("x-webhook-signature", "")
    if not (timestamp and signature):
        raise WebhookRejected("A signature header is missing.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRejected("The timestamp is not a number of seconds.")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise WebhookRejected("The notice is too old, or from the future.")
    wanted = base64.b64encode(hmac.new(webhook_key, f"{found}.{timestamp}".encode(), hashlib.sha256).digest())
    if not hmac.compare_digest(wanted, signature.encode()):
        raise WebhookRejected("The signature does not fit.")
    return WebhookNotice(found)


def _task_id(body: bytes) -> str | None:
    try:
        data = json.loads(body)
    except ValueError:
        return None
    return (task_id(data.get("data")) or task_id(data)) if isinstance(data, dict) else None
