"""A MediaRequest to the body that /images/generations, /images/edits or /videos wants. Pure and strict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from gesso.providers import asking
from gesso.providers.base import JSON, InputFile, MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.http import FilePart
from gesso.providers.openai.client import check_model_id
from gesso.providers.openai.options import Shape
from gesso.providers.openai.sizes import size_of

PROMPT_MAX = 32_000
INPUT_MAX_BYTES = 50_000_000
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_ORDINARY_QUALITY = (*asking.ORDINARY_QUALITY, "auto")


@dataclass(frozen=True)
class Payload:
    """A ready body; with `files` it goes out as a form. `count` is how many files the model is asked for."""

    body: dict[str, JSON]
    files: tuple[FilePart, ...]
    count: int
    warnings: tuple[str, ...]

    @property
    def form(self) -> dict[str, str]:
        """The body as a form's fields; nested values in brackets, as the SDK writes them."""
        return dict(_flat("", self.body))


def build(request: MediaRequest, shape: Shape) -> Payload:
    """What to send. Raises Rejected and Misconfigured."""
    check_model_id(request.model)
    check_inputs(request, shape)
    warnings: list[str] = []
    body: dict[str, JSON] = {**shape.defaults, "model": request.model}
    body["prompt"] = _prompt(request, shape, warnings, body)
    size = size_of(request, shape, warnings)
    if size is not None:
        body["size"] = size
    if request.quality in shape.qualities:
        body["quality"] = request.quality
    elif request.quality not in _ORDINARY_QUALITY:
        warnings.append(asking.no_quality(request.quality))
    if request.kind == "video":
        _duration(request, shape, body)
    _options(request, shape, body, warnings)
    body.update(asking.seed_field(request, shape.seed, warnings))
    count, number = asking.count_field(request, shape.count, shape.count_max, warnings)
    body.update(number)
    return Payload(body, _parts(request.inputs, shape), count, tuple(warnings))


def check_inputs(request: MediaRequest, shape: Shape) -> None:
    """Raises Rejected when the reference pictures do not fit: dropping one would cost a wrong result."""
    most = shape.images_max if shape.images else 0
    asking.check_pictures(len(request.inputs), most, required=shape.images_required)
    for image in request.inputs:
        if image.media_type not in _SUFFIXES:
            raise Rejected("The reference picture must be PNG, JPEG or WebP.", field="images")
        if len(image.data) >= INPUT_MAX_BYTES:
            raise Rejected("The reference picture is too large for this model.", field="images")


def _prompt(request: MediaRequest, shape: Shape, warnings: list[str], body: dict[str, JSON]) -> str:
    prompt, negative = asking.prompts(request, shape.negative, warnings)
    body.update(negative)
    if len(prompt) > PROMPT_MAX:
        raise Rejected("The prompt is too long for this model.", field="prompt")
    return prompt


def _duration(request: MediaRequest, shape: Shape, body: dict[str, JSON]) -> None:
    """Their lengths are strings of digits."""
    seconds = request.options.get("duration")
    if seconds is None:
        return
    if shape.durations and seconds not in shape.durations:
        known = ", ".join(map(str, shape.durations))
        raise Rejected(f"This model makes videos of {known} seconds.", field="duration")
    body[shape.duration] = f"{seconds:g}" if isinstance(seconds, int | float) else str(seconds)


def _options(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> None:
    for name, value in request.options.items():
        if value is None or (name == "duration" and request.kind == "video"):
            continue
        if name not in shape.options:
            warnings.append(asking.no_setting(name))
        else:
            body[shape.options[name]] = value


def _parts(inputs: tuple[InputFile, ...], shape: Shape) -> tuple[FilePart, ...]:
    """A single file goes under the plain name, several under the name with `[]`, as the SDK sends them."""
    name = shape.image_field if len(inputs) == 1 else f"{shape.image_field}[]"
    return tuple(
        (name, (f"image-{number}.{_SUFFIXES[image.media_type]}", image.data, image.media_type))
        for number, image in enumerate(inputs, 1)
    )


def _flat(prefix: str, body: Mapping[str, JSON]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for name, value in body.items():
        key = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            fields.extend(_flat(key, value))
        elif value is not None:
            fields.append((key, value if isinstance(value, str) else json.dumps(value)))
    return fields
