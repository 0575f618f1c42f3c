"""Text: a TextRequest to the body of generateContent. Pure and strict."""

from collections.abc import Mapping

from gesso.providers.base import JSON
from gesso.providers.errors import Rejected
from gesso.providers.gemini import schema
from gesso.providers.gemini.bodies import check_weight, picture_part, put, text_part, with_safety
from gesso.providers.gemini.options import Shape
from gesso.providers.passing import schema_in_words
from gesso.providers.text import TextMessage, TextRequest

_ROLES = {"user": "user", "assistant": "model"}


def body_of(request: TextRequest, shape: Shape) -> dict[str, JSON]:
    """The body to send. Raises Rejected."""
    check_weight([picture for message in request.messages for picture in message.images], shape)
    rules = [message.text for message in request.messages if message.role == "system" and message.text.strip()]
    config: dict[str, JSON] = {**shape.defaults, "maxOutputTokens": request.max_output_tokens + shape.thinking_room}
    for name, value in request.options.items():
        if value is not None and name in shape.options:
            put(config, shape.options[name], value)
    if request.schema is not None:
        rules += _schema(request.schema, shape, config)
    turns: list[JSON] = [turn for message in request.messages if (turn := _turn(message)) is not None]
    if not turns:
        raise Rejected("There is nothing to answer.", "input", field="prompt")
    body: dict[str, JSON] = {"contents": turns, "generationConfig": config}
    if rules:
        body["systemInstruction"] = {"parts": [text_part(text) for text in rules]}
    return with_safety(body, shape.safety)


def _turn(message: TextMessage) -> JSON:
    """A turn; None for a system one, which goes elsewhere, and for an empty one, which is refused there."""
    if message.role == "system":
        return None
    parts: list[JSON] = [text_part(message.text)] if message.text.strip() else []
    parts += [picture_part(picture) for picture in message.images]
    return {"role": _ROLES[message.role], "parts": parts} if parts else None


def _schema(wanted: Mapping[str, JSON], shape: Shape, config: dict[str, JSON]) -> list[str]:
    """Say the schema in `config`; returns what must be said in words instead."""
    theirs = schema.converted(wanted) if shape.schema == "response_schema" else None
    if shape.schema != "instruction":
        config["responseMimeType"] = "application/json"
    if theirs is not None:
        config["responseSchema"] = theirs
        return []
    return [schema_in_words(wanted)]
