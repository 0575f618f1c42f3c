"""What a webhook says, and how it is signed."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from gesso.sandbox.courier import Sign
from gesso.sandbox.fal.errors import Failure
from gesso.sandbox.fal.signing import CURRENT, FOREIGN
from gesso.sandbox.faults import Faults

ATTEMPTS = 10


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


def signing(request_id: str) -> Sign:
    """How the webhook of this request is signed."""

    def sign(timestamp: int, body: bytes, *, forged: bool) -> Mapping[str, str]:
        return (FOREIGN if forged else CURRENT).headers(request_id, timestamp, body)

    return sign
