"""What a request costs. Pure: a model, cleaned parameters and a count in, integers out."""

from collections.abc import Mapping
from typing import Any

from gesso.catalog.items import Model
from gesso.core.errors import InvalidInput
from gesso.core.money import OutputAsk, OutputPrice, Price

# A request takes one use per output of the allowance of its kind, where the workspace has one (semantics:
# "Allowance `video` counts one use whatever the length").
_ALLOWANCES = {"image": "image", "video": "video", "chat": "chat"}


def quote(model: Model, params: Mapping[str, Any], count: int) -> tuple[OutputAsk, ...]:
    """One ask per output, in order, each in whole microcredits, rounded up.

    `params` are those `capabilities.check` returned. Raises InvalidInput for a model without a price, for a
    count below 1, and where the price needs a size that was not chosen.
    """
    if count < 1:
        raise InvalidInput("Ask for at least one.", fields={"count": "Ask for at least one."})
    if model.price is None:
        reason = f"{model.name} has no price yet, so it cannot be used."
        raise InvalidInput(reason, fields={"model": reason})
    credits = model.price.per_output(params)
    if credits is None:
        name = "duration" if "second" in model.price.per and "duration" not in params else "size"
        reason = f"Choose a {name}: the price of {model.name} depends on it."
        raise InvalidInput(reason, fields={name: reason})
    allowance = _ALLOWANCES.get(model.kind)
    return (OutputAsk(credits=credits, allowance=allowance, uses=1 if allowance else 0),) * count


def usual_price(model: Model) -> Price:
    """What one output costs in credits when nothing is changed: what a model's card says. Raises as `quote`."""
    defaults = {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    return Price.of(OutputPrice(ask.credits) for ask in quote(model, defaults, 1))


def estimate_cost(model: Model, params: Mapping[str, Any]) -> int | None:
    """What the provider will probably charge us per output, in micro-dollars; None when unknown."""
    return model.cost.per_output(params) if model.cost else None
