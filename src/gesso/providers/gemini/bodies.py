"""What the bodies of texts and pictures have in common: turns, pictures inside them, and settings. Pure and strict."""

import base64
from collections.abc import Iterable, Mapping

from gesso.providers.base import JSON, InputFile
from gesso.providers.errors import Rejected
from gesso.providers.gemini.options import Shape

PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})


def text_part(text: str) -> dict[str, JSON]:
    """Words of a turn."""
    return {"text": text}


def picture_part(picture: InputFile) -> dict[str, JSON]:
    """A picture of a turn: standard base64, camelCase."""
    return {"inlineData": {"mimeType": picture.media_type, "data": base64.b64encode(picture.data).decode()}}


def check_weight(pictures: Iterable[InputFile], shape: Shape) -> None:
    """Raises Rejected when a picture is of a kind that is not taken, or all of them are too heavy to send inside."""
    weight = 0
    for picture in pictures:
        if picture.media_type not in PICTURE_TYPES:
            raise Rejected("The picture must be PNG, JPEG or WebP.", "input", field="images")
        weight += -(-len(picture.data) // 3) * 4
    if weight > shape.inline_mb * 1_000_000:
        raise Rejected("The pictures are too large together for this model.", "input", field="images")


def put(config: dict[str, JSON], path: str, value: JSON) -> None:
    """Set the member of `config` that a dotted path names."""
    *above, name = path.split(".")
    for step in above:
        inner = config.get(step)
        config[step] = inner = dict(inner) if isinstance(inner, dict) else {}
        config = inner
    config[name] = [value] if name == "stopSequences" and isinstance(value, str) else value


def with_safety(body: dict[str, JSON], safety: Mapping[str, str]) -> dict[str, JSON]:
    """The body with the thresholds that the catalogue sets; Google's own stand where it sets none."""
    if not safety:
        return body
    return body | {
        "safetySettings": [
            {"category": f"HARM_CATEGORY_{name.upper()}", "threshold": threshold} for name, threshold in safety.items()
        ]
    }
