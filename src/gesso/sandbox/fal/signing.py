"""Webhook signatures: ED25519 over request id, user id, timestamp and the body's digest (fact sheet, section 4)."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

USER_ID = "sandbox-user"


def message(request_id: str, user_id: str, timestamp: int, body: bytes) -> bytes:
    """The bytes that are signed."""
    return "\n".join((request_id, user_id, str(timestamp), hashlib.sha256(body).hexdigest())).encode()


@dataclass(frozen=True)
class Signer:
    """One key pair, made from a 32-byte seed."""

    key: Ed25519PrivateKey

    @classmethod
    def from_seed(cls, seed: bytes) -> "Signer":
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def jwk(self) -> dict[str, Any]:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}

    def headers(self, request_id: str, timestamp: int, body: bytes, user_id: str = USER_ID) -> dict[str, str]:
        """The four headers of a signed webhook; `timestamp` in unix seconds."""
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": user_id,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": self.key.sign(message(request_id, user_id, timestamp, body)).hex(),
        }


# Fixed seeds: receivers cache the key set for a day, and a restarted sandbox must still verify. Nothing here is secret.
CURRENT = Signer.from_seed(bytes(range(32)))
RETIRED = Signer.from_seed(bytes(range(32, 64)))
FOREIGN = Signer.from_seed(bytes(range(64, 96)))


def key_set() -> dict[str, Any]:
    """The JWKS, in the middle of a rotation: the retired key stands first, the one in use second."""
    return {"keys": [RETIRED.jwk(), CURRENT.jwk()]}
