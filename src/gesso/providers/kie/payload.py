"""A MediaRequest to the fields of a job, with warnings for what the model lacks. Pure and strict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from gesso.providers import asking
from gesso.providers.base import JSON, InputFile, MediaRequest
from gesso.providers.errors import Rejected
from gesso.providers.kie.options import Door, Shape

_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
_LONGEST_SIDE = 16384
_MB = 1_000_000


@dataclass(frozen=True)
class Payload:
    """The model's fields. `count` is how many files it is asked for."""

    fields: dict[str, JSON]
    count: int
    warnings: tuple[str, ...]


def check_inputs(inputs: Sequence[InputFile], shape: Shape) -> None:
    """Raises Rejected when the reference pictures do not fit in number, kind or size: nothing is uploaded then."""
    most = shape.images_max if shape.images is not None else 0
    asking.check_pictures(len(inputs), most, required=shape.images_required)
    for file in inputs:
        if file.media_type not in _PICTURES:
            raise Rejected("A reference picture must be a JPEG, PNG or WebP file.", field="images")
        if len(file.data) > shape.images_mb * _MB:
            raise Rejected(f"A reference picture is too large; {shape.images_mb} MB is the limit.", field="images")


def build(request: MediaRequest, shape: Shape, image_urls: Sequence[str]) -> Payload:
    """The fields to send. `image_urls` stand for `request.inputs`, in order. Raises Rejected."""
    fields: dict[str, JSON] = dict(shape.defaults)
    warnings: list[str] = []
    count, number = asking.count_field(request, shape.count, shape.count_max, warnings)
    fields.update(number)
    _prompt(request, shape, count, fields, warnings)
    fields.update(_size(request, shape, warnings))
    _options(request, shape, fields, warnings)
    if shape.images is not None and image_urls:
        fields[shape.images] = list(image_urls) if shape.images_max > 1 else image_urls[0]
    fields.update(asking.seed_field(request, shape.seed, warnings))
    return Payload(asking.digits_as_text(fields, shape.text), count, tuple(warnings))


def body_of(door: Door, model: str, payload: Payload, callback_url: str | None) -> dict[str, JSON]:
    """The body of the request that makes the job."""
    told: dict[str, JSON] = {"callBackUrl": callback_url} if callback_url else {}
    if door == "kontext":
        return {**payload.fields, "model": model, **told}
    return {"model": model, **told, "input": payload.fields}


def _prompt(request: MediaRequest, shape: Shape, count: int, fields: dict[str, JSON], warnings: list[str]) -> None:
    if shape.prompt is None:
        if request.prompt.strip():
            warnings.append("This model works from the picture alone; the prompt was not used.")
        return
    prompt, negative = asking.prompts(request, shape.negative, warnings)
    if count > 1:  # the number in the field alone is not always followed
        prompt = f"{prompt.rstrip()}\nMake {asking.pictures(count)}."
    if shape.prompt_max is not None and len(prompt) > shape.prompt_max:
        raise Rejected(f"The prompt is too long; this model takes {shape.prompt_max:,} characters.", field="prompt")
    fields.update({shape.prompt: prompt, **negative})


def _size(request: MediaRequest, shape: Shape, warnings: list[str]) -> dict[str, JSON]:
    """The model's field for the wanted shape; the pixels follow from its quality. Nothing asked → nothing sent."""
    pixels, wanted = asking.pixels_asked(request, _LONGEST_SIDE), request.aspect_ratio
    if pixels is None and wanted is None:
        return {}
    if shape.size is None:
        warnings.append("This model chooses the size itself; the wanted size was left out.")
        return {}
    if pixels is None and wanted == "auto":
        return {shape.size: shape.ratios["auto"]} if "auto" in shape.ratios else {}
    ratio = Fraction(*pixels) if pixels else asking.parse_ratio(wanted or "")
    known = {name: asking.parse_ratio(name) for name in shape.ratios if ":" in name}
    if known:
        chosen = wanted if wanted in known and not pixels else min(
            known, key=lambda name: abs(math.log(known[name] / ratio))
        )  # fmt: skip
    else:
        plain = ratio.limit_denominator(32)
        chosen = wanted if wanted and not pixels else f"{plain.numerator}:{plain.denominator}"
    if pixels:
        warnings.append(f"This model chooses the number of pixels itself; the aspect ratio {chosen} was asked for.")
    elif known and known[chosen] != ratio:
        warnings.append(f"This model does not make {wanted}; the nearest, {chosen}, was asked for.")
    return {shape.size: shape.ratios.get(chosen, chosen)}


def _options(request: MediaRequest, shape: Shape, fields: dict[str, JSON], warnings: list[str]) -> None:
    given: dict[str, JSON] = {**request.options, "quality": request.quality}
    for name, value in given.items():
        if value is None:
            continue
        chosen, theirs = shape.choices.get(name, {}).get(str(value)), shape.options.get(name)
        if chosen is not None:
            fields.update(chosen)
        elif theirs is not None:
            fields[theirs] = value
        elif name == "quality":
            if request.quality not in asking.ORDINARY_QUALITY:
                warnings.append(asking.no_quality(request.quality))
        elif name in shape.choices:
            raise Rejected(f"This model has no {name.replace('_', ' ')} “{str(value)[:40]}”.", field=name)
        else:
            warnings.append(asking.no_setting(name))
