"""A MediaRequest to the body fal's model wants, with warnings for what the model lacks. Pure and strict."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.fal.options import Shape
from gesso.providers.fal.sizes import size_fields

_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)+", re.ASCII)
_PREFIXES = ("workflows", "comfy")
_ORDINARY_QUALITY = (None, "standard")


@dataclass(frozen=True)
class Payload:
    """A ready body. `count` is how many files the model is asked for."""

    body: dict[str, JSON]
    count: int
    warnings: tuple[str, ...]


def check_model_id(model: str) -> None:
    """Raises Misconfigured unless `model` is owner/alias[/sub/path] of plain words: it becomes part of a URL."""
    if not _MODEL_ID.fullmatch(model):
        raise Misconfigured("model", note=f"{model[:80]!r} is not a model id such as fal-ai/flux/schnell.")


def app_path(model: str) -> str:
    """The part of a model id under which its requests live: the sub-path is dropped after submit."""
    parts = model.split("/")
    return "/".join(parts[: 3 if parts[0] in _PREFIXES else 2])


def check_inputs(request: MediaRequest, shape: Shape) -> None:
    """Raises Rejected when the number of reference pictures does not fit: dropping one would cost a wrong result."""
    given = len(request.inputs)
    if given and shape.images is None:
        raise Rejected("This model does not take reference pictures.", field="images")
    if given > shape.images_max:
        raise Rejected(f"This model takes at most {_pictures(shape.images_max)}.", field="images")
    if not given and shape.images_required:
        raise Rejected("This model needs a reference picture.", field="images")


def build(request: MediaRequest, shape: Shape, image_urls: Sequence[str]) -> Payload:
    """The body to send. `image_urls` stand for `request.inputs`, in order. Raises Rejected."""
    body: dict[str, JSON] = dict(shape.defaults)
    warnings: list[str] = []
    prompt, negative = _prompts(request, shape, warnings)
    body["prompt"] = prompt
    if negative is not None and shape.negative is not None:
        body[shape.negative] = negative
    size, size_warnings = size_fields(request, shape)
    body.update(size)
    warnings += size_warnings
    _quality(request, shape, body, warnings)
    _options(request, shape, body, warnings)
    if shape.images is not None and image_urls:
        body[shape.images] = list(image_urls) if shape.images.endswith("s") else image_urls[0]
    if request.seed is not None:
        if shape.seed is None:
            warnings.append("This model takes no seed; it was left out.")
        else:
            body[shape.seed] = request.seed
    count = _count(request, shape, body, warnings)
    return Payload(_as_text(body, shape.text), count, tuple(warnings))


def _prompts(request: MediaRequest, shape: Shape, warnings: list[str]) -> tuple[str, str | None]:
    negative = (request.negative_prompt or "").strip()
    if not negative:
        return request.prompt, None
    if shape.negative == "append":
        warnings.append("This model has no negative prompt; it was added to the prompt as “avoid: …”.")
        return f"{request.prompt.rstrip()}\navoid: {negative}", None
    if shape.negative is None:
        warnings.append("This model has no negative prompt; it was left out.")
        return request.prompt, None
    return request.prompt, negative


def _quality(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    quality = request.quality
    if isinstance(shape.quality, str) and quality is not None:
        body[shape.quality] = quality
    elif isinstance(shape.quality, Mapping) and quality is not None and quality in shape.quality:
        body.update(shape.quality[quality])
    elif quality not in _ORDINARY_QUALITY:
        warnings.append(f"This model has no quality “{quality}”; its own was used.")


def _options(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    own = {"steps": shape.steps, "guidance": shape.guidance}
    for name, value in request.options.items():
        if value is None or name == "preset":
            continue
        theirs = own[name] if name in own else shape.options.get(name)
        if theirs is None:
            warnings.append(f"This model has no setting “{name.replace('_', ' ')}”; it was left out.")
        else:
            body[theirs] = value


def _count(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> int:
    if shape.count is None:
        if request.count > 1:
            warnings.append("This model makes one at a time.")
        return 1
    count = min(request.count, shape.count_max)
    if count < request.count:
        warnings.append(f"This model makes at most {_pictures(count)} at a time.")
    body[shape.count] = count
    return count


def _as_text(body: dict[str, JSON], names: frozenset[str]) -> dict[str, JSON]:
    """Numbers as strings where the model's enum of digits is one of strings."""
    return {
        name: f"{value:g}"
        if name in names and isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in body.items()
    }


def _pictures(number: int) -> str:
    return "one picture" if number == 1 else f"{number} pictures"
