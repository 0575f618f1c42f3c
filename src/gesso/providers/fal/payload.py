"""A MediaRequest to the body fal's model wants, with warnings for what the model lacks. Pure and strict."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gesso.providers import asking
from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Misconfigured
from gesso.providers.fal.options import Shape
from gesso.providers.fal.sizes import size_fields

_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.\-]*(?:/[A-Za-z0-9][\w.\-]*)+", re.ASCII)
_PREFIXES = ("workflows", "comfy")


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
    most = shape.images_max if shape.images is not None else 0
    asking.check_pictures(len(request.inputs), most, required=shape.images_required)


def build(request: MediaRequest, shape: Shape, image_urls: Sequence[str]) -> Payload:
    """The body to send. `image_urls` stand for `request.inputs`, in order. Raises Rejected."""
    body: dict[str, JSON] = dict(shape.defaults)
    warnings: list[str] = []
    body["prompt"], negative = asking.prompts(request, shape.negative, warnings)
    body.update(negative)
    size, size_warnings = size_fields(request, shape)
    body.update(size)
    warnings += size_warnings
    _quality(request, shape, body, warnings)
    _options(request, shape, body, warnings)
    if shape.images is not None and image_urls:
        body[shape.images] = list(image_urls) if shape.images.endswith("s") else image_urls[0]
    body.update(asking.seed_field(request, shape.seed, warnings))
    count, number = asking.count_field(request, shape.count, shape.count_max, warnings)
    body.update(number)
    return Payload(asking.digits_as_text(body, shape.text), count, tuple(warnings))


def _quality(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    quality = request.quality
    if isinstance(shape.quality, str) and quality is not None:
        body[shape.quality] = quality
    elif isinstance(shape.quality, Mapping) and quality is not None and quality in shape.quality:
        body.update(shape.quality[quality])
    elif quality not in asking.ORDINARY_QUALITY:
        warnings.append(asking.no_quality(quality))


def _options(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    own = {"steps": shape.steps, "guidance": shape.guidance}
    for name, value in request.options.items():
        if value is None or name == "preset":
            continue
        theirs = own[name] if name in own else shape.options.get(name)
        if theirs is None:
            warnings.append(asking.no_setting(name))
        else:
            body[theirs] = value
