"""How a workflow wants to be asked: data, not code.

A model of ComfyUI is a workflow. The catalogue's `wire` holds it in ComfyUI's API format and names the places where a
request's values go. A place is `"<node id>.<input>"` and must hold a plain value there, not a link. Nothing is known
beforehand, so `upstream` is only a name for people.

    {"workflow": {"3": {"class_type": "KSampler", "inputs": {…}}, …},      as “Export (API)” of ComfyUI writes it
     "places": {"prompt": "6.text", "negative": "7.text",                  where the prompts go
                "width": "5.width", "height": "5.height",                  a size needs both
                "count": "5.batch_size", "seed": "3.seed",
                "steps": "3.steps", "guidance": "3.cfg", "strength": "3.denoise", …},   any setting, by our name
                    a list of places: the same value goes to each of them
                    {"at": …, "times": 16, "plus": 1}: a number times 16 plus 1, rounded (seconds to frames)
     "negative": "append" | "none",                     for a workflow without a place for it
     "images": "10.image" | ["10.image", "11.image"],   one LoadImage per reference picture; all of them are needed
     "outputs": ["9"],                                  the nodes whose files are the result; left out: every saved file
     "step": 8, "min_side": 64, "max_side": 4096,       sides: divisible by, limits
     "area": 1048576,                                   pixels of a picture of which only the aspect ratio is known
     "count_max": 4,
     "choices": {"quality": {"high": {"3.steps": 40}}}, setting → value → values of places
     "micro_usd_per_second": 0}                         what a second of the box costs, for the true cost; left out: the
                                                        estimate of the model's cost rule stands

Every text input named `filename_prefix` is set to a name of the call's own, so that files of different calls cannot be
taken for one another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gesso.providers.base import JSON, MediaKind
from gesso.providers.errors import Misconfigured

MEGAPIXEL = 1024**2
PREFIX = "filename_prefix"
_NODE = re.compile(r"[A-Za-z0-9_:-]{1,80}")
_WHOLE = ("step", "min_side", "max_side", "area", "count_max")
_NUMBERS = ("width", "height", "count", "seed")
_TEXTS = ("prompt", "negative")
_OTHERS = ("workflow", "places", "negative", "images", "outputs", "choices", "micro_usd_per_second")


@dataclass(frozen=True)
class Place:
    """An input of a node."""

    node: str
    input: str


@dataclass(frozen=True)
class Knob:
    """Where a value goes. Numbers are changed to `value * times + plus` and rounded, unless both are left out."""

    places: tuple[Place, ...]
    times: float = 1.0
    plus: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether numbers are not taken as they are."""
        return (self.times, self.plus) != (1.0, 0.0)


@dataclass(frozen=True)
class Shape:
    """One workflow's way of being asked; fields as in the module's description. `prefixes`: where file names go."""

    workflow: Mapping[str, Mapping[str, Any]]
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    negative: str | None = "append"
    images: tuple[Place, ...] = ()
    outputs: tuple[str, ...] = ()
    prefixes: tuple[Place, ...] = ()
    choices: Mapping[str, Mapping[str, Mapping[Place, JSON]]] = field(default_factory=dict)
    step: int = 8
    min_side: int = 64
    max_side: int = 4096
    area: int = MEGAPIXEL
    count_max: int = 4
    micro_usd_per_second: int | None = None

    def places_of(self, name: str) -> tuple[Place, ...]:
        """Where the setting called `name` goes; empty where the workflow has no such thing."""
        knob = self.knobs.get(name)
        return knob.places if knob else ()

    def literal(self, place: Place) -> Any:
        """What the workflow holds at a place that was checked."""
        return self.workflow[place.node]["inputs"][place.input]


def shape_of(model: str, kind: MediaKind, wire: Mapping[str, JSON]) -> Shape:
    """The workflow in `wire`, with all its places checked against it. Raises Misconfigured("model") saying what is
    wrong. `model` and `kind` change nothing: a workflow makes what it makes."""
    unknown = sorted(set(wire) - {*_WHOLE, *_OTHERS})
    if unknown:
        raise _unusable(f"knows no “{unknown[0]}”")
    workflow = _workflow(wire.get("workflow"))
    knobs = _knobs(workflow, wire.get("places", {}))
    if ("width" in knobs) != ("height" in knobs):
        raise _unusable("places: a size needs both width and height")
    outputs = _texts("outputs", wire.get("outputs", []))
    for node in outputs:
        if node not in workflow:
            raise _unusable(f"outputs: the workflow has no node {node}")
    images = tuple(_place(workflow, text, str) for text in _texts("images", wire.get("images", [])))
    return Shape(
        workflow=workflow,
        knobs=knobs,
        negative=_negative(knobs, wire),
        images=images,
        outputs=tuple(outputs),
        prefixes=_prefixes(workflow),
        choices=_choices(workflow, wire.get("choices", {})),
        micro_usd_per_second=_whole("micro_usd_per_second", wire["micro_usd_per_second"], least=0)
        if "micro_usd_per_second" in wire
        else None,
        **{name: _whole(name, wire[name], least=1) for name in _WHOLE if name in wire},
    )


