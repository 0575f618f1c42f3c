"""What an answer cost: tokens × prices, exact, rounded up to a whole micro-dollar.

A price in dollars per million tokens is a number of micro-dollars per token. Prices come from the catalogue:

    wire.usd_per_million = { input = "0.3", cached_input = "0.03", output = "2.5" }        text
    wire.usd_per_million = { input = "0.5", output = "3", image_output = "60" }            pictures

`output` is for words and thoughts, `image_output` for the tokens of pictures.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from gesso.providers.gemini.wire import Tokens

NAMES = ("input", "cached_input", "output", "image_output")


def cost_micro_usd(used: Tokens | None, price: Mapping[str, Decimal]) -> int | None:
    """None unless the tokens of both directions are told, and each kind of them that occurs has a price.

    A sum that leaves something out would pass for the true cost. Where the kinds of an answer are not told apart, all
    of it counts at the dearer price.
    """
    if used is None or used.input is None or used.output is None or not price:
        return None
    cached = min(used.cached, used.input)
    words, pictures = used.output, used.image_output
    if pictures is None and "image_output" in price:
        words, pictures = used.thoughts, used.output - used.thoughts
    pictures = min(pictures or 0, used.output)
    words = used.output - pictures
    sums = (
        (used.input - cached, price.get("input")),
        (cached, price.get("cached_input", price.get("input"))),
        (words, price.get("output")),
        (pictures, price.get("image_output")),
    )
    total = Decimal(0)
    for tokens, each in sums:
        if tokens and each is None:
            return None
        total += tokens * (each or 0)
    return int(total.to_integral_value(ROUND_CEILING))
