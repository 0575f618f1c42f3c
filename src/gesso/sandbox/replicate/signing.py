"""Webhook signatures: HMAC-SHA256 over id, time and body (fact sheet, section 3)."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping

from gesso.sandbox.courier import Sign

ATTEMPTS = 6

# Fixed: receivers keep the secret for a day, and a restarted sandbox must still fit it. Nothing here is secret.
CURRENT = bytes(range(24))
FOREIGN = bytes(range(24, 48))


def secret_text(secret: bytes = CURRENT) -> str:
    """As the API tells it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,<base64>`."""
    message = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()


def headers(message_id: str, timestamp: int, body: bytes, *, forged: bool = False) -> dict[str, str]:
    """The three headers. In the middle of a rotation: two signatures, the second fits, unless `forged`."""
    signers = [FOREIGN] if forged else [FOREIGN, CURRENT]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(signer, message_id, timestamp, body) for signer in signers),
    }


def signing() -> Sign:
    """How a new message is signed: each has an id of its own, kept when it is sent again."""
    message_id = f"msg_{uuid.uuid4().hex[:20]}"

    def sign(timestamp: int, body: bytes, *, forged: bool) -> Mapping[str, str]:
        return headers(message_id, timestamp, body, forged=forged)

    return sign
