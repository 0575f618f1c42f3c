"""The header Stripe-Signature: `t=<unix>,v1=<hex>[,v1=…][,v0=…]`. Fact sheet, section 5."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105
STALE_SECONDS = 600


def new_secret() -> str:
    return SECRET_PREFIX + secrets.token_hex(16)


def header(body: bytes, endpoint_secrets: Sequence[str], timestamp: int) -> str:
    """The header for a body. Each secret gives one v1; v0 is what receivers must not believe."""
    signed = f"{timestamp}.".encode() + body
    parts = [f"v1={hmac.new(one.encode(), signed, hashlib.sha256).hexdigest()}" for one in endpoint_secrets]
    return ",".join([f"t={timestamp}", *parts, f"v0={hashlib.sha256(signed).hexdigest()}"])