def _workflow(value: JSON) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not value:
        raise _unusable("workflow is missing: put the workflow there in ComfyUI's API format")
    if "nodes" in value and isinstance(value["nodes"], list):
        raise _unusable("workflow is in the format of ComfyUI's editor; export it with “Export (API)”")
    nodes: Mapping[str, Any] = value
    for node, content in nodes.items():
        named = isinstance(content, dict) and isinstance(content.get("class_type"), str) and content["class_type"]
        if not _NODE.fullmatch(node) or not named or not isinstance(content.get("inputs"), dict):
            raise _unusable(f"workflow: node {node[:80]} needs a class_type and inputs")
        for name, given in content["inputs"].items():
            if _is_link(given) and given[0] not in nodes:
                raise _unusable(f"workflow: {node}.{name} is linked to node {given[0]}, which is not there")
    return nodes


def _knobs(workflow: Mapping[str, Any], value: JSON) -> dict[str, Knob]:
    if not isinstance(value, dict):
        raise _unusable("places must be a table")
    return {name: _knob(workflow, name, given) for name, given in value.items()}


def _knob(workflow: Mapping[str, Any], name: str, given: JSON) -> Knob:
    times, plus = 1.0, 0.0
    if isinstance(given, dict):
        if set(given) - {"at", "times", "plus"}:
            raise _unusable(f"places.{name} may hold at, times and plus")
        times, plus = (_number(f"places.{name}", given.get(part, usual)) for part, usual in (("times", 1), ("plus", 0)))
        given = given.get("at")
    kind: type | tuple[type, ...] = str if name in _TEXTS else int if name in _NUMBERS else (str, bool, int, float)
    places = tuple(_place(workflow, text, kind) for text in _texts(f"places.{name}", given))
    if not places:
        raise _unusable(f"places.{name} names no place")
    return Knob(places, times, plus)


def _place(workflow: Mapping[str, Any], text: str, kind: type | tuple[type, ...]) -> Place:
    node, _, name = text.partition(".")
    inputs = workflow[node]["inputs"] if node in workflow else None
    if inputs is None or name not in inputs:
        raise _unusable(f"the workflow has no place {text[:80]}")
    value = inputs[name]
    fits = isinstance(value, kind) and (not isinstance(value, bool) or isinstance(kind, tuple))
    if not fits:
        wanted = "a text" if kind is str else "a whole number" if kind is int else "a plain value"
        raise _unusable(f"{text[:80]} holds no {wanted.removeprefix('a ')}; {wanted} is needed at this place")
    return Place(node, name)


def _prefixes(workflow: Mapping[str, Any]) -> tuple[Place, ...]:
    return tuple(Place(node, PREFIX) for node in workflow if isinstance(workflow[node]["inputs"].get(PREFIX), str))


def _negative(knobs: Mapping[str, Knob], wire: Mapping[str, JSON]) -> str | None:
    """As `asking.prompts` wants it: the setting's name, "append", or None."""
    value = wire.get("negative", "append")
    if value not in ("append", "none"):
        raise _unusable("negative must be append or none; its place goes into places")
    if "negative" in knobs:
        return "negative"
    return "append" if value == "append" and "prompt" in knobs else None


def _choices(workflow: Mapping[str, Any], value: JSON) -> dict[str, dict[str, dict[Place, JSON]]]:
    if not isinstance(value, dict):
        raise _unusable("choices must be a table")
    found: dict[str, dict[str, dict[Place, JSON]]] = {}
    given: Mapping[str, Any] = value
    for name, by_value in given.items():
        if not isinstance(by_value, dict) or not all(isinstance(part, dict) for part in by_value.values()):
            raise _unusable(f"choices.{name} must name values, and for each the values of places")
        found[name] = {
            chosen: {_place(workflow, text, (str, bool, int, float)): part for text, part in places.items()}
            for chosen, places in by_value.items()
        }
    return found


def _texts(name: str, value: JSON) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(part, str) for part in given):
        raise _unusable(f"{name} must be a text or a list of texts")
    return [part for part in given if isinstance(part, str)]


def _number(name: str, value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unusable(f"{name}: times and plus must be numbers")
    return float(value)


def _whole(name: str, value: JSON, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _unusable(f"{name} must be a whole number, at least {least}")
    return value


def _is_link(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def _unusable(reason: str) -> Misconfigured:
    return Misconfigured("model", note=f"The model's wire data cannot be used: {reason}.")
