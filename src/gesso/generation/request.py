"""What is asked of a provider for some outputs of a generation, and of which models in turn. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gesso.catalog import capabilities, pricing, styles
from gesso.catalog.items import Connection, Model, StylePreset
from gesso.catalog.rules import size_of
from gesso.core.errors import GessoError, InvalidInput
from gesso.core.money import OutputAsk, OutputPrice
from gesso.generation.models import Generation, Output
from gesso.providers.base import InputFile, MediaRequest

SEED_LIMIT = 2**31
"""Seeds we choose stay below this: every provider seen takes them."""

_OWN = frozenset(
    {"prompt", "negative_prompt", "count", "seed", "size", "aspect_ratio", "quality", "references"}
)  # fmt: skip
_ESSENTIAL = frozenset({"prompt", "negative_prompt", "size", "aspect_ratio", "duration", "references"})
"""Settings a fallback model must know too when they were given; others (steps, guidance …) it may do without."""

DEADLINE_FACTOR = 12
DEADLINE_BOUNDS = {"image": (300, 1800), "video": (1800, 7200)}
"""Seconds a generation may run: so many times its model's typical time, within these bounds."""


@dataclass(frozen=True, slots=True)
class Step:
    """A model of the chain, the account it is called through, and the parameters as it takes them.

    `prices`: what a fallback charges for each output, by index, never above what is held for it; None for the model
    that was asked for, which charges what is held. `style`: what was chosen with the model that was asked for; its
    words go along whichever model answers.
    """

    model: Model
    connection: Connection
    params: Mapping[str, Any]
    fallback: bool
    prices: tuple[OutputPrice, ...] | None = None
    style: StylePreset | None = None


def deadline(model: Model) -> timedelta:
    """How long one generation of this model may run."""
    least, most = DEADLINE_BOUNDS["video" if model.kind == "video" else "image"]
    return timedelta(seconds=min(max(DEADLINE_FACTOR * model.typical_seconds, least), most))


def seeds(model: Model, given: int | None, count: int, chosen: int) -> tuple[int | None, ...]:
    """One seed per output, so that each picture differs and can be made again; `chosen` where none was given.

    A model that takes no seed gets none.
    """
    if "seed" not in model.settings:
        return (None,) * count
    first = chosen if given is None else given
    most = model.settings["seed"].get("maximum", SEED_LIMIT - 1)
    return tuple((first + index) % (most + 1) for index in range(count))


def chain(
    generation: Generation,
    held: Sequence[OutputPrice],
    find_model: Callable[[str], Model | None],
    find_connection: Callable[[Any], Connection | None],
    known_styles: Sequence[StylePreset] = (),
) -> tuple[Step, ...]:
    """The models to try in turn: the one asked for, then its fallbacks as far as they can and may serve.

    A fallback serves only if it takes the same essential settings and its own quote for the request is not above
    what is held, output by output; that quote is then what it charges. What runs on the person's own key charges
    nothing either way. A model that is gone, or whose connection is off, is left out.
    """
    first = find_model(generation.model_key)
    if first is None:
        return ()
    params = generation.params
    style = None
    if styles.takes_styles(first):
        style = next((one for one in known_styles if one.key == params.get(styles.SETTING)), None)
        params = {name: value for name, value in params.items() if name != styles.SETTING}
    steps = []
    for model in (first, *filter(None, map(find_model, first.fallbacks))):
        connection = find_connection(model.connection_id)
        if connection is None or not connection.enabled:
            continue
        if connection.adult and not _is_adult(first, find_connection):
            continue  # who asked for an ordinary model did not ask for an adult one
        if model is first:
            steps.append(Step(model, connection, params, fallback=False, style=style))
        elif model.enabled and model.kind == first.kind:
            adapted = _adapted(first, model, params)
            prices = _charges(generation, model, adapted, held) if adapted is not None else None
            if adapted is not None and prices is not None:
                steps.append(Step(model, connection, adapted, fallback=True, prices=prices, style=style))
    return tuple(steps)


def _is_adult(model: Model, find_connection: Callable[[Any], Connection | None]) -> bool:
    connection = find_connection(model.connection_id)
    return connection is not None and connection.adult


def _adapted(first: Model, model: Model, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters as a fallback takes them; None when it cannot do what was asked for.

    What was left at the first model's default is left at the fallback's: four steps are many for one model, and far
    too few for another.
    """
    given = {name: value for name, value in params.items() if value not in (None, [], "")}
    if any(name not in model.settings for name in given if name in _ESSENTIAL):
        return None
    kept = {
        name: value
        for name, value in given.items()
        if name in model.settings and (name in _ESSENTIAL or value != first.settings.get(name, {}).get("default"))
    }
    try:
        cleaned = capabilities.check(model, kept)
        pricing.quote(model, cleaned, 1)
    except (InvalidInput, GessoError):
        return None
    return cleaned


def _charges(
    generation: Generation, model: Model, adapted: Mapping[str, Any], held: Sequence[OutputPrice]
) -> tuple[OutputPrice, ...] | None:
    """What a fallback charges for each output; None when it would be more than is held."""
    if generation.own_key:
        return tuple(held)
    return _requoted(pricing.quote(model, adapted, len(held)), held)


def _requoted(asks: Sequence[OutputAsk], held: Sequence[OutputPrice]) -> tuple[OutputPrice, ...] | None:
    """Each output's new price, in the unit that is held for it; None when one does not fit into what is held."""
    prices = []
    for ask, price in zip(asks, held, strict=True):
        if price.allowances:
            unit = ask.allowance or ""
            if not 0 < ask.uses <= price.allowances.get(unit, 0):
                return None
            prices.append(OutputPrice(0, {unit: ask.uses}))
        elif ask.credits > price.credits:
            return None
        else:
            prices.append(OutputPrice(ask.credits))
    return tuple(prices)


def media_request(
    step: Step,
    generation: Generation,
    outputs: Sequence[Output],
    *,
    inputs: Sequence[InputFile] = (),
    webhook_url: str | None = None,
    deadline_seconds: float | None = None,
) -> MediaRequest:
    """The provider's request for these outputs, in our words."""
    params, size = step.params, size_of(step.params.get("size"))
    prompt, negative = styles.styled(str(params.get("prompt", "")), params.get("negative_prompt"), step.style)
    return MediaRequest(
        kind=generation.kind,
        model=step.model.upstream,
        prompt=prompt,
        negative_prompt=negative or None,
        count=len(outputs),
        seed=outputs[0].seed,
        width=size[0] if size else None,
        height=size[1] if size else None,
        aspect_ratio=params.get("aspect_ratio"),
        quality=params.get("quality"),
        options={name: value for name, value in params.items() if name not in _OWN},
        inputs=tuple(inputs),
        wire=dict(step.model.wire),
        webhook_url=webhook_url,
        deadline_seconds=deadline_seconds,
    )
