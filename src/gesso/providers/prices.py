"""Prices of tokens as the catalogue gives them: dollars per million tokens, that is micro-dollars per token."""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured

_MOST = 1_000_000


def read_prices(value: JSON, names: Collection[str]) -> Mapping[str, Decimal]:
    """A model's `usd_per_million`, checked: figures as text or whole numbers under `names`, 0 to 1,000,000.

    Raises Misconfigured("model").
    """
    try:
        if isinstance(value, dict) and value and all(name in names for name in value):
            read = {name: Decimal(str(price)) for name, price in value.items()}
            if all(price.is_finite() and 0 <= price <= _MOST for price in read.values()):
                return read
    except InvalidOperation:
        pass
    note = f"The model's wire data has an unusable usd_per_million; it may name {', '.join(names)}."
    raise Misconfigured("model", note=note)
