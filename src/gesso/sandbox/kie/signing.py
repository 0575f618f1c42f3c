"""Callback signatures: HMAC-SHA256 over the task's id and the time, and *not* over the body. Fact sheet, section 2."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from gesso.sandbox.courier import Sign

ATTEMPTS = 4
"""Once, and three times more."""

# Fixed, so that a restarted sandbox still fits it. Nothing here is secret.
WEBHOOK_KEY = "sandbox-webhook-key"
_FOREIGN = "somebody-elses-key"


def signature(key: str, task_id: str, timestamp: int) -> str:
    """As the header has it."""
    return base64.b64encode(hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()).decode()


def signing(task_id: str, *, unsigned: bool) -> Sign:
    """How the callback of a task is signed; not at all for an account without a webhook key."""

    def sign(timestamp: int, body: bytes, *, forged: bool) -> Mapping[str, str]:
        if unsigned:
            return {}
        signed = signature(_FOREIGN if forged else WEBHOOK_KEY, task_id, timestamp)
        return {"X-Webhook-Timestamp": str(timestamp), "X-Webhook-Signature": signed}

    return sign
