"""A MediaRequest to the body of a prediction, with warnings for what the model lacks. Pure and strict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gesso.providers import asking
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.replicate.options import VERSION, Loras, Shape, base_name, is_name
from gesso.providers.replicate.sizes import size_fields

_LONGEST_ADDRESS = 2000


@dataclass(frozen=True)
class Payload:
    """A ready `input`. `count` is how many files the model is asked for."""

    input: dict[str, JSON]
    count: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Where to create a prediction: the path below /v1, and the version its body must name, if any."""

    path: str
    version: str | None


def target(model: str, shape: Shape) -> Target:
    """Where `model` is asked. Raises Misconfigured unless it is a name that can become part of a URL."""
    name, _, version = model.partition(":")
    deployed = model.startswith("deployments/")
    if not is_name(base_name(model)) or (version and not VERSION.fullmatch(version)) or (deployed and version):
        note = f"{model[:80]!r} is not a model such as owner/name, owner/name:<64 digits> or deployments/owner/name."
        raise Misconfigured("model", note=note)
    if deployed:
        return Target(f"/{model}/predictions", None)
    if version or shape.version:
        return Target("/predictions", version or shape.version)
    return Target(f"/models/{name}/predictions", None)


def check_inputs(request: MediaRequest, shape: Shape) -> None:
    """Raises Rejected when the number of reference pictures does not fit: dropping one would cost a wrong result."""
    needs = "a picture to start from"
    asking.check_pictures(len(request.inputs), most_images(shape), required=shape.images_required, needs=needs)


def most_images(shape: Shape) -> int:
    """How many pictures the model takes."""
    if shape.images is None:
        return 0
    return len(shape.images) if isinstance(shape.images, tuple) else shape.images_max


def build(request: MediaRequest, shape: Shape, image_urls: Sequence[str]) -> Payload:
    """The input to send. `image_urls` stand for `request.inputs`, in order. Raises Rejected."""
    body: dict[str, JSON] = dict(shape.defaults)
    warnings: list[str] = []
    _prompts(request, shape, body, warnings)
    size, size_warnings = size_fields(request, shape)
    body.update(size)
    warnings += size_warnings
    if request.quality not in asking.ORDINARY_QUALITY and request.quality not in shape.choices.get("quality", {}):
        warnings.append(asking.no_quality(request.quality))
    _options(request, shape, body, warnings)
    if isinstance(shape.images, tuple):
        body.update(zip(shape.images, image_urls, strict=False))
    elif shape.images is not None and image_urls:
        body[shape.images] = list(image_urls) if shape.images_max > 1 else image_urls[0]
    body.update(asking.seed_field(request, shape.seed, warnings))
    count, number = asking.count_field(request, shape.count, shape.count_max, warnings)
    body.update(number)
    return Payload(asking.digits_as_text(body, shape.text), count, tuple(warnings))


def _prompts(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    # A model without a prompt has nothing to append to.
    field = None if shape.prompt is None and shape.negative == "append" else shape.negative
    prompt, negative = asking.prompts(request, field, warnings)
    body.update(negative)
    if shape.prompt is not None:
        body[shape.prompt] = prompt
    elif prompt.strip():
        warnings.append("This model works from the picture alone; the prompt was not used.")


def _options(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    own = {"steps": shape.steps, "guidance": shape.guidance}
    given = dict(request.options) | ({"quality": request.quality} if "quality" in shape.choices else {})
    for name, value in given.items():
        if value is None:
            continue
        if name == "loras" and shape.loras is not None:
            body.update(lora_fields(value, shape.loras))
            continue
        chosen = shape.choices.get(name, {}).get(str(value))
        theirs = own[name] if name in own else shape.options.get(name)
        if chosen is not None:
            body.update(chosen)
        elif theirs is not None:
            body[theirs] = value
        elif name in shape.choices and name != "quality":
            raise Rejected(f"This model has no {name.replace('_', ' ')} “{str(value)[:40]}”.", field=name)
        elif name == "loras":
            raise Rejected("This model takes no LoRA weights.", field="loras")
        elif name != "quality":
            warnings.append(asking.no_setting(name))


def lora_fields(value: JSON, loras: Loras) -> dict[str, JSON]:
    """`loras` = [{"url" or "ref": text, "scale": number}, …] in the model's fields. Raises Rejected: one that is
    dropped or unreadable would be paid for as a wrong picture."""
    if not isinstance(value, list):
        raise Rejected("The LoRA weights must be a list.", field="loras")
    if len(value) > loras.max:
        most = "one set" if loras.max == 1 else f"{loras.max} sets"
        raise Rejected(f"This model takes at most {most} of LoRA weights.", field="loras")
    if not value:
        return {}
    weights, scales = zip(*(_lora(entry, loras) for entry in value), strict=True)
    if loras.list:
        return {loras.weights: list(weights), loras.scales: list(scales)}
    return {loras.weights: weights[0], loras.scales: scales[0]}


def _lora(entry: Any, loras: Loras) -> tuple[str, float]:
    known = isinstance(entry, Mapping) and not set(entry) - {"url", "ref", "scale"}
    named = [entry[name] for name in ("url", "ref") if entry.get(name) is not None] if known else []
    if len(named) != 1 or not isinstance(named[0], str) or not 0 < len(named[0]) <= _LONGEST_ADDRESS:
        raise Rejected("Each of the LoRA weights needs either a url or a ref.", field="loras")
    if entry.get("url") is not None and not named[0].startswith("https://"):
        raise Rejected("The address of LoRA weights must begin with https://.", field="loras")
    scale = entry.get("scale", min(0.8, loras.high))
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not loras.low <= scale <= loras.high:
        raise Rejected(f"The scale of LoRA weights must be from {loras.low:g} to {loras.high:g}.", field="loras")
    return named[0], scale


def duration_text(seconds: float) -> str:
    """Seconds as Replicate's headers take them, rounded down: 30s, 5m. At least the 5 seconds it wants."""
    whole = max(int(seconds), 5)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m"
