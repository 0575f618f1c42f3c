"""What an answer cost: tokens × prices, exact, rounded up to a whole micro-dollar.

A price in dollars per million tokens is a number of micro-dollars per token. Prices come from the catalogue:

    wire.usd_per_million = { input = "0.25", cached_input = "0.025", output = "2" }         text
    wire.usd_per_million = { text_input = "5", image_input = "8", output = "30" }           pictures

`input` counts where the finer ones are not given, or where the answer does not tell the kinds apart.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from gesso.providers.base import JSON
from gesso.providers.openai.wire import Tokens
from gesso.providers.prices import read_prices

NAMES = ("input", "cached_input", "text_input", "image_input", "output")


def prices(value: JSON) -> Mapping[str, Decimal]:
    """`usd_per_million`, checked. Raises Misconfigured("model")."""
    return read_prices(value, NAMES)


def cost_micro_usd(used: Tokens | None, price: Mapping[str, Decimal]) -> int | None:
    """None unless the tokens of both directions and their prices are known."""
    if used is None or used.input is None or used.output is None or "output" not in price:
        return None
    sent = _input(used, used.input, price)
    if sent is None:
        return None
    return int((sent + used.output * price["output"]).to_integral_value(ROUND_CEILING))


def _input(used: Tokens, total: int, price: Mapping[str, Decimal]) -> Decimal | None:
    dearest = max((price[name] for name in ("input", "text_input", "image_input") if name in price), default=None)
    if dearest is None:
        return None
    if used.text_input is not None or used.image_input is not None:
        text, image = used.text_input or 0, used.image_input or 0
        rest = max(0, total - text - image)
        usual = price.get("input", dearest)
        return text * price.get("text_input", usual) + image * price.get("image_input", usual) + rest * usual
    usual = price.get("input", dearest)
    cached = min(used.cached or 0, total)
    return (total - cached) * usual + cached * price.get("cached_input", usual)
