"""A MediaRequest to a workflow with its values in place, and warnings for what the workflow lacks. Pure and strict."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from gesso.providers import asking
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.comfyui.options import Place, Shape
from gesso.providers.errors import Rejected

FOLDER = "gesso"
"""Where our files lie on the box, uploads and results alike: whoever tidies up there knows them by it."""
SIDE_MAX = 16384
_PLAIN_NAMES = {"guidance": "Guidance", "strength": "Strength", "steps": "The number of steps"}


@dataclass(frozen=True)
class Payload:
    """A ready workflow. `count` is how many files it is asked for."""

    workflow: dict[str, JSON]
    count: int
    warnings: tuple[str, ...]


def check_inputs(request: MediaRequest, shape: Shape) -> None:
    """Raises Rejected when the number of reference pictures does not fit: each LoadImage needs one."""
    given, wanted = len(request.inputs), len(shape.images)
    needs = "a picture to start from" if wanted == 1 else f"{wanted} pictures to start from"
    asking.check_pictures(given, wanted, required=wanted > 0, needs=needs)
    if given < wanted:
        raise Rejected(f"This model needs {needs}.", field="images")


def build(request: MediaRequest, shape: Shape, *, name: str, seed: int, images: Sequence[str]) -> Payload:
    """The workflow to queue. `name`: what this call's files shall be called; `seed`: the request's, or a fresh one;
    `images`: the uploaded names that stand for `request.inputs`, in order. Raises Rejected."""
    workflow: dict[str, Any] = copy.deepcopy(dict(shape.workflow))
    warnings: list[str] = []
    values: dict[str, JSON] = {}
    prompt, negative = asking.prompts(request, shape.negative, warnings)
    if shape.places_of("prompt"):
        values["prompt"] = prompt
    elif prompt.strip():
        warnings.append("This model works from the picture alone; the prompt was not used.")
    values |= negative | _size(request, shape, warnings)
    if shape.places_of("seed"):
        values["seed"] = seed
    else:
        asking.seed_field(request, None, warnings)
    place = "count" if shape.places_of("count") else None
    count, number = asking.count_field(request, place, shape.count_max, warnings)
    for setting, value in {**values, **number}.items():
        _put(workflow, shape, setting, value)
    _settings(request, shape, workflow, warnings)
    for at, picture in zip(shape.images, images, strict=True):
        _set(workflow, at, picture)
    for at in shape.prefixes:
        _set(workflow, at, f"{FOLDER}/{name}")
    return Payload(workflow, count, tuple(warnings))


def _settings(request: MediaRequest, shape: Shape, workflow: dict[str, Any], warnings: list[str]) -> None:
    given = dict(request.options)
    if request.quality not in asking.ORDINARY_QUALITY or "quality" in shape.choices:
        given["quality"] = request.quality
    for name, value in given.items():
        if value is None:
            continue
        chosen = shape.choices.get(name, {}).get(str(value))
        if chosen is not None:
            for at, part in chosen.items():
                _set(workflow, at, part)
        elif shape.places_of(name):
            _put(workflow, shape, name, value)
        elif name == "quality":
            if value not in asking.ORDINARY_QUALITY:
                warnings.append(asking.no_quality(str(value)))
        elif name in shape.choices:
            raise Rejected(f"This model has no {name.replace('_', ' ')} “{str(value)[:40]}”.", field=name)
        else:
            warnings.append(asking.no_setting(name))


def _put(workflow: dict[str, Any], shape: Shape, name: str, value: JSON) -> None:
    knob = shape.knobs[name]
    for at in knob.places:
        held = shape.literal(at)
        if isinstance(held, str):
            fitted: JSON = value if isinstance(value, str) else _as_text(name, value)
        elif isinstance(held, bool):
            if not isinstance(value, bool):
                raise _unfit(name)
            fitted = value
        else:
            number = _as_number(name, value)
            if knob.changes:
                number = round(number * Decimal(str(knob.times)) + Decimal(str(knob.plus)), 0)
            fitted = int(number) if number == int(number) else float(number)
        _set(workflow, at, fitted)


def _set(workflow: dict[str, Any], at: Place, value: JSON) -> None:
    workflow[at.node]["inputs"][at.input] = value


def _as_text(name: str, value: JSON) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unfit(name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_number(name: str, value: JSON) -> Decimal:
    """A number, or a text that is one. JSON of ComfyUI's editor does not tell 8 from 8.0, so neither is told apart
    here: the node itself makes of it what it wants."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unfit(name)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _unfit(name) from None
    if not number.is_finite():
        raise _unfit(name)
    return number


def _unfit(name: str) -> Rejected:
    label = _PLAIN_NAMES.get(name, f"“{name.replace('_', ' ')}”")
    return Rejected(f"{label} was not accepted by this model.", "input", field=name)


def _size(request: MediaRequest, shape: Shape, warnings: list[str]) -> dict[str, JSON]:
    pixels, ratio = asking.pixels_asked(request, SIDE_MAX), request.aspect_ratio
    if pixels is None and ratio in (None, "auto"):
        return {}
    if not shape.places_of("width"):
        warnings.append("This model chooses the size itself; the wanted size was left out.")
        return {}
    wanted = pixels or asking.sides_of(asking.parse_ratio(ratio or ""), shape.area, shape.step)
    width, height = asking.fitting_sides(wanted, step=shape.step, least=shape.min_side, most=shape.max_side)
    if pixels is not None and (width, height) != pixels:
        warnings.append(f"This model does not make {pixels[0]}×{pixels[1]}; {width}×{height} was asked for.")
    return {"width": width, "height": height}
