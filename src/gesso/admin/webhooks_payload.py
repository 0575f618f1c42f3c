"""What a notice said, fit to be shown: no secret, no address that opens something, nothing personal. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from gesso.core.logs import MASK, mask

_PERSONAL = frozenset(
    {
        "address", "billing_details", "collected_information", "custom_fields", "customer_address", "customer_details",
        "customer_email", "customer_name", "customer_phone", "customer_shipping", "customer_tax_ids", "email",
        "name", "payment_method_details", "phone", "receipt_email", "receipt_number", "shipping", "shipping_address",
        "shipping_details", "fingerprint",
    }
)  # fmt: skip
_OPENING = ("url", "_url", "_pdf")
"""Who has the address of a hosted page sees what is on it."""
_DEPTH = 40


def shown(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what nobody needs to see masked; nothing stays nothing."""
    return mask(_hidden(payload), _DEPTH)


def text_of(payload: Mapping[str, Any]) -> str:
    """The same as indented JSON."""
    return json.dumps(shown(payload), indent=2, ensure_ascii=False)


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _one(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return value


def _one(name: str, value: Any) -> Any:
    if value and (name in _PERSONAL or (isinstance(value, str) and name.endswith(_OPENING))):
        return MASK
    return _hidden(value)
