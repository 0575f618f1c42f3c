"""A MediaRequest to the body that /images/generations, /images/edits or /videos wants. Pure and strict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from gesso.providers.base import JSON, InputFile, MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.http import FilePart
from gesso.providers.openai.client import check_model_id
from gesso.providers.openai.options import Shape
from gesso.providers.openai.sizes import size_of

PROMPT_MAX = 32_000
INPUT_MAX_BYTES = 50_000_000
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_ORDINARY_QUALITY = (None, "standard", "auto")


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
        warnings.append(f"This model has no quality “{request.quality}”; its own was used.")
    if request.kind == "video":
        _duration(request, shape, body)
    _options(request, shape, body, warnings)
    if request.seed is not None and shape.seed is not None:
        body[shape.seed] = request.seed
    elif request.seed is not None:
        warnings.append("This model takes no seed; it was left out.")
    count = _count(request, shape, body, warnings)
    return Payload(body, _parts(request.inputs, shape), count, tuple(warnings))


def check_inputs(request: MediaRequest, shape: Shape) -> None:
    """Raises Rejected when the reference pictures do not fit: dropping one would cost a wrong result."""
    given, most = len(request.inputs), shape.images_max
    if given and not shape.images:
        raise Rejected("This model does not take reference pictures.", field="images")
    if given > most:
        text = "one picture" if most == 1 else f"{most} pictures"
        raise Rejected(f"This model takes at most {text}.", field="images")
    if not given and shape.images_required:
        raise Rejected("This model needs a reference picture.", field="images")
    for image in request.inputs:
        if image.media_type not in _SUFFIXES:
            raise Rejected("The reference picture must be PNG, JPEG or WebP.", field="images")
        if len(image.data) >= INPUT_MAX_BYTES:
            raise Rejected("The reference picture is too large for this model.", field="images")


def _prompt(request: MediaRequest, shape: Shape, warnings: list[str], body: dict[str, JSON]) -> str:
    prompt, negative = request.prompt, (request.negative_prompt or "").strip()
    if negative and shape.negative == "append":
        warnings.append("This model has no negative prompt; it was added to the prompt as “avoid: …”.")
        prompt = f"{prompt.rstrip()}\navoid: {negative}"
    elif negative and shape.negative is None:
        warnings.append("This model has no negative prompt; it was left out.")
    elif negative and shape.negative is not None:
        body[shape.negative] = negative
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
            warnings.append(f"This model has no setting “{name.replace('_', ' ')}”; it was left out.")
        else:
            body[shape.options[name]] = value


def _count(request: MediaRequest, shape: Shape, body: dict[str, JSON], warnings: list[str]) -> int:
    if shape.count is None:
        if request.count > 1:
            warnings.append("This model makes one at a time.")
        return 1
    count = min(request.count, shape.count_max)
    if count < request.count:
        warnings.append(f"This model makes at most {count} at a time.")
    body[shape.count] = count
    return count


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
